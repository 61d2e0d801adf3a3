"""What a vendor that takes cards for a tenant must be able to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from pydantic import SecretStr

from app.contracts.gateways.billing import BillingFailure

__all__ = ["BillingFailure", "PaymentGateway", "RemoteIntent", "RemoteRefund"]


@dataclass(frozen=True, slots=True)
class RemoteIntent:
    """A payment as the vendor has it now; ``status`` is the vendor's own word."""

    id: str
    status: str
    amount_cents: int
    received_cents: int
    currency: str
    """ISO 4217 in upper case."""
    error: str | None = None
    payment_id: str = ""
    """Ours, from what the intent carries; empty when it carries none."""
    client_secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class RemoteRefund:
    """``status``: pending, requires_action, succeeded, failed or canceled."""

    id: str
    status: str
    amount_cents: int
    error: str | None = None


class PaymentGateway(Protocol):
    """Every method raises BillingFailure; ``key`` makes a repeat of the call the same call.

    ``account`` is the tenant's own credential. Never called inside a transaction.
    """

    async def create_intent(
        self,
        account: SecretStr,
        *,
        tenant_id: UUID,
        payment_id: UUID,
        amount_cents: int,
        currency: str,
        description: str,
        key: str,
    ) -> RemoteIntent:
        """What the customer's browser then confirms with a card."""
        ...

    async def intent(self, account: SecretStr, intent_id: str) -> RemoteIntent:
        """One as it is now."""
        ...

    async def change_intent(
        self, account: SecretStr, intent_id: str, amount_cents: int
    ) -> RemoteIntent:
        """Ask for another amount while nobody has paid."""
        ...

    async def cancel_intent(self, account: SecretStr, intent_id: str) -> RemoteIntent:
        """Make it unpayable; one that was paid before is answered as it is."""
        ...

    async def refund(
        self, account: SecretStr, *, intent_id: str, refund_id: UUID, amount_cents: int, key: str
    ) -> RemoteRefund:
        """Give part or all of a paid one back."""
        ...

    async def find_refund(self, account: SecretStr, refund_ref: str) -> RemoteRefund:
        """One as it is now."""
        ...
