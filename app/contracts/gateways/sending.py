"""What a channel that sends every kind of message must be able to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

from app.contracts.gateways.messaging import MessagingCredentials, SentMessage


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message in the vendor's shape: its ``type``, and what stands under that name."""

    kind: str
    content: dict[str, JsonValue]
    reply_to: str | None = None
    """The vendor's id of the message it answers."""


class SendsMessages(Protocol):
    """Never called inside a transaction."""

    async def send(
        self,
        *,
        credentials: MessagingCredentials,
        to: str,
        message: OutgoingMessage,
        reference: str,
    ) -> SentMessage:
        """Send to ``to`` (phone, business-scoped id); raises a ``GatewayFailure``.

        ``reference`` names this attempt and comes back with every later notice.
        """
        ...

    async def mark_read(
        self, *, credentials: MessagingCredentials, wamid: str, is_typing: bool
    ) -> None:
        """Show the contact that this message was read, and that somebody types."""
        ...
