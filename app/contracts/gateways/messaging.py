"""What any messaging vendor must be able to do, and every way in which a send can end.

The failures tell apart what a caller must treat differently: ``GatewayUnavailable`` (nothing left,
repeat freely), ``GatewayRefused`` (the vendor answered no, now or for good) and
``GatewayOutcomeUnknown`` (it may have been sent: repeating may double it).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MessagingCredentials:
    """Whose account sends: the token, and the phone number id where the vendor has one."""

    token: str = field(repr=False)
    sender: str = ""


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A send the vendor accepted: its id for the message, and the address it resolved to."""

    id: str
    address: str | None = None
    status: str = "accepted"


class Refusal(StrEnum):
    """What a refusal asks of the caller."""

    RETRY = "retry"
    RETRY_PAIR = "retry-pair"
    DEFER = "defer"
    PERMANENT = "permanent"
    STOP = "stop"
    AUTH = "auth"


_RETRYABLE = frozenset({Refusal.RETRY, Refusal.RETRY_PAIR, Refusal.DEFER})


class GatewayFailure(Exception):
    """A send that did not end in a :class:`SentMessage`. Never carries a credential."""

    def __init__(self, vendor: str, reason: str) -> None:
        super().__init__(f"{vendor}: {reason}")
        self.vendor = vendor
        self.reason = reason


class GatewayRefused(GatewayFailure):
    """The vendor answered, and did not send.

    ``code`` is the vendor's own, ``scope`` what the refusal is about (message, recipient, pair,
    number, template, account, app, call), ``retry_after_s`` seconds to wait at least, ``moved_to``
    the recipient's new address when the vendor names one.
    """

    def __init__(
        self,
        vendor: str,
        code: str,
        message: str,
        *,
        action: Refusal,
        scope: str = "message",
        retry_after_s: float | None = None,
        moved_to: str | None = None,
    ) -> None:
        super().__init__(vendor, f"{code} {message}")
        self.code = code
        self.message = message
        self.action = action
        self.scope = scope
        self.retry_after_s = retry_after_s
        self.moved_to = moved_to

    @property
    def retryable(self) -> bool:
        """Whether the same send may succeed later without anybody changing anything."""
        return self.action in _RETRYABLE


class GatewayUnavailable(GatewayFailure):
    """The vendor was not reached; nothing was sent and repeating is safe."""


class GatewayOutcomeUnknown(GatewayFailure):
    """The message may have been sent. Settle it by the vendor's later word, not by repeating."""


class MessageGateway(Protocol):
    """Send plain text to one recipient of one vendor; never called inside a transaction."""

    async def send_text(
        self, *, credentials: MessagingCredentials, to: str, text: str, reference: str
    ) -> SentMessage:
        """Send ``text`` to ``to`` (phone, chat id); raises a :class:`GatewayFailure`.

        ``reference`` names this attempt; vendors that can echo it in later notices do.
        """
        ...
