"""Signatures with a timestamp, as Stripe and our own HMAC webhooks carry them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from pydantic import SecretStr

from app.kernel.inbox.problems import WebhookNotConfigured, WebhookSignatureInvalid

TOLERANCE_S = 300
"""How far a signed timestamp may be from our clock, either way."""
_LONGEST_HEADER = 2000


def verify_timed(header: str | None, body: bytes, keys: Sequence[SecretStr], at: float) -> None:
    """Check ``t=<unix seconds>,v1=<hex>[,v1=<hex>]``: HMAC-SHA256 over ``t.body`` by any key.

    Several v1 and several keys let both sides rotate their secret. Raises WebhookNotConfigured
    without keys (an empty key would verify an empty secret), WebhookSignatureInvalid.
    """
    if not keys:
        raise WebhookNotConfigured()
    timestamp, signatures = _parts(header or "")
    if timestamp is None or abs(at - timestamp) > TOLERANCE_S:
        raise WebhookSignatureInvalid()
    content = str(timestamp).encode() + b"." + body
    wanted = [
        hmac.digest(key.get_secret_value().encode(), content, hashlib.sha256).hex().encode()
        for key in keys
    ]
    # Every pair is compared: which of them matched shows in no timing.
    matches = [hmac.compare_digest(w, given) for w in wanted for given in signatures]
    if not any(matches):
        raise WebhookSignatureInvalid()


def signed(key: str, timestamp: int, body: bytes) -> str:
    """The header that ``verify_timed`` accepts; what a sender computes."""
    content = str(timestamp).encode() + b"." + body
    return f"t={timestamp},v1={hmac.digest(key.encode(), content, hashlib.sha256).hex()}"


def _parts(header: str) -> tuple[int | None, list[bytes]]:
    timestamp: int | None = None
    signatures: list[bytes] = []
    for part in header[:_LONGEST_HEADER].split(","):
        name, _, value = part.strip().partition("=")
        if name == "t" and timestamp is None and value.isascii() and value.isdecimal():
            # As written: 01 and 1 are not the same signed text.
            timestamp = int(value) if str(int(value[:15])) == value else None
        elif name == "v1":
            signatures.append(value.encode("utf-8", "replace"))
    return timestamp, signatures
