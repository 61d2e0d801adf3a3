"""Payments of orders, what goes back of them, and how the tenant is paid."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.commerce.payments.pix import KeyType
from app.commerce.payments.rules import FLAGS
from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant, within_tenant

PAYMENT_METHODS = ("cash", "card_on_delivery", "pix", "stripe", "other")
PAYMENT_STATUSES = ("pending", "authorised", "paid", "failed", "refunded", "cancelled")
REFUND_STATUSES = ("pending", "done", "failed")


class Payment(TenantModel):
    """Changed only by whoever holds its order's row."""

    __tablename__ = "payments"
    __table_args__ = (
        within_tenant("order_id", "orders", ondelete="CASCADE"),
        Index("payments_tenant_id_order_id_idx", "tenant_id", "order_id"),
        Index(
            "payments_tenant_id_status_order_id_idx",
            "tenant_id",
            "status",
            "order_id",
            postgresql_where=text("status <> 'pending'"),
        ),
        # Also by status alone, method after method: ``pending`` has no index of its own, which
        # every checkout would write.
        Index("payments_tenant_id_method_status_idx", "tenant_id", "method", "status", "order_id"),
        CheckConstraint(one_of("method", PAYMENT_METHODS), name="method"),
        CheckConstraint(one_of("status", PAYMENT_STATUSES), name="status"),
        CheckConstraint("amount_cents >= 0", name="amount_cents"),
        # One condition: each is parsed anew for every order.
        CheckConstraint(
            f"received_cents >= 0 AND (flag IS NULL OR {one_of('flag', FLAGS)})", name="received"
        ),
    )

    order_id: Mapped[UUID]
    method: Mapped[str]
    amount_cents: Mapped[int]
    status: Mapped[str] = mapped_column(server_default="pending")
    change_for_cents: Mapped[int | None]
    """The note the customer pays cash with."""
    received_cents: Mapped[int] = mapped_column(server_default="0")
    flag: Mapped[str | None]
    """Why a person should look: short, over, late, currency."""
    provider_ref: Mapped[str | None]
    """The vendor's id of the intent."""
    error: Mapped[str | None]
    """Why the last attempt to pay failed, in the vendor's words."""
    paid_at: Mapped[datetime | None]


class PaymentRefund(TenantModel):
    """Money on its way back; a row per intent, whoever carries it out."""

    __tablename__ = "payment_refunds"
    __table_args__ = (
        within_tenant("payment_id", "payments", ondelete="CASCADE"),
        within_tenant("order_id", "orders", ondelete="CASCADE"),
        Index("payment_refunds_tenant_id_order_id_idx", "tenant_id", "order_id"),
        Index("payment_refunds_tenant_id_payment_id_idx", "tenant_id", "payment_id"),
        CheckConstraint("amount_cents > 0", name="amount_cents"),
        CheckConstraint(one_of("status", REFUND_STATUSES), name="status"),
    )

    payment_id: Mapped[UUID]
    order_id: Mapped[UUID]
    amount_cents: Mapped[int]
    reason: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="pending")
    tries: Mapped[int] = mapped_column(server_default="1")
    """Part of the key at the vendor: one more try after a refusal is a new refund there."""
    provider_ref: Mapped[str | None]
    error: Mapped[str | None]
    actor_name: Mapped[str]
    settled_at: Mapped[datetime | None]


class PaymentSettings(TenantModel):
    __tablename__ = "payment_settings"
    __table_args__ = (
        unique_within_tenant(),
        CheckConstraint(one_of("pix_key_type", tuple(KeyType)), name="pix_key_type"),
        CheckConstraint(
            "(pix_key IS NULL) = (pix_key_type IS NULL) AND (pix_key IS NULL OR"
            " (merchant_name IS NOT NULL AND merchant_city IS NOT NULL))",
            name="pix",
        ),
        CheckConstraint("unpaid_minutes BETWEEN 5 AND 10080", name="unpaid_minutes"),
    )

    pix_key: Mapped[str | None]
    pix_key_type: Mapped[str | None]
    merchant_name: Mapped[str | None]
    merchant_city: Mapped[str | None]
    unpaid_minutes: Mapped[int | None]
    """After so long a pending order that was to be paid beforehand is cancelled."""
