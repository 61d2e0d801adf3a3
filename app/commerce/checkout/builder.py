"""From a cart and what the database said to a draft: steps 1, 2, 4, 5 and 6 of a checkout, pure.

Preview and checkout call the same function, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from app.commerce.checkout.basis import Basis
from app.commerce.checkout.draft import CouponRefusal, Draft, DraftLine, Redemption, StoreBasis
from app.commerce.checkout.problems import (
    AddressRequired,
    BelowMinimumOrder,
    ItemsUnavailable,
    OutOfStock,
    StoreClosed,
)
from app.commerce.checkout.rows import (
    Row,
    is_limited,
    modifier_group,
    promotion_rule,
    shipping_rule,
    store_basis,
)
from app.commerce.checkout.rules import (
    Choice,
    LinePrice,
    StockUse,
    Totals,
    price_line,
    shortages,
    stock_demand,
)
from app.commerce.checkout.schemas import CartIn, ItemIn
from app.commerce.orders.rules import FulfilmentType
from app.commerce.promotions import rules as promotions
from app.commerce.shipping import rules as shipping
from app.commerce.shipping.problems import OutOfDeliveryArea
from app.commerce.shipping.service import SignedQuote
from app.commerce.stores.problems import StoreNotFound
from app.commerce.stores.rules import (
    Channel,
    availability,
)


def build(
    cart: CartIn,
    basis: Basis,
    *,
    at: datetime,
    currency: str,
    postal_code: str | None,
    codes: tuple[str, ...],
    promise: SignedQuote | None = None,
) -> Draft:
    """Compute the order this cart would be at ``at``.

    Raises StoreNotFound, StoreClosed, AddressRequired, ItemsUnavailable, OutOfStock,
    BelowMinimumOrder, OutOfDeliveryArea.
    """
    store = _open_store(cart, basis, at)
    if cart.fulfilment is FulfilmentType.DELIVERY and postal_code is None:
        raise AddressRequired()
    lines, demand = _price(cart, basis), _demand(cart.items, basis)
    _require_stock(demand, basis)
    subtotal = sum(line.unit_cents * line.quantity for line in lines)
    _require_minimum(store, subtotal)
    quote = _ship(cart, basis, store, subtotal, postal_code, promise)
    fee = quote.fee_cents if quote else 0
    redemptions, refusals = _discount(lines, basis, store, fee, at, codes)
    return Draft(
        store=store,
        fulfilment=cart.fulfilment,
        currency=currency,
        lines=lines,
        totals=_totals(subtotal, lines, fee, redemptions),
        redemptions=redemptions,
        refusals=refusals,
        demand=demand,
        eta_minutes=quote.eta_minutes if quote else store.preparation_minutes,
        distance_meters=_meters(quote),
        rule_id=quote.rule_id if quote else None,
        scheduled_for=cart.scheduled_for,
        is_promised=quote is not None and _kept(promise, cart, store, postal_code),
    )


def _open_store(cart: CartIn, basis: Basis, at: datetime) -> StoreBasis:
    if basis.store is None:
        raise StoreNotFound()
    store = store_basis(basis.store)
    found = availability(store.state, Channel(cart.fulfilment.value), at, cart.scheduled_for)
    if not found.open:
        raise StoreClosed(
            reasons=[reason.value for reason in found.reasons],
            next_available_at=found.next_available_at,
        )
    return store


def _require_minimum(store: StoreBasis, subtotal: int) -> None:
    missing = store.min_order_cents - subtotal
    if missing > 0:
        raise BelowMinimumOrder(minimum_cents=store.min_order_cents, missing_cents=missing)


def _totals(
    subtotal: int, lines: list[DraftLine], fee: int, redemptions: list[Redemption]
) -> Totals:
    return Totals(
        subtotal,
        sum(line.discount_cents for line in lines),
        fee,
        sum(use.shipping_cents for use in redemptions),
    )


def _meters(quote: shipping.Quote | None) -> int | None:
    if quote is None or quote.distance_km is None:
        return None
    return round(quote.distance_km * 1000)


def _price(cart: CartIn, basis: Basis) -> list[DraftLine]:
    """Price every line from the catalogue, or list every line that cannot be ordered."""
    lines: list[DraftLine] = []
    wrong: list[dict[str, Any]] = []
    for index, item in enumerate(cart.items):
        product = basis.products.get(item.product_id)
        variant = basis.variants.get(item.variant_id) if item.variant_id else None
        reason = _unavailable(item, product, variant, cart.fulfilment)
        if reason is not None or product is None:
            wrong.append({"index": index, "product_id": item.product_id, "reason": reason})
            continue
        priced, chosen = _price_one(item, product, variant, basis.groups.get(item.product_id, []))
        if priced.breaches:
            wrong.append({"index": index, "product_id": item.product_id, **_breached(priced)})
            continue
        lines.append(
            DraftLine(
                product_id=item.product_id,
                variant_id=item.variant_id,
                category_id=UUID(product["category_id"]),
                name=product["name"],
                variant_name=variant["name"] if variant else None,
                quantity=item.quantity,
                unit_cents=priced.unit_cents,
                modifiers=chosen,
                note=item.note,
            )
        )
    if wrong:
        raise ItemsUnavailable(lines=wrong)
    return lines


def _breached(priced: LinePrice) -> dict[str, Any]:
    breaches = [
        {
            "code": b.code,
            "given": b.given,
            "accepted": b.accepted,
            "group_id": b.group_id,
            "modifier_id": b.modifier_id,
        }
        for b in priced.breaches
    ]
    return {"reason": "choices-invalid", "breaches": breaches}


def _unavailable(
    item: ItemIn, product: Row | None, variant: Row | None, fulfilment: FulfilmentType
) -> str | None:
    if product is None:
        return "not-available"
    if not product["for_delivery" if fulfilment is FulfilmentType.DELIVERY else "for_pickup"]:
        return f"not-for-{fulfilment.value}"
    if item.variant_id is None:
        return "variant-required" if product["has_variants"] else None
    if variant is None or variant["product_id"] != product["id"]:
        return "variant-not-available"
    return None


def _price_one(
    item: ItemIn, product: Row, variant: Row | None, groups: list[Row]
) -> tuple[LinePrice, list[dict[str, Any]]]:
    known = [modifier_group(group) for group in groups]
    priced = price_line(
        product["price_cents"],
        variant_cents=variant["price_cents"] if variant else None,
        # A store's own price is the product's; a variant keeps its own.
        override_cents=None if variant else product["override_cents"],
        choices=[Choice(m.id, m.quantity) for m in item.modifiers],
        groups=known,
        quantity=item.quantity,
    )
    names = {m["id"]: m for group in groups for m in group["modifiers"] or ()}
    chosen = [
        {
            "id": m.id,
            "name": names[str(m.id)]["name"],
            "price_cents": names[str(m.id)]["price_cents"],
            "quantity": m.quantity,
        }
        for m in item.modifiers
        if str(m.id) in names
    ]
    return priced, chosen


def _demand(items: Iterable[ItemIn], basis: Basis) -> dict[UUID, int]:
    """What the order takes of each tracked item; an item without a level never runs out."""
    uses = []
    for item in items:
        sold = item.variant_id if item.variant_id in basis.stock else item.product_id
        uses.append(StockUse(sold or item.product_id, item.quantity))
        uses += [StockUse(m.id, m.quantity * item.quantity) for m in item.modifiers]
    return {key: n for key, n in stock_demand(uses).items() if key in basis.stock}


def _require_stock(demand: dict[UUID, int], basis: Basis) -> None:
    short = shortages(demand, basis.stock)
    if short:
        raise OutOfStock(lines=shortage_lines(short_items=[s.item_id for s in short], asked=demand,
                                              left=basis.stock, basis=basis))  # fmt: skip


def shortage_lines(
    *, short_items: list[UUID], asked: dict[UUID, int], left: dict[UUID, int], basis: Basis
) -> list[dict[str, Any]]:
    """Name every short item with what was asked and what is left."""
    names: dict[UUID, str] = {k: v["name"] for k, v in basis.products.items()}
    for key, variant in basis.variants.items():
        product = basis.products.get(UUID(variant["product_id"]))
        names[key] = f"{product['name']} {variant['name']}" if product else variant["name"]
    for group in (g for found in basis.groups.values() for g in found):
        names |= {UUID(m["id"]): m["name"] for m in group["modifiers"] or ()}
    return [
        {
            "item_id": item,
            "name": names.get(item),
            "asked": asked[item],
            "available": max(0, left.get(item, 0)),
        }
        for item in short_items
    ]


def _kept(
    promise: SignedQuote | None, cart: CartIn, store: StoreBasis, postal_code: str | None
) -> bool:
    """Whether the quote was made for this very delivery."""
    district = cart.address.district if cart.address else None
    return promise is not None and promise.covers(store.id, postal_code or "", district)


def _ship(
    cart: CartIn,
    basis: Basis,
    store: StoreBasis,
    subtotal: int,
    postal_code: str | None,
    promise: SignedQuote | None,
) -> shipping.Quote | None:
    """The freight: as promised by a quote for this delivery, else by the rules as they are."""
    if cart.fulfilment is not FulfilmentType.DELIVERY:
        return None
    if promise is not None and _kept(promise, cart, store, postal_code):
        metres = promise.distance_meters
        return shipping.Quote(
            promise.fee_for(subtotal),
            promise.minutes,
            None if metres is None else metres / 1000,
            promise.rule_id,
        )
    found = shipping.quote(
        [shipping_rule(row) for row in basis.shipping],
        shipping.Destination(
            cep=postal_code,
            district=cart.address.district if cart.address else None,
            point=shipping.Point(*basis.area) if basis.area else None,
        ),
        shipping.Point(store.latitude, store.longitude),
        subtotal,
        store.preparation_minutes,
        free_above_cents=store.free_shipping_above_cents,
    )
    if isinstance(found, shipping.OutOfArea):
        raise OutOfDeliveryArea(
            reason=found.reason.value, distance_km=found.distance_km, max_km=found.max_km
        )
    return found


def _promotion_cart(lines: list[DraftLine], fee: int) -> promotions.Cart:
    return promotions.Cart(
        tuple(
            promotions.CartLine(
                str(index),
                line.product_id,
                line.unit_cents,
                line.quantity,
                frozenset({line.category_id}),
            )
            for index, line in enumerate(lines)
        ),
        fee,
    )


def _discount(
    lines: list[DraftLine],
    basis: Basis,
    store: StoreBasis,
    fee: int,
    at: datetime,
    codes: tuple[str, ...],
) -> tuple[list[Redemption], list[CouponRefusal]]:
    """Apply promotions to the lines; a line's key is its position, so every run agrees."""
    if not basis.promotions and not codes:
        return [], []
    context = promotions.PromotionContext(
        now=at,
        timezone=store.timezone,
        store_id=store.id,
        is_first_order=basis.contact is None or not basis.contact["has_ordered"],
        codes=codes,
    )
    result = promotions.apply(
        [promotion_rule(row) for row in basis.promotions], _promotion_cart(lines, fee), context
    )
    uses = {
        UUID(row["id"]): Redemption(UUID(row["id"]), row["name"], row["code"], is_limited(row))
        for row in basis.promotions
    }
    for part in result.lines:
        uses[part.promotion_id].items_cents += part.cents
        lines[int(part.line_key or 0)].discount_cents += part.cents
    for part in result.shipping:
        uses[part.promotion_id].shipping_cents += part.cents
    refused = [
        CouponRefusal(u.code, u.reason.value, u.missing_cents) for u in result.unused if u.code
    ]
    return [uses[key] for key in result.cents_by_promotion], refused
