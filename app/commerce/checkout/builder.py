"""From a cart and what the database said to a draft: steps 1, 2, 4, 5 and 6 of a checkout, pure.

Preview and checkout call the same function, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from app.commerce.catalog.rules import absence
from app.commerce.checkout.asked import Asked
from app.commerce.checkout.basis import Basis, Product, StoreBasis, Variant
from app.commerce.checkout.draft import Draft, DraftLine, Redemption, Refusal
from app.commerce.checkout.problems import (
    BelowMinimumOrder,
    ItemsUnavailable,
    OutOfStock,
    StoreClosed,
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
from app.commerce.promotions import offers as promotions
from app.commerce.promotions.rules import apply
from app.commerce.shipping import rules as shipping
from app.commerce.shipping.problems import OutOfDeliveryArea
from app.commerce.shipping.service import SignedQuote
from app.commerce.stores.problems import StoreNotFound
from app.commerce.stores.rules import (
    Availability,
    Channel,
    availability,
)


def build(asked: Asked, basis: Basis, *, at: datetime, currency: str) -> Draft:
    """Compute the order this cart would be at ``at``.

    Raises StoreNotFound, StoreClosed, ItemsUnavailable, OutOfStock, BelowMinimumOrder,
    OutOfDeliveryArea.
    """
    cart = asked.cart
    store = _open_store(cart, basis, at, despite_closed=asked.terms.despite_closed)
    # A pre-order is for its slot; whoever may order from a closed store may also from a bare shelf.
    served = None if asked.terms.despite_closed else cart.scheduled_for or at
    lines = _price(cart, basis, asked.terms.prices, served)
    demand = _demand(cart.items, basis.products)
    subtotal = sum(line.unit_cents * line.quantity for line in lines)
    if not asked.terms.is_trial:
        _require_stock(demand, basis)
        _require_minimum(store, subtotal)
    promise = promised(asked, store)
    quote = _ship(asked, basis, store, subtotal, promise)
    fee = quote.fee_cents if quote else 0
    redemptions, refusals = _discount(lines, basis, store, fee, at, asked.codes)
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
        is_promised=quote is not None and promise is not None,
    )


def _open_store(cart: CartIn, basis: Basis, at: datetime, *, despite_closed: bool) -> StoreBasis:
    store = basis.store
    if store is None:
        raise StoreNotFound()
    if despite_closed:
        return store
    channel = Channel(cart.fulfilment.value)
    minute = at.replace(second=0, microsecond=0)
    if cart.scheduled_for is None and _is_open(store, channel, minute):
        return store
    found = availability(store.state, channel, at, cart.scheduled_for, basis.full_slots)
    if not found.open:
        raise closed(found)
    return store


def closed(found: Availability) -> StoreClosed:
    """The refusal that says why, and when one may order instead."""
    return StoreClosed(
        reasons=[reason.value for reason in found.reasons],
        next_available_at=found.next_available_at,
        next_slot_at=found.next_slot.start if found.next_slot else None,
    )


@lru_cache(maxsize=4096)
def _is_open(store: StoreBasis, channel: Channel, minute: datetime) -> bool:
    """Stores open and close on whole minutes, so one answer serves all orders of a minute."""
    return availability(store.state, channel, minute).open


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


def _price(
    cart: CartIn, basis: Basis, own: Mapping[int, int], served: datetime | None
) -> list[DraftLine]:
    """Price every line from the catalogue, or list every line that cannot be ordered.

    ``own`` holds the prices that staff set instead, by position; ``served`` is when what is
    ordered must be on its shelf (None: at any time).
    """
    lines: list[DraftLine] = []
    wrong: list[dict[str, Any]] = []
    for index, item in enumerate(cart.items):
        product = basis.products.get(item.product_id)
        refusal = _refusal(item, product, cart.fulfilment, served)
        if refusal is not None or product is None:
            wrong.append({"index": index, "product_id": item.product_id, **(refusal or {})})
            continue
        variant = product.variants[item.variant_id] if item.variant_id else None
        priced = _price_one(item, product, variant, cart.fulfilment)
        if priced.breaches:
            wrong.append({"index": index, "product_id": item.product_id, **_breached(priced)})
            continue
        lines.append(
            DraftLine(
                product_id=item.product_id,
                variant_id=item.variant_id,
                category_id=product.category_id,
                name=product.name,
                variant_name=variant.name if variant else None,
                quantity=item.quantity,
                unit_cents=own.get(index, priced.unit_cents),
                list_cents=priced.unit_cents if index in own else None,
                modifiers=_chosen(item, product),
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


def _refusal(
    item: ItemIn, product: Product | None, fulfilment: FulfilmentType, served: datetime | None
) -> dict[str, Any] | None:
    """Why the line cannot be ordered at all, and when it can."""
    reason = _unavailable(item, product, fulfilment)
    if reason is not None or product is None:
        return {"reason": reason}
    off = absence(product.shelves, served) if product.shelves and served else None
    if off is None:
        return None
    return {"reason": off.reason.value, "next_available_at": off.next_available_at}


def _unavailable(item: ItemIn, product: Product | None, fulfilment: FulfilmentType) -> str | None:
    if product is None:
        return "not-available"
    served = product.for_delivery if fulfilment is FulfilmentType.DELIVERY else product.for_pickup
    if not served:
        return f"not-for-{fulfilment.value}"
    if item.variant_id is None:
        return "variant-required" if product.variants else None
    return None if item.variant_id in product.variants else "variant-not-available"


def _price_one(
    item: ItemIn, product: Product, variant: Variant | None, fulfilment: FulfilmentType
) -> LinePrice:
    return price_line(
        (variant or product).prices.by(fulfilment),
        choices=[Choice(m.id, m.quantity) for m in item.modifiers],
        groups=[group.rule for group in product.groups],
        quantity=item.quantity,
    )


def _chosen(item: ItemIn, product: Product) -> list[dict[str, Any]]:
    found = ((choice, product.extra_of(choice.id)) for choice in item.modifiers)
    return [
        {
            "id": choice.id,
            "name": extra.name,
            "price_cents": extra.price_cents,
            "quantity": choice.quantity,
        }
        for choice, extra in found
        if extra is not None
    ]


def _demand(items: Iterable[ItemIn], products: Mapping[UUID, Product]) -> dict[UUID, int]:
    """What the order takes of each tracked item; an item without a level never runs out."""
    uses: list[StockUse] = []
    for item in items:
        product = products[item.product_id]
        variant = product.variants[item.variant_id] if item.variant_id else None
        if variant is not None and variant.is_tracked:
            uses.append(StockUse(variant.id, item.quantity))
        elif product.is_tracked:
            uses.append(StockUse(product.id, item.quantity))
        for choice in item.modifiers:
            extra = product.extra_of(choice.id)
            if extra is not None and extra.is_tracked:
                uses.append(StockUse(choice.id, choice.quantity * item.quantity))
    return stock_demand(uses)


def _require_stock(demand: dict[UUID, int], basis: Basis) -> None:
    if basis.stock is None:
        return
    short = shortages(demand, basis.stock)
    if short:
        raise OutOfStock(lines=shortage_lines(short_items=[s.item_id for s in short], asked=demand,
                                              left=basis.stock, basis=basis))  # fmt: skip


def shortage_lines(
    *, short_items: list[UUID], asked: dict[UUID, int], left: Mapping[UUID, int], basis: Basis
) -> list[dict[str, Any]]:
    """Name every short item with what was asked and what is left."""
    names = item_names(basis.products.values())
    return [
        {
            "item_id": item,
            "name": names.get(item),
            "asked": asked[item],
            "available": max(0, left.get(item, 0)),
        }
        for item in short_items
    ]


def item_names(products: Iterable[Product]) -> dict[UUID, str]:
    """What people call each thing that may have stock."""
    names: dict[UUID, str] = {}
    for product in products:
        names[product.id] = product.name
        names |= {v.id: f"{product.name} {v.name}" for v in product.variants.values()}
        for group in product.groups:
            names |= {key: extra.name for key, extra in group.extras.items()}
    return names


def promised(asked: Asked, store: StoreBasis) -> SignedQuote | None:
    """The quote, if it was made for this very delivery."""
    promise, address = asked.promise, asked.cart.address
    district = address.district if address else None
    if promise is not None and promise.covers(store.id, asked.postal_code or "", district):
        return promise
    return None


def _ship(
    asked: Asked, basis: Basis, store: StoreBasis, subtotal: int, promise: SignedQuote | None
) -> shipping.Quote | None:
    """The freight: as promised by a quote for this delivery, else by the rules as they are."""
    if asked.postal_code is None:
        return None
    if promise is not None:
        metres = promise.distance_meters
        return shipping.Quote(
            promise.fee_for(subtotal),
            promise.minutes,
            None if metres is None else metres / 1000,
            promise.rule_id,
        )
    found = shipping.quote(
        basis.shipping,
        shipping.Destination(
            cep=asked.postal_code,
            district=asked.cart.address.district if asked.cart.address else None,
            point=basis.area,
        ),
        shipping.Point(store.latitude, store.longitude),
        subtotal,
        store.preparation_minutes,
        free_above_cents=store.free_shipping_above_cents,
        distance_km=asked.way.km if asked.way else None,
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
) -> tuple[list[Redemption], list[Refusal]]:
    """Apply promotions to the lines; a line's key is its position, so every run agrees."""
    if not basis.offers and not codes:
        return [], []
    context = promotions.PromotionContext(
        now=at,
        timezone=store.timezone,
        store_id=store.id,
        is_first_order=basis.customer is None or not basis.customer.has_ordered,
        codes=codes,
    )
    rules = {offer.rule.id: offer.rule for offer in basis.offers}
    result = apply(rules.values(), _promotion_cart(lines, fee), context)
    uses = {
        rule.id: Redemption(rule.id, rule.name, result.codes.get(rule.id), by_codes=rule.by_codes)
        for rule in rules.values()
    }
    for part in result.lines:
        use, at_line = uses[part.promotion_id], int(part.line_key or 0)
        use.items_cents += part.cents
        use.by_line[at_line] = use.by_line.get(at_line, 0) + part.cents
        lines[at_line].discount_cents += part.cents
    for part in result.shipping:
        uses[part.promotion_id].shipping_cents += part.cents
    refused = [
        Refusal(unused, rules[unused.promotion_id] if unused.promotion_id else None)
        for unused in result.unused
    ]
    return [uses[key] for key in result.cents_by_promotion], refused
