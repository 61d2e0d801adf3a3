"""Tracking tokens: derived from the order by a secret key, so nothing that opens one is stored."""

from __future__ import annotations

from uuid import UUID

from app.core.crypto import SignatureInvalid, Signer


def tracking_token(signer: Signer, order_id: UUID) -> str:
    """The token that shows one order to whoever holds it; 256 bits, the same every time."""
    return signer.tag(order_id.bytes)


def token_matches(signer: Signer, order_id: UUID, token: str) -> bool:
    """Whether ``token`` opens this order, under any key of the ring."""
    try:
        signer.check(order_id.bytes, token)
    except SignatureInvalid:
        return False
    return True
