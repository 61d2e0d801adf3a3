"""What an order would be: the result of one computation that preview and checkout share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.commerce.checkout.basis import StoreBasis
from app.commerce.checkout.rules import Totals
from app.commerce.orders.rules import FulfilmentType
from app.commerce.promotions.offers import Promotion, Reason, Unused
from app.commerce.promotions.words import Reader, applied, why
from app.core.ids import new_id
from app.core.language import Language

_MORE_HELPS = (Reason.BELOW_MINIMUM, Reason.TOO_FEW_ITEMS)


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
    list_cents: int | None = None
    """What the catalogue asked of one, where staff set another price."""

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

    def document(self, position: int) -> dict[str, Any]:
        """The line as ``write_order`` reads it."""
        return {
            "id": new_id(),
            "position": position,
            "product_id": self.product_id,
            "variant_id": self.variant_id,
            "name": self.name,
            "variant_name": self.variant_name,
            "unit_price_cents": self.unit_cents,
            "quantity": self.quantity,
            "discount_cents": self.discount_cents,
            "modifiers": self.modifiers,
            "note": self.note,
        }


@dataclass(slots=True)
class Redemption:
    promotion_id: UUID
    name: str
    code: str | None
    items_cents: int = 0
    shipping_cents: int = 0
    by_codes: bool = False
    """``code`` is one of many, with a limit of its own."""
    by_line: dict[int, int] = field(default_factory=dict)
    """What of ``items_cents`` each line gets, by its position."""

    def document(self) -> dict[str, Any]:
        """The use as ``write_order`` reads it."""
        return {
            "id": new_id(),
            "promotion_id": self.promotion_id,
            "name": self.name,
            "code": self.code,
            "amount_cents": self.items_cents,
            "shipping_cents": self.shipping_cents,
        }


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a promotion takes nothing off, and what there is to know of it."""

    unused: Unused
    rule: Promotion | None
    """None: there is no such code."""

    def told(self, reader: Reader) -> dict[str, Any]:
        """What a coupon's customer reads of it."""
        return {
            "code": self.unused.code,
            "reason": self.unused.reason.value,
            "text": why(self.unused, self.rule, reader),
            "missing_cents": self.unused.missing_cents,
            "missing_units": self.unused.missing_units,
        }


@dataclass(slots=True)
class Draft:
    store: StoreBasis
    fulfilment: FulfilmentType
    currency: str
    lines: list[DraftLine]
    totals: Totals
    redemptions: list[Redemption]
    refusals: list[Refusal]
    """Promotions that might have applied and do not, and codes that are nobody's."""
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
    customer_phones: tuple[str, ...] = ()
    """The number in E.164, then the forms under which the same person may be known."""
    customer_email: str | None = None
    payment_method: str = ""
    change_for_cents: int | None = None
    note: str | None = None
    cart_id: UUID | None = None
    source: str = "storefront"
    language: Language = "pt"

    @property
    def reader(self) -> Reader:
        return Reader(self.language, self.store.timezone, self.currency)

    def refused_coupons(self) -> list[dict[str, Any]]:
        """Every code that was typed in vain."""
        return [r.told(self.reader) for r in self.refusals if r.unused.code is not None]

    def applied_coupons(self) -> list[dict[str, Any]]:
        """Every code that was typed with success, told as the others are."""
        return [
            {
                "code": use.code,
                "text": applied(use.items_cents + use.shipping_cents, self.reader),
                "items_cents": use.items_cents,
                "shipping_cents": use.shipping_cents,
            }
            for use in self.redemptions
            if use.code is not None
        ]

    def within_reach(self) -> list[dict[str, Any]]:
        """What applies by itself as soon as a little more is ordered."""
        return [
            r.told(self.reader) | {"promotion_id": r.rule.id, "name": r.rule.name}
            for r in self.refusals
            if r.rule is not None and r.rule.is_automatic and r.unused.reason in _MORE_HELPS
        ]

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
            "coupons_not_applied": self.refused_coupons(),
            "subtotal_cents": totals.subtotal_cents,
            "discount_cents": totals.discount_cents,
            "shipping_cents": totals.shipping_cents,
            "shipping_discount_cents": totals.shipping_discount_cents,
            "total_cents": totals.total_cents,
            "eta_minutes": self.eta_minutes,
            "distance_km": None if self.distance_meters is None else self.distance_meters / 1000,
        }

    def document(
        self, order_id: UUID, promised_at: datetime, actor: tuple[str, str]
    ) -> dict[str, Any]:
        """The order as ``write_order`` reads it; rooms that are empty are absent."""
        document: dict[str, Any] = {
            "id": order_id,
            "contact_id": new_id(),
            "store_id": self.store.id,
            "phones": _array(self.customer_phones),
            "customer_name": self.customer_name,
            "customer_email": self.customer_email,
            "fulfilment": self.fulfilment,
            "scheduled_for": self.scheduled_for,
            "promised_at": promised_at,
            "currency": self.currency,
            "note": self.note,
            "source": self.source,
            "payment_method": self.payment_method,
            "change_for_cents": self.change_for_cents,
            "actor_kind": actor[0],
            "actor_name": actor[1],
            "lines": [line.document(n) for n, line in enumerate(self.lines)],
        }
        return document | self._sums() | self._carriage() | self._takings()

    def _sums(self) -> dict[str, Any]:
        totals = self.totals
        return {
            "subtotal_cents": totals.subtotal_cents,
            "discount_cents": totals.discount_cents,
            "shipping_cents": totals.shipping_cents,
            "shipping_discount_cents": totals.shipping_discount_cents,
            "total_cents": totals.total_cents,
        }

    def _carriage(self) -> dict[str, Any]:
        if self.address is None:
            return {}
        return {
            "postal_code": self.address["postal_code"],
            "address": self.address,
            "distance_meters": self.distance_meters,
            "minutes": self.eta_minutes,
            "rule_id": self.rule_id,
        }

    def _takings(self) -> dict[str, Any]:
        """What the order takes away from others: its cart, uses of promotions, and stock."""
        found: dict[str, Any] = {}
        if self.cart_id:
            found["cart_id"] = self.cart_id
        if self.redemptions:
            found["uses"] = [use.document() for use in self.redemptions]
        if self.demand:
            found["stock_items"] = _array(self.demand)
            found["stock_quantities"] = _array(self.demand.values())
            found["stock_movements"] = _array(new_id() for _ in self.demand)
        return found


def _array(values: Iterable[object]) -> str:
    """An array as Postgres reads it from text; of ids, numbers and phones, which need no quotes."""
    return f"{{{','.join(map(str, values))}}}"
