"""Wire models of orders: for the staff, and for the customer who follows one."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field

from app.commerce.orders.rules import FulfilmentType, OrderStatus
from app.commerce.payments.schemas import OrderPaymentRead, PaymentPage, RefundRead
from app.core.schema import Input, Output


class OrderSummaryRead(Output):
    """A row of the list."""

    id: UUID
    number: int
    status: OrderStatus
    version: int
    fulfilment: FulfilmentType
    store_id: UUID
    contact_id: UUID
    customer_name: str
    customer_phone: str | None
    total_cents: int
    currency: str
    source: str
    scheduled_for: datetime | None
    promised_at: datetime | None
    placed_at: datetime
    status_since: datetime = Field(description="Time in status counts from here.")
    is_late: bool = Field(description="Came, or will come, later than promised.")


class OrderItemRead(Output):
    product_id: UUID | None
    variant_id: UUID | None
    name: str
    variant_name: str | None
    unit_price_cents: int
    quantity: int
    discount_cents: int
    total_cents: int
    modifiers: list[dict[str, Any]]
    note: str | None


class LineRead(OrderItemRead):
    """A line as the staff see it."""

    id: UUID
    list_price_cents: int | None = Field(
        description="What the catalogue asked of one, where staff set another price."
    )


class NoteRead(Output):
    id: UUID
    body: str
    actor_name: str
    created_at: datetime


class EditRead(Output):
    version: int
    before: dict[str, Any]
    after: dict[str, Any]
    difference_cents: int
    reason: str | None
    actor_name: str
    created_at: datetime


class DeliveryRead(Output):
    postal_code: str
    address: dict[str, Any]
    distance_meters: int | None
    fee_cents: int
    minutes: int


class StatusChangeRead(Output):
    before: OrderStatus | None
    after: OrderStatus
    actor_name: str
    reason: str | None
    created_at: datetime


class DiscountLineRead(Output):
    promotion_id: UUID
    name: str
    code: str | None
    amount_cents: int
    shipping_cents: int
    released_at: datetime | None


class OrderRead(OrderSummaryRead):
    subtotal_cents: int
    discount_cents: int
    shipping_cents: int
    shipping_discount_cents: int
    note: str | None
    cancel_reason: str | None
    external_ref: str | None
    confirmed_at: datetime | None
    preparing_at: datetime | None
    ready_at: datetime | None
    dispatched_at: datetime | None
    closed_at: datetime | None
    items: list[LineRead]
    payments: list[OrderPaymentRead]
    refunds: list[RefundRead]
    delivery: DeliveryRead | None
    redemptions: list[DiscountLineRead]
    history: list[StatusChangeRead]
    notes: list[NoteRead]
    edits: list[EditRead]
    allowed: list[OrderStatus] = Field(description="Statuses the order may move to now.")


class TrackingStepRead(Output):
    status: OrderStatus
    at: datetime


class TrackingRead(Output):
    """What the customer sees; nothing of the staff, nothing of other orders."""

    id: UUID
    number: int
    status: OrderStatus
    fulfilment: FulfilmentType
    store_name: str
    store_phone: str | None
    customer_name: str
    placed_at: datetime
    scheduled_for: datetime | None
    promised_at: datetime | None
    items: list[OrderItemRead]
    subtotal_cents: int
    discount_cents: int
    shipping_cents: int
    shipping_discount_cents: int
    total_cents: int
    currency: str
    payment_method: str
    payment: PaymentPage | None = Field(description="How and until when it is paid.")
    cancel_reason: str | None
    may_cancel: bool
    steps: list[TrackingStepRead]


class Transition(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"to": "confirmed"},
                {"to": "rejected", "reason": "acabou a massa"},
            ]
        }
    )

    to: OrderStatus
    reason: str | None = Field(None, min_length=3, max_length=280)


class BulkItem(Input):
    order_id: UUID
    version: int | None = Field(None, ge=1, description="That was read; empty: whatever it is.")


class BulkTransition(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "to": "confirmed",
                    "items": [{"order_id": "01931b2e-7c00-7000-8000-000000000001", "version": 1}],
                }
            ]
        }
    )

    to: OrderStatus
    reason: str | None = Field(None, min_length=3, max_length=280)
    items: list[BulkItem] = Field(min_length=1, max_length=100)


class BulkResult(Output):
    """What became of one order; the code is a problem's of /problems."""

    order_id: UUID
    ok: bool
    number: int | None = None
    status: OrderStatus | None = Field(None, description="Where it is now, as far as known.")
    version: int | None = None
    code: str | None = None
    title: str | None = None


class BulkRead(Output):
    results: list[BulkResult] = Field(description="In the order that was asked.")


class CancelReason(StrEnum):
    """Why customers cancel; the shop counts these."""

    CHANGED_MIND = "changed-mind"
    WRONG_ADDRESS = "wrong-address"
    WRONG_ITEMS = "wrong-items"
    TOO_LONG = "too-long"
    TWICE = "ordered-twice"
    OTHER = "other"


_WORDS = {
    CancelReason.CHANGED_MIND: "cliente desistiu",
    CancelReason.WRONG_ADDRESS: "endereço errado",
    CancelReason.WRONG_ITEMS: "itens errados",
    CancelReason.TOO_LONG: "demora",
    CancelReason.TWICE: "pedido em duplicidade",
    CancelReason.OTHER: "cancelado pelo cliente",
}


class CustomerCancel(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"why": "wrong-address", "reason": "errei o número"}]}
    )

    why: CancelReason = CancelReason.OTHER
    reason: str | None = Field(None, min_length=3, max_length=280, description="In own words.")

    @property
    def words(self) -> str:
        """What the shop reads."""
        kind = _WORDS[self.why]
        return f"{kind}: {self.reason}" if self.reason else kind
