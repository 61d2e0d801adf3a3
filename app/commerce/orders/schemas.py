"""Wire models of orders: for the staff, and for the customer who follows one."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field

from app.commerce.orders.rules import FulfilmentType, OrderStatus
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


class PaymentRead(Output):
    id: UUID
    method: str
    amount_cents: int
    status: str
    change_for_cents: int | None


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
    items: list[OrderItemRead]
    payments: list[PaymentRead]
    delivery: DeliveryRead | None
    redemptions: list[DiscountLineRead]
    history: list[StatusChangeRead]
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


class CustomerCancel(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "errei o endereço"}]})

    reason: str = Field("cancelado pelo cliente", min_length=3, max_length=280)
