"""What a carrier of e-mail must be able to do; failures are those of the messaging gateways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Email:
    """One letter to one person. ``reference`` names this letter: it becomes its Message-ID, so a
    repeated delivery can be told from a second letter."""

    to: str
    subject: str
    text: str
    reference: str
    html: str | None = None


class EmailGateway(Protocol):
    """Hand a letter to the carrier; never called inside a transaction."""

    async def send(self, email: Email) -> None:
        """Raises GatewayUnavailable, GatewayRefused or GatewayOutcomeUnknown (messaging)."""
        ...
