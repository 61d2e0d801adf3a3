"""Identifiers: time-ordered UUIDv7 for rows (RFC 9562 §5.7), opaque random tokens for secrets."""

from __future__ import annotations

import os
import secrets
import time
from datetime import datetime
from uuid import UUID


def new_id() -> UUID:
    """A UUIDv7: id order is creation order, so ids serve as cursors and index well."""
    return _build(time.time_ns() // 1_000_000)


def id_at(moment: datetime) -> UUID:
    """A UUIDv7 as it would have been made at ``moment``: imports keep history in id order."""
    return _build(int(moment.timestamp() * 1000))


def new_token(size: int = 32) -> str:
    """An unguessable URL-safe secret of ``size`` random bytes (ASVS 11.5.1 asks >= 16)."""
    return secrets.token_urlsafe(size)


def _build(millis: int) -> UUID:
    noise = int.from_bytes(os.urandom(10), "big")
    value = (millis & ((1 << 48) - 1)) << 80 | 0x7 << 76 | (noise & 0xFFF) << 64
    return UUID(int=value | 0b10 << 62 | (noise >> 12) & ((1 << 62) - 1))
