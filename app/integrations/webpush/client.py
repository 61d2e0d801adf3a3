"""Web push: a payload that only the browser can read, signed, handed to the service it named.

Encryption by RFC 8291, identification by RFC 8292, delivery by RFC 8030. The endpoint is a URL
that a user gave us, so the call goes through the guard and not through the shared client.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.contracts.gateways.messaging import (
    GatewayFailure,
    GatewayOutcomeUnknown,
    GatewayRefused,
    GatewayUnavailable,
    Refusal,
)
from app.contracts.gateways.push import PushKey, PushMessage, PushTarget
from app.core.guard import Guard, NotDelivered, Receipt, UrlRefused
from app.core.lazy import lazy

if TYPE_CHECKING:
    import py_vapid
    import pywebpush
else:
    pywebpush, py_vapid = lazy("pywebpush"), lazy("py_vapid")

VENDOR = "webpush"
LARGEST_PAYLOAD = 3993
"""Bytes: a push service must take 4096, of which RFC 8291 §4 needs 103 for itself."""
_TOKEN_S = 12 * 3600
"""Life of a signature; services refuse more than 24 hours (RFC 8292 §2)."""


class WebPushClient:
    """Satisfies ``PushGateway``; ``subject`` is whom a push service may write to about us."""

    def __init__(self, guard: Guard, subject: str) -> None:
        self._guard, self._subject = guard, subject

    async def send(self, target: PushTarget, message: PushMessage, key: PushKey) -> None:
        """POST one message; any 2xx is an acceptance. Raises the gateway failures."""
        # In a thread: half a second when the library is loaded, a millisecond afterwards.
        body, headers = await asyncio.to_thread(self._sealed, target, message, key)
        try:
            receipt = await self._guard.post(target.endpoint, headers=headers, body=body)
        except UrlRefused as refused:
            raise _dead("url-refused", str(refused)) from refused
        except NotDelivered as failure:
            if str(failure) == "no connection":
                raise GatewayUnavailable(VENDOR, str(failure)) from failure
            raise GatewayOutcomeUnknown(VENDOR, str(failure)) from failure
        if not 200 <= receipt.status < 300:
            raise _failure(receipt)

    def _sealed(
        self, target: PushTarget, message: PushMessage, key: PushKey
    ) -> tuple[bytes, dict[str, str]]:
        pusher, vapid = pywebpush.WebPusher, py_vapid.Vapid02
        keys = {"p256dh": target.p256dh, "auth": target.auth}
        body = pusher({"endpoint": target.endpoint, "keys": keys}).encode(message.payload)["body"]
        parts = urlsplit(target.endpoint)
        claims = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": int(time.time()) + _TOKEN_S,
            "sub": self._subject,
        }
        headers = {
            "authorization": vapid.from_raw(key.private.encode()).sign(claims)["Authorization"],
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(message.ttl_s),
            "topic": message.topic,
            "urgency": message.urgency,
        }
        return body, headers


def _dead(code: str, message: str) -> GatewayRefused:
    return GatewayRefused(VENDOR, code, message, action=Refusal.PERMANENT, scope="recipient")


def _failure(receipt: Receipt) -> GatewayFailure:
    """Judge an answer that is not 2xx, by its status: services word their bodies as they like."""
    code = f"http-{receipt.status}"
    match receipt.status:
        case 404 | 410:
            return _dead(code, "the subscription ended")
        case 401 | 403:
            message = "our key was not accepted"
            return GatewayRefused(VENDOR, code, message, action=Refusal.AUTH, scope="account")
        # 201 is the only acceptance (RFC 8030 §5): a 5xx has taken nothing, and were it wrong
        # about that, the topic makes the repetition replace the first.
        case 408 | 425 | 429 | 500 | 502 | 503 | 504:
            return GatewayRefused(
                VENDOR,
                code,
                "try again later",
                action=Refusal.RETRY,
                scope="call",
                retry_after_s=receipt.retry_after_s,
            )
    return GatewayRefused(VENDOR, code, "refused", action=Refusal.PERMANENT)
