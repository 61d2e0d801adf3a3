"""What a carrier of web push must be able to do; failures are those of the messaging gateways."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class PushTarget:
    """A browser's subscription: where to send, and the keys that only it can open (RFC 8291)."""

    endpoint: str = field(repr=False)
    p256dh: str = field(repr=False)
    auth: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PushMessage:
    """What the device gets. ``topic`` (at most 32 base64url characters) names the message: a
    later one with the same topic replaces one that still waits for the device (RFC 8030 §5.4)."""

    payload: bytes
    topic: str
    ttl_s: int
    urgency: Literal["normal", "high"] = "normal"


@dataclass(frozen=True, slots=True)
class PushKey:
    """The application server's key pair (RFC 8292), both halves raw and base64url."""

    public: str
    private: str = field(repr=False)


class PushGateway(Protocol):
    """Hand a message to the push service that the browser named; never inside a transaction."""

    async def send(self, target: PushTarget, message: PushMessage, key: PushKey) -> None:
        """Raises GatewayUnavailable, GatewayRefused or GatewayOutcomeUnknown (messaging).

        A refusal of scope ``recipient`` says that the subscription is dead: forget it.
        """
        ...
