"""Orders, their lines, their money, their way to the door, and every change of status."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.commerce.orders.rules import INSTANTS, OrderStatus, is_late
from app.commerce.payments.models import Payment, PaymentRefund
from app.commerce.promotions.models import PromotionRedemption
from app.core.clock import now
from app.core.ddl import one_of
from app.core.model import Json, TenantModel, unique_within_tenant, within_tenant

STATUSES = (
    "pending",
    "confirmed",
    "preparing",
    "ready",
    "out_for_delivery",
    "delivered",
    "rejected",
    "cancelled",
)
SOURCES = ("storefront", "whatsapp", "agent", "admin", "import")


class OrderCounter(TenantModel):
    """The last human number of the tenant; its row lock keeps numbers dense and unique."""

    __tablename__ = "order_counters"
    __table_args__ = (unique_within_tenant(), {"postgresql_with": {"fillfactor": 50}})

    last_number: Mapped[int]


class Order(TenantModel):
    __tablename__ = "orders"
    __goes_by_trigger__ = True
    __table_args__ = (
        unique_within_tenant("number"),
        within_tenant("store_id", "stores"),
        within_tenant("contact_id", "contacts"),
        Index(
            "orders_tenant_id_external_ref_key",
            "tenant_id",
            "external_ref",
            unique=True,
            postgresql_where=text("external_ref IS NOT NULL"),
        ),
        Index("orders_tenant_id_status_id_idx", "tenant_id", "status", "id"),
        Index("orders_tenant_id_contact_id_idx", "tenant_id", "contact_id", "id"),
        Index("orders_tenant_id_store_id_idx", "tenant_id", "store_id", "id"),
        Index("orders_tenant_id_placed_at_idx", "tenant_id", "placed_at", "id"),
        # Partial, so that an ordinary order does not pay for them.
        Index(
            "orders_tenant_id_cart_id_key",
            "tenant_id",
            "cart_id",
            unique=True,
            postgresql_where=text("cart_id IS NOT NULL"),
        ),
        Index(
            "orders_tenant_id_fulfilment_idx",
            "tenant_id",
            "fulfilment",
            "id",
            postgresql_where=text("fulfilment = 'pickup'"),
        ),
        Index(
            "orders_tenant_id_source_idx",
            "tenant_id",
            "source",
            "id",
            postgresql_where=text("source <> 'storefront'"),
        ),
        Index(
            "orders_tenant_id_scheduled_for_idx",
            "tenant_id",
            "scheduled_for",
            "id",
            postgresql_where=text("scheduled_for IS NOT NULL"),
        ),
        # Both spans of time at once: what is outside of either is passed in the index alone.
        Index(
            "orders_scheduled_placed_idx",
            "tenant_id",
            "placed_at",
            "id",
            "scheduled_for",
            postgresql_where=text("scheduled_for IS NOT NULL"),
        ),
        CheckConstraint(one_of("status", STATUSES), name="status"),
        CheckConstraint(one_of("fulfilment", ("delivery", "pickup")), name="fulfilment"),
        CheckConstraint(one_of("source", SOURCES), name="source"),
        CheckConstraint(
            "total_cents = subtotal_cents - discount_cents + shipping_cents"
            " - shipping_discount_cents AND total_cents >= 0",
            name="total",
        ),
    )

    number: Mapped[int]
    store_id: Mapped[UUID]
    contact_id: Mapped[UUID]
    customer_name: Mapped[str]
    customer_phone: Mapped[str | None]
    fulfilment: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="pending")
    version: Mapped[int] = mapped_column(server_default="1")
    """Counts changes; sent as ETag, asked back as If-Match."""
    scheduled_for: Mapped[datetime | None]
    promised_at: Mapped[datetime | None]
    subtotal_cents: Mapped[int]
    discount_cents: Mapped[int] = mapped_column(server_default="0")
    shipping_cents: Mapped[int] = mapped_column(server_default="0")
    shipping_discount_cents: Mapped[int] = mapped_column(server_default="0")
    total_cents: Mapped[int]
    currency: Mapped[str] = mapped_column(server_default="BRL")
    note: Mapped[str | None]
    cancel_reason: Mapped[str | None]
    source: Mapped[str] = mapped_column(server_default="storefront")
    external_ref: Mapped[str | None]
    cart_id: Mapped[UUID | None]
    """The storefront's own key of what it sent; becomes one order at most."""
    placed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    status_at: Mapped[datetime | None]
    """Since when the order has its status; None: since it was placed."""
    confirmed_at: Mapped[datetime | None]
    preparing_at: Mapped[datetime | None]
    ready_at: Mapped[datetime | None]
    dispatched_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    """Delivered, rejected or cancelled: no move comes after it."""
    items: Mapped[list[OrderItem]] = relationship(lazy="raise", order_by="OrderItem.position")
    payments: Mapped[list[Payment]] = relationship(lazy="raise", order_by=Payment.id)
    refunds: Mapped[list[PaymentRefund]] = relationship(
        lazy="raise", order_by=PaymentRefund.id, viewonly=True
    )
    delivery: Mapped[Delivery | None] = relationship(lazy="raise")
    history: Mapped[list[OrderStatusChange]] = relationship(
        lazy="raise", order_by="OrderStatusChange.id"
    )
    redemptions: Mapped[list[PromotionRedemption]] = relationship(
        lazy="raise", order_by=PromotionRedemption.id, viewonly=True
    )

    notes: Mapped[list[OrderNote]] = relationship(lazy="raise", order_by="OrderNote.id")
    edits: Mapped[list[OrderEdit]] = relationship(lazy="raise", order_by="OrderEdit.id")

    @property
    def is_late(self) -> bool:
        """Whether it came, or will come, later than promised."""
        return is_late(OrderStatus(self.status), self.promised_at, self.closed_at, now())

    @property
    def status_since(self) -> datetime:
        return self.status_at or self.placed_at

    def enter(self, status: OrderStatus, at: datetime) -> None:
        """Take the status and remember since when; counts as a change."""
        self.status, self.status_at, self.version = status.value, at, self.version + 1
        setattr(self, INSTANTS[status], at)


