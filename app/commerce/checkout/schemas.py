"""Wire models of preview and checkout."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, EmailStr, Field
from pydantic.config import JsonDict

from app.commerce.orders.rules import FulfilmentType, OrderStatus
from app.core.schema import Input, Instant, Output

Text80 = Annotated[str, Field(min_length=1, max_length=80)]
_ADDRESS: JsonDict = {
    "postal_code": "01310-100",
    "street": "Avenida Paulista",
    "number": "1578",
    "complement": "ap 42",
    "district": "Bela Vista",
    "city": "São Paulo",
    "state": "SP",
}
_ITEM: JsonDict = {
    "product_id": "01931b2e-7c00-7000-8000-000000000001",
    "quantity": 2,
    "modifiers": [{"id": "01931b2e-7c00-7000-8000-0000000000a1", "quantity": 1}],
    "note": "sem cebola",
}
_CART: JsonDict = {
    "store": "vila-madalena",
    "fulfilment": "delivery",
    "address": _ADDRESS,
    "items": [_ITEM],
    "coupons": ["BEMVINDO10"],
}


class AddressIn(Input):
    postal_code: str = Field(min_length=8, max_length=10, description="CEP, 8 digits.")
    street: Text80
    number: str = Field(min_length=1, max_length=20)
    complement: str | None = Field(None, max_length=80)
    district: str | None = Field(None, max_length=80)
    city: Text80
    state: str = Field(min_length=2, max_length=2)


class ModifierIn(Input):
    id: UUID
    quantity: int = Field(1, ge=1, le=50)


class ItemIn(Input):
    product_id: UUID
    variant_id: UUID | None = None
    quantity: int = Field(ge=1, le=999)
    modifiers: list[ModifierIn] = Field(default_factory=list, max_length=50)
    note: str | None = Field(None, max_length=280)


class CustomerIn(Input):
    name: str = Field(min_length=2, max_length=120)
    phone: str = Field(min_length=8, max_length=25)
    email: EmailStr | None = None


class PaymentIn(Input):
    method: Literal["cash", "card_on_delivery", "pix", "stripe"]
    change_for_cents: int | None = Field(
        None, ge=0, le=10_000_000, description="Cash only: the note paid with."
    )


class CartIn(Input):
    """What a preview needs; a checkout adds who orders and how they pay."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CART]})

    store: str = Field(min_length=1, max_length=80, description="Slug of the store.")
    fulfilment: FulfilmentType
    address: AddressIn | None = Field(None, description="Required for delivery.")
    scheduled_for: Instant | None = Field(
        None, description="Start of a pre-order slot, with offset; empty: as soon as possible."
    )
    items: list[ItemIn] = Field(min_length=1, max_length=100)
    coupons: list[Annotated[str, Field(min_length=1, max_length=40)]] = Field(
        default_factory=list, max_length=5
    )
    customer_phone: str | None = Field(
        None,
        max_length=25,
        description="Preview only: lets limits per customer and first-order offers count.",
    )


class CheckoutIn(CartIn):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_CART,
                    "customer": {"name": "Maria da Silva", "phone": "(11) 98765-4321"},
                    "payment": {"method": "pix"},
                    "expected_total_cents": 12870,
                }
            ]
        }
    )

    customer: CustomerIn
    payment: PaymentIn
    quote: str | None = Field(
        None, max_length=2000, description="The signed quote of POST /shipping/quote."
    )
    expected_total_cents: int | None = Field(
        None, ge=0, description="What the customer saw; another total answers 409."
    )
    cart_id: UUID | None = Field(
        None,
        description="Your own key of this cart: it becomes one order at most, whatever the"
        " Idempotency-Keys of its checkouts are.",
    )
    note: str | None = Field(None, max_length=500)


class DiscountRead(Output):
    promotion_id: UUID
    name: str
    code: str | None
    items_cents: int
    shipping_cents: int


class CouponRead(Output):
    code: str
    reason: str = Field(description="Machine-readable: unknown, expired, below-minimum, …")
    text: str = Field(description="For the customer, in the language of Accept-Language.")
    missing_cents: int | None = None
    missing_units: int | None = None


class TriedCouponRead(Output):
    code: str
    reason: str | None = Field(None, description="Why it does not apply; null: it does.")
    text: str = Field(description="For the customer, in the language of Accept-Language.")
    items_cents: int = Field(0, description="Taken off the items.")
    shipping_cents: int = Field(0, description="Taken off the freight.")
    missing_cents: int | None = None
    missing_units: int | None = None


class WithinReachRead(Output):
    """What applies by itself as soon as a little more is ordered."""

    promotion_id: UUID
    name: str
    reason: Literal["below-minimum", "too-few-items"]
    text: str
    missing_cents: int | None = None
    missing_units: int | None = None


class LineRead(Output):
    product_id: UUID
    variant_id: UUID | None
    name: str
    variant_name: str | None
    quantity: int
    unit_price_cents: int
    discount_cents: int
    total_cents: int


class BreakdownRead(Output):
    """The same computation for preview and checkout."""

    store: str
    currency: str
    lines: list[LineRead]
    discounts: list[DiscountRead]
    coupons_not_applied: list[CouponRead]
    subtotal_cents: int
    discount_cents: int
    shipping_cents: int
    shipping_discount_cents: int
    total_cents: int
    eta_minutes: int | None
    distance_km: float | None


class PreviewRead(BreakdownRead):
    offers_within_reach: list[WithinReachRead]


class CouponsRead(Output):
    """What the coupons of a cart are worth, also while it cannot be ordered yet."""

    coupons: list[TriedCouponRead]
    offers_within_reach: list[WithinReachRead]
    subtotal_cents: int
    discount_cents: int
    shipping_cents: int
    shipping_discount_cents: int
    total_cents: int


class PlacedRead(BreakdownRead):
    id: UUID
    number: int
    status: OrderStatus
    fulfilment: FulfilmentType
    scheduled_for: datetime | None
    promised_at: datetime
    tracking_token: str
    tracking_path: str = Field(description="GET it to follow the order, no login needed.")
