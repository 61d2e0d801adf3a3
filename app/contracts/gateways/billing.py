"""What the vendor that charges our tenants must be able to do, and how a call can fail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class RemoteSubscription:
    """A subscription as the vendor has it now; ``status`` is the vendor's own word."""

    id: str
    status: str
    price_id: str
    created_at: datetime
    current_period_end: datetime | None
    cancel_at: datetime | None
    cancel_at_period_end: bool
    trial_ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class RemoteInvoice:
    """An invoice as the vendor has it now; amounts in cents of ``currency``."""

    id: str
    customer_id: str
    number: str | None
    status: str
    currency: str
    due_cents: int
    paid_cents: int
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    hosted_url: str | None
    pdf_url: str | None


@dataclass(frozen=True, slots=True)
class RemoteCheckout:
    """A page of the vendor on which a person pays; ``status`` open, complete or expired."""

    id: str
    url: str
    status: str


class BillingFailure(Exception):
    """A call that did not succeed; never carries the credential.

    ``code`` is the vendor's own where it gave one. ``retryable``: the same call may succeed later
    without anybody changing anything.
    """

    def __init__(self, reason: str, *, code: str = "", retryable: bool = False) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code
        self.retryable = retryable


class BillingGateway(Protocol):
    """Every method raises BillingFailure; ``key`` makes a repeat of the call the same call.

    Never called inside a transaction.
    """

    async def create_customer(self, *, tenant_id: UUID, name: str, email: str, key: str) -> str:
        """The vendor's id of a new customer."""
        ...

    async def open_checkout(
        self,
        *,
        tenant_id: UUID,
        customer_id: str,
        price_id: str,
        success_url: str,
        cancel_url: str,
        key: str,
    ) -> RemoteCheckout:
        """A page that sells one subscription of ``price_id``."""
        ...

    async def close_checkout(self, checkout_id: str) -> str:
        """Make an open page unusable; the status it ends in (``complete``: it was paid before)."""
        ...

    async def open_portal(self, *, customer_id: str, return_url: str) -> str:
        """The address of the page where a customer changes card, plan or cancels."""
        ...

    async def subscriptions(self, customer_id: str) -> list[RemoteSubscription]:
        """All of a customer's, ended ones too."""
        ...

    async def invoice(self, invoice_id: str) -> RemoteInvoice:
        """One invoice."""
        ...
