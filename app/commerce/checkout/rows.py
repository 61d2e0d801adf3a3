"""Rows as JSON, as the context statement answers them, read into what the rules understand."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from app.commerce.catalog.rules import shelves
from app.commerce.checkout.basis import (
    Customer,
    Extra,
    Group,
    Offer,
    Prices,
    Product,
    StoreBasis,
    Variant,
)
from app.commerce.checkout.rules import Modifier, ModifierGroup
from app.commerce.promotions.rows import instant, promotion_of
from app.commerce.shipping import rules as shipping
from app.commerce.stores.rules import Channel, PreorderPolicy, Schedule, StoreState

Row = dict[str, Any]


@lru_cache(maxsize=2048)
def store_basis(text: str) -> StoreBasis:
    """Parse a store's row; cached by its text, which changes whenever the store does."""
    row = orjson.loads(text)
    channels = {Channel.DELIVERY: "delivery_enabled", Channel.PICKUP: "pickup_enabled"}
    preorder = PreorderPolicy(
        row["preorder_lead_minutes"],
        row["preorder_slot_minutes"],
        row["preorder_horizon_days"],
        row["preorder_capacity"],
        row["preorder_delivery_capacity"],
        row["preorder_pickup_capacity"],
    )
    return StoreBasis(
        id=UUID(row["id"]),
        name=row["name"],
        slug=row["slug"],
        timezone=row["timezone"],
        state=StoreState(
            schedule=Schedule.from_rows(row["timezone"], row["hours"], row["exceptions"]),
            is_active=row["is_active"],
            channels=frozenset(c for c, field in channels.items() if row[field]),
            preorder=preorder if row["preorder_enabled"] else None,
            cutoff_minutes=row["cutoff_minutes"],
            paused_until=instant(row["paused_until"]),
        ),
        min_order_cents=row["min_order_cents"],
        free_shipping_above_cents=row["free_shipping_above_cents"],
        preparation_minutes=row["preparation_minutes"] + row["busy_minutes"],
        payment_methods={channel: _accepted(row, channel) for channel in Channel},
        is_by_road=row["distance_source"] == "road",
        latitude=row["latitude"],
        longitude=row["longitude"],
    )


def _accepted(row: Row, channel: Channel) -> tuple[str, ...]:
    taken, narrowed = row["payment_methods"], row[f"{channel.value}_payment_methods"]
    return tuple(m for m in taken if narrowed is None or m in narrowed)


def products(rows: list[Row], timezone: str) -> dict[UUID, Product]:
    """Products by id; those that offer the same group share one object of it."""
    groups: dict[str, Group] = {}
    found = (_product(row, groups, timezone) for row in rows)
    return {product.id: product for product in found}


def _product(row: Row, groups: dict[str, Group], timezone: str) -> Product:
    offered = row["groups"] or ()
    for group in offered:
        if group["id"] not in groups:
            groups[group["id"]] = _group(group)
    variants = [
        Variant(UUID(v["id"]), v["name"], Prices(v["delivery"], v["pickup"]), v["is_tracked"])
        for v in row["variants"] or ()
    ]
    return Product(
        id=UUID(row["id"]),
        category_id=UUID(row["category_id"]),
        name=row["name"],
        prices=Prices(row["delivery"], row["pickup"]),
        for_delivery=row["for_delivery"],
        for_pickup=row["for_pickup"],
        is_tracked=row["is_tracked"],
        variants={v.id: v for v in variants},
        groups=tuple(groups[group["id"]] for group in offered),
        shelves=shelves(timezone, row["shelves"]),
    )


def _group(row: Row) -> Group:
    modifiers = row["modifiers"] or ()
    rule = ModifierGroup(
        UUID(row["id"]),
        tuple(Modifier(UUID(m["id"]), m["price_cents"], m["max_quantity"]) for m in modifiers),
        min_choices=row["min_choices"],
        max_choices=row["max_choices"],
        is_required=row["min_choices"] > 0,
        free_quantity=row["free_quantity"],
    )
    extras = {UUID(m["id"]): Extra(m["name"], m["price_cents"], m["is_tracked"]) for m in modifiers}
    return Group(rule, extras)


def shipping_rule(row: Row) -> shipping.ShippingRule:
    """A store's shipping rule."""
    return shipping.ShippingRule(
        id=UUID(row["id"]),
        kind=shipping.ShippingKind(row["kind"]),
        fee_cents=row["fee_cents"],
        minutes=row["minutes"],
        priority=row["position"],
        max_km=row["max_meters"] / 1000 if row["max_meters"] else None,
        cep_first=row["cep_from"],
        cep_last=row["cep_to"],
        district=row["district"],
    )


def offer(row: Row) -> Offer:
    """A promotion, and whether another checkout could use it up meanwhile."""
    limits = ("usage_limit", "per_customer_limit", "budget_cents")
    is_limited = (
        row["kind"] == "first_order"
        or row["by_codes"]
        or any(row[name] is not None for name in limits)
    )
    return Offer(promotion_of(row), is_limited)


def customer(row: Row | None) -> Customer | None:
    """Whom the phone belongs to."""
    return Customer(row["phone"], row["is_blocked"], row["has_ordered"]) if row else None
