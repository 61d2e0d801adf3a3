"""From an order and what shall change of it to the cart it would be: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.commerce.orders.models import Order, OrderItem


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a cart to be, and the line of the order it was."""

    product_id: UUID
    variant_id: UUID | None
    quantity: int
    modifiers: list[dict[str, Any]] = field(default_factory=list)
    note: str | None = None
    price_cents: int | None = None
    was: OrderItem | None = None

    def asked(self) -> dict[str, Any]:
        """The line as a cart asks for it."""
        return {
            "product_id": self.product_id,
            "variant_id": self.variant_id,
            "quantity": self.quantity,
            "modifiers": self.modifiers,
            "note": self.note,
        }


def line_of(item: OrderItem) -> Line | None:
    """A line of an order as it could be asked for again; None when its product is not known."""
    if item.product_id is None:
        return None
    return Line(
        product_id=item.product_id,
        variant_id=item.variant_id,
        quantity=item.quantity,
        modifiers=[{"id": m["id"], "quantity": m["quantity"]} for m in item.modifiers],
        note=item.note,
        # A price that staff set stays until they set another.
        price_cents=item.unit_price_cents if item.list_price_cents is not None else None,
        was=item,
    )


def own_prices(lines: Iterable[Line]) -> dict[int, int]:
    """Prices that staff set, by position."""
    return {n: line.price_cents for n, line in enumerate(lines) if line.price_cents is not None}


def snapshot(order: Order) -> dict[str, Any]:
    """What an edit may change of an order, as JSON."""
    delivery = order.delivery
    return {
        "items": [
            {
                "name": item.name,
                "variant_name": item.variant_name,
                "quantity": item.quantity,
                "unit_price_cents": item.unit_price_cents,
                "total_cents": item.total_cents,
                "modifiers": [f"{m['quantity']} x {m['name']}" for m in item.modifiers],
                "note": item.note,
            }
            for item in order.items
        ],
        "subtotal_cents": order.subtotal_cents,
        "discount_cents": order.discount_cents,
        "shipping_cents": order.shipping_cents,
        "shipping_discount_cents": order.shipping_discount_cents,
        "total_cents": order.total_cents,
        "address": delivery.address if delivery is not None else None,
        "note": order.note,
        "scheduled_for": order.scheduled_for.isoformat() if order.scheduled_for else None,
    }
