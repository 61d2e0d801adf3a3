"""Who is told by which way, what a device is sent, and what a subscription must look like."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.contracts.gateways.push import PushKey, PushMessage
from app.contracts.notices import AnyNoticeKind, NoticeChannel

RETENTION = timedelta(days=90)
MAX_DEVICES = 20
"""Of one person; another one cuts the oldest."""
TEST_KIND = "platform.notice_test"

# Of the 3993 bytes that fit (RFC 8291 §4): a service that takes less is not known, and nobody
# reads a book on a lock screen.
_LONGEST_TITLE, _LONGEST_BODY = 120, 600
_P256_POINT, _AUTH_SECRET, _P256_PRIVATE = 65, 16, 32

Choices = Mapping[tuple[str, str], bool]
"""What a person chose, by kind and channel."""


def is_on(kind: AnyNoticeKind, channel: NoticeChannel, chosen: Choices) -> bool:
    """Whether a person is told of this kind by this way."""
    return chosen.get((kind.event.name, channel), channel in kind.by_default)


def push_message(
    notice_id: UUID,
    event_id: UUID,
    kind: str,
    title: str,
    body: str,
    link: str | None,
    *,
    ttl_s: int,
    is_urgent: bool,
) -> PushMessage:
    """What a device is sent; ``tag`` lets it show a repetition in the place of the first."""
    payload = orjson.dumps(
        {
            "notice_id": str(notice_id),
            "kind": kind,
            "title": _short(title, _LONGEST_TITLE),
            "body": _short(body, _LONGEST_BODY),
            "link": link,
            "tag": event_id.hex,
        }
    )
    urgency: Literal["normal", "high"] = "high" if is_urgent else "normal"
    return PushMessage(payload, event_id.hex, ttl_s, urgency)


def plain_text(title: str, body: str) -> str:
    """The notice where there is no formatting, e.g. in a chat."""
    return f"{title}\n{body}" if body else title


def letter_text(body: str, link: str | None, pages: str) -> str:
    """The notice as a letter; ``pages`` is where the user interface is, empty: no link."""
    where = f"{pages.rstrip('/')}{link}\n\n" if link and pages else ""
    foot = "Escolha os avisos que recebe em Avisos, no seu perfil."
    return f"{body}\n\n{where}{foot}\n"


def check_keys(p256dh: str, auth: str) -> None:
    """Raises ValueError unless these are the keys of a push subscription (RFC 8291 §2, §3.2)."""
    point = _decoded(p256dh)
    if len(point) != _P256_POINT:
        raise ValueError("p256dh is no uncompressed point")
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    if len(_decoded(auth)) != _AUTH_SECRET:
        raise ValueError("auth is not 16 bytes")


def new_push_key() -> PushKey:
    """A fresh VAPID key pair (RFC 8292 §3.2: P-256)."""
    private = ec.generate_private_key(ec.SECP256R1())
    return _pair(private)


def push_key_of(private: str) -> PushKey:
    """The pair of a private key given as base64url of 32 bytes."""
    number = int.from_bytes(_decoded(private), "big")
    return _pair(ec.derive_private_key(number, ec.SECP256R1()))


def _pair(private: ec.EllipticCurvePrivateKey) -> PushKey:
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    number = private.private_numbers().private_value.to_bytes(_P256_PRIVATE, "big")
    return PushKey(_encoded(point), _encoded(number))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