class OrderItem(TenantModel):
    __tablename__ = "order_items"
    __table_args__ = (
        within_tenant("order_id", "orders", ondelete="CASCADE"),
        Index("order_items_tenant_id_order_id_idx", "tenant_id", "order_id"),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint(
            "total_cents = unit_price_cents * quantity - discount_cents AND total_cents >= 0",
            name="total",
        ),
    )

    order_id: Mapped[UUID]
    position: Mapped[int]
    # No foreign key: the line keeps its own names and prices, whatever becomes of the product.
    product_id: Mapped[UUID | None]
    variant_id: Mapped[UUID | None]
    name: Mapped[str]
    variant_name: Mapped[str | None]
    unit_price_cents: Mapped[int]
    """Of one, modifiers included."""
    quantity: Mapped[int]
    discount_cents: Mapped[int] = mapped_column(server_default="0")
    total_cents: Mapped[int]
    modifiers: Mapped[list[dict[str, Any]]] = mapped_column(JSONB(), server_default=text("'[]'"))
    """[{id, name, price_cents, quantity}]"""
    note: Mapped[str | None]
    list_price_cents: Mapped[int | None]
    """What the catalogue asked of one, where staff set another price."""


class Delivery(TenantModel):
    __tablename__ = "deliveries"
    __table_args__ = (
        within_tenant("order_id", "orders", ondelete="CASCADE"),
        unique_within_tenant("order_id"),
    )

    order_id: Mapped[UUID]
    postal_code: Mapped[str]
    address: Mapped[Json]
    distance_meters: Mapped[int | None]
    fee_cents: Mapped[int]
    minutes: Mapped[int]
    """Promised time to the door, preparation included."""
    rule_id: Mapped[UUID | None]


class OrderStatusChange(TenantModel):
    __tablename__ = "order_status_changes"
    __table_args__ = (
        within_tenant("order_id", "orders", ondelete="CASCADE"),
        Index("order_status_changes_tenant_id_order_id_idx", "tenant_id", "order_id"),
    )

    order_id: Mapped[UUID]
    before: Mapped[str | None]
    after: Mapped[str]
    actor_kind: Mapped[str]
    actor_name: Mapped[str]
    reason: Mapped[str | None]


class OrderNote(TenantModel):
    """What the staff tell each other about an order; the customer never sees it."""

    __tablename__ = "order_notes"
    __table_args__ = (
        within_tenant("order_id", "orders", ondelete="CASCADE"),
        Index("order_notes_tenant_id_order_id_idx", "tenant_id", "order_id"),
    )

    order_id: Mapped[UUID]
    body: Mapped[str]
    actor_name: Mapped[str]


class OrderEdit(TenantModel):
    """One change of what was ordered: the order before, after, and what it did to the money."""

    __tablename__ = "order_edits"
    __table_args__ = (
        within_tenant("order_id", "orders", ondelete="CASCADE"),
        Index("order_edits_tenant_id_order_id_idx", "tenant_id", "order_id"),
    )

    order_id: Mapped[UUID]
    version: Mapped[int]
    """The order's version that it made."""
    before: Mapped[Json]
    after: Mapped[Json]
    difference_cents: Mapped[int]
    """New total less the old one."""
    reason: Mapped[str | None]
    actor_kind: Mapped[str]
    actor_name: Mapped[str]
