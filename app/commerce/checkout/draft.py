"""What an order would be: the result of one computation that preview and checkout share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.commerce.checkout.rules import Totals
from app.commerce.orders.rules import FulfilmentType
from app.commerce.stores.rules import StoreState


@dataclass(frozen=True, slots=True)
class StoreBasis:
    """The parts of a store that decide an order."""

    id: UUID
    name: str
    slug: str
    timezone: str
    state: StoreState
    min_order_cents: int
    free_shipping_above_cents: int | None
    preparation_minutes: int
    payment_methods: tuple[str, ...]
    latitude: float
    longitude: float


@dataclass(slots=True)
class DraftLine:
    product_id: UUID
    variant_id: UUID | None
    category_id: UUID
    name: str
    variant_name: str | None
    quantity: int
    unit_cents: int
    modifiers: list[dict[str, Any]]
    note: str | None
    discount_cents: int = 0

    @property
    def unit_price_cents(self) -> int:
        return self.unit_cents

    @property
    def total_cents(self) -> int:
        return self.unit_cents * self.quantity - self.discount_cents

    def breakdown(self) -> dict[str, Any]:
        """The line as a preview and a refusal show it."""
        return {
            "product_id": self.product_id,
            "variant_id": self.variant_id,
            "name": self.name,
            "variant_name": self.variant_name,
            "quantity": self.quantity,
            "unit_price_cents": self.unit_cents,
            "discount_cents": self.discount_cents,
            "total_cents": self.total_cents,
        }


@dataclass(slots=True)
class Redemption:
    promotion_id: UUID
    name: str
    code: str | None
    is_limited: bool
    """Has a limit that another checkout may reach meanwhile: settled under its row's lock."""
    items_cents: int = 0
    shipping_cents: int = 0


@dataclass(frozen=True, slots=True)
class CouponRefusal:
    code: str
    reason: str
    missing_cents: int | None = None


@dataclass(slots=True)
class Draft:
    store: StoreBasis
    fulfilment: FulfilmentType
    currency: str
    lines: list[DraftLine]
    totals: Totals
    redemptions: list[Redemption]
    refusals: list[CouponRefusal]
    demand: dict[UUID, int]
    """Tracked stock items only, merged, in id order."""
    eta_minutes: int
    distance_meters: int | None = None
    rule_id: UUID | None = None
    scheduled_for: datetime | None = None
    is_promised: bool = False
    """The freight is the one a quote for this very delivery promised."""
    address: dict[str, Any] | None = None
    customer_name: str = ""
    customer_phone: str = ""
    customer_email: str | None = None
    payment_method: str = ""
    change_for_cents: int | None = None
    note: str | None = None
    source: str = "storefront"

    def breakdown(self) -> dict[str, Any]:
        """The answer of a preview, and what a refusal shows so that the client can ask again."""
        totals = self.totals
        return {
            "store": self.store.slug,
            "currency": self.currency,
            "lines": [line.breakdown() for line in self.lines],
            "discounts": [
                {
                    "promotion_id": use.promotion_id,
                    "name": use.name,
                    "code": use.code,
                    "items_cents": use.items_cents,
                    "shipping_cents": use.shipping_cents,
                }
                for use in self.redemptions
            ],
            "coupons_not_applied": [
                {"code": r.code, "reason": r.reason, "missing_cents": r.missing_cents}
                for r in self.refusals
            ],
            "subtotal_cents": totals.subtotal_cents,
            "discount_cents": totals.discount_cents,
            "shipping_cents": totals.shipping_cents,
            "shipping_discount_cents": totals.shipping_discount_cents,
            "total_cents": totals.total_cents,
            "eta_minutes": self.eta_minutes,
            "distance_km": None if self.distance_meters is None else self.distance_meters / 1000,
        }
