"""What a tenant pays us: its account with the vendor, mirrored, and its invoices.

System tables, as tenants themselves are: the tenant is the customer here, and may only ask.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import Model


class BillingAccount(Model):
    """One per tenant; its id is the tenant's."""

    __tablename__ = "billing_accounts"

    id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    customer_id: Mapped[str | None] = mapped_column(unique=True)
    checkout_id: Mapped[str | None]
    """The page opened last: closed before another one opens, so that nobody pays twice."""
    checkout_key: Mapped[str | None]
    """The caller's Idempotency-Key of that page: a repeat is shown the same one."""
    checkouts: Mapped[int] = mapped_column(server_default="0")
    subscription_id: Mapped[str | None]
    status: Mapped[str | None]
    """The vendor's own word; the tenant's ``subscription_status`` follows from it."""
    price_id: Mapped[str | None]
    plan_code: Mapped[str | None]
    current_period_end: Mapped[datetime | None]
    cancel_at: Mapped[datetime | None]
    is_cancelling: Mapped[bool] = mapped_column(server_default=text("false"))
    """It ends with the period."""
    trial_ends_at: Mapped[datetime | None]
    extra_subscriptions: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    """Others that the vendor charges beside the one that counts: somebody must end them."""
    asked: Mapped[int] = mapped_column(server_default="0")
    """Number of the last look at the vendor that was begun (``mirror``)."""
    applied: Mapped[int] = mapped_column(server_default="0")
    """Number of the look that this row shows."""
    synced_at: Mapped[datetime | None]
    notice_at: Mapped[datetime | None]
    """When the newest applied notice of the HMAC webhooks happened, with ``notice_id``."""
    notice_id: Mapped[str | None]


class BillingInvoice(Model):
    __tablename__ = "billing_invoices"
    __table_args__ = (
        CheckConstraint("due_cents >= 0 AND paid_cents >= 0", name="cents"),
        Index("billing_invoices_account_id_id_idx", "account_id", "id"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("billing_accounts.id", ondelete="CASCADE"))
    provider_id: Mapped[str] = mapped_column(unique=True)
    number: Mapped[str | None]
    status: Mapped[str]
    currency: Mapped[str]
    due_cents: Mapped[int]
    paid_cents: Mapped[int]
    attempts: Mapped[int]
    issued_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime | None]
    hosted_url: Mapped[str | None]
    pdf_url: Mapped[str | None]
    applied: Mapped[int]
    """Number of the look at the vendor that this row shows."""
