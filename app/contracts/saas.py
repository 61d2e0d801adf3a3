"""What running the SaaS answers others (ports) and tells them (events): plans, use, payments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol
from uuid import UUID

from app.contracts.events import Event


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The plan that makes room, as a refusal names it."""

    code: str
    name: str
    price_cents: int
    currency: str
    interval: str
    allowed: int | None
    """How much of the refused thing it allows; None: without limit."""


class UpgradeAdvice(Protocol):
    """Answered by the plans."""

    async def upgrade_for(self, limit: str, needed: int) -> Upgrade | None:
        """The cheapest plan on offer that allows ``needed`` of ``limit``; None when none does."""
        ...


class InUse(Protocol):
    """Answered by the slice that owns a thing a plan limits, bound under the limit's name."""

    async def in_use(self) -> int:
        """How many of them count against the plan now."""
        ...


class SubscriptionChanged(Event):
    """What the tenant pays for is another plan, or in another state, than before."""

    name: ClassVar[str] = "billing.subscription_changed"
    resource: ClassVar[str] = "tenant"
    topic: ClassVar[str | None] = "billing"
    tenant_id: UUID
    plan_code: str | None
    status: str
    plan_before: str | None
    status_before: str


class SubscriptionDoubled(Event):
    """The vendor charges the tenant for further subscriptions beside the one that counts."""

    name: ClassVar[str] = "billing.subscription_doubled"
    resource: ClassVar[str] = "tenant"
    tenant_id: UUID
    subscription_ids: list[str]
    """The further ones."""


class TrialEnding(Event):
    """The trial ends in a few days; without a way to pay, the modules end with it."""

    name: ClassVar[str] = "billing.trial_ending"
    resource: ClassVar[str] = "tenant"
    tenant_id: UUID
    trial_ends_at: datetime | None


class InvoicePaymentFailed(Event):
    """A charge was declined; the vendor tries again at ``next_attempt_at``, None: no more."""

    name: ClassVar[str] = "billing.invoice_payment_failed"
    resource: ClassVar[str] = "invoice"
    invoice_id: UUID
    number: str | None
    due_cents: int
    currency: str
    attempts: int
    next_attempt_at: datetime | None
    hosted_url: str | None
