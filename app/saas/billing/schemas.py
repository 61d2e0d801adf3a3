"""Wire models of billing: what members ask and see, and what the HMAC webhooks carry."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, EmailStr, Field, StringConstraints

from app.core.schema import Input, Instant, Output
from app.saas.plans.schemas import Code, PriceId

Address = Annotated[str, StringConstraints(pattern=r"^https?://[^\s\\]+$", max_length=2000)]
Status = Literal["trialing", "active", "past_due", "canceled", "unpaid"]


class CheckoutCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "price_id": "price_largo_pro",
                    "success_url": "https://app.bellamassa.example/plano?ok={CHECKOUT_SESSION_ID}",
                    "cancel_url": "https://app.bellamassa.example/plano",
                }
            ]
        }
    )

    price_id: PriceId
    success_url: Address
    cancel_url: Address


class CheckoutRead(Output):
    session_id: str
    url: str


class PortalCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"return_url": "https://app.bellamassa.example/plano"}]}
    )

    return_url: Address


class PortalRead(Output):
    url: str


class SubscriptionRead(Output):
    """What the tenant has (``plan_code``, ``subscription_status``) and what is behind it."""

    plan_code: str | None
    subscription_status: Status
    has_access: bool = Field(description="Modules work only while active or trialing.")
    provider_status: str | None
    current_period_end: datetime | None
    cancel_at: datetime | None
    is_cancelling: bool
    trial_ends_at: datetime | None
    synced_at: datetime | None
    can_manage: bool = Field(description="There is an account, so the portal opens.")


class BillingOverview(SubscriptionRead):
    limits: dict[str, int]
    modules: list[str]
    extra_subscriptions: list[str] = Field(
        description="Charged beside the one that counts: end them in the portal."
    )
    publishable_key: str | None = Field(description="For the browser's own Stripe library.")


class InvoiceRead(Output):
    id: UUID
    number: str | None
    status: str
    currency: str
    due_cents: int
    paid_cents: int
    attempts: int
    issued_at: datetime
    next_attempt_at: datetime | None
    hosted_url: str | None
    pdf_url: str | None


class StatusNotice(Input):
    """What another billing system says a tenant's contract is, whole: newer ones replace it."""

    event_id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    occurred_at: Instant
    tenant: Annotated[str, StringConstraints(max_length=100)] = Field(description="Its slug.")
    plan_code: Code
    status: Status
    current_period_end: Instant | None = None


class IntakeOwner(Input):
    name: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    email: EmailStr


class IntakeNotice(Input):
    """A contract sold outside: the tenant is made when it is new, with its owner."""

    event_id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    occurred_at: Instant
    slug: Annotated[
        str, StringConstraints(pattern=r"^[a-z0-9](-?[a-z0-9])*$", min_length=2, max_length=60)
    ]
    name: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    plan_code: Code
    status: Literal["trialing", "active"] = "active"
    owner: IntakeOwner
