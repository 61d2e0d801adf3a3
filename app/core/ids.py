"""Identifiers: time-ordered UUIDv7 for rows (RFC 9562 §5.7), opaque random tokens for secrets."""

from __future__ import annotations

import os
import secrets
import threading
import time
from datetime import UTC, datetime
from uuid import UUID

_COUNTER_MAX = 0xFFF
_lock = threading.Lock()
_last_millis, _counter = 0, 0


def new_id() -> UUID:
    """A UUIDv7: id order is creation order, so ids serve as cursors and index well.

    Within one millisecond a counter in rand_a keeps the order of this process (RFC 9562 §6.2,
    method 1); it starts low, so that it has room to count.
    """
    global _last_millis, _counter
    noise = int.from_bytes(os.urandom(9), "big")
    with _lock:
        millis = time.time_ns() // 1_000_000
        if millis > _last_millis:
            _last_millis, _counter = millis, noise & 0xFF
        elif _counter < _COUNTER_MAX:
            _counter += 1
        else:
            _last_millis, _counter = _last_millis + 1, noise & 0xFF
        millis, counter = _last_millis, _counter
    return _build(millis, counter, noise >> 8)


def id_at(moment: datetime) -> UUID:
    """A UUIDv7 as it would have been made at ``moment``: imports keep history in id order."""
    noise = int.from_bytes(os.urandom(10), "big")
    return _build(int(moment.timestamp() * 1000), noise & _COUNTER_MAX, noise >> 12)


def made_at(id_: UUID) -> datetime:
    """When a UUIDv7 was made; for any other UUID the epoch, which is long ago."""
    millis = id_.int >> 80 if id_.version == 7 else 0
    return datetime.fromtimestamp(millis / 1000, UTC)


_APART_MS = 3_600_000
"""More than a transaction lasts and clocks differ: a row's id is made on another clock, and
before or after what is written as its instant."""


def id_before(moment: datetime) -> UUID:
    """No smaller id belongs to a row of ``moment`` or later."""
    return UUID(int=max(0, int(moment.timestamp() * 1000) - _APART_MS) << 80)


def id_after(moment: datetime) -> UUID:
    """No greater id belongs to a row of ``moment`` or earlier."""
    return UUID(int=max(0, int(moment.timestamp() * 1000) + _APART_MS) << 80)


def new_token(size: int = 32) -> str:
    """An unguessable URL-safe secret of ``size`` random bytes (ASVS 11.5.1 asks >= 16)."""
    return secrets.token_urlsafe(size)


def _build(millis: int, rand_a: int, noise: int) -> UUID:
    value = (millis & ((1 << 48) - 1)) << 80 | 0x7 << 76 | rand_a << 64
    return UUID(int=value | 0b10 << 62 | noise & ((1 << 62) - 1))
