"""A checkout as the protocol shows it: lines, sums, discounts, ways of handing over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from app.commerce.checkout.draft import Draft, DraftLine
from app.commerce.orders.models import Order
from app.commerce.orders.rules import FulfilmentType
from app.commerce.stores.rules import Channel
from app.commerce.stores.schemas import AddressRead, StorefrontRead
from app.commerce.ucp.asked import AT, NOW, Asked
from app.commerce.ucp.schemas import UcpDestination, UcpLine
from app.core.clock import now
from app.core.language import Language
from app.core.model import Json

FREIGHT = '$.totals[?@.type == "fulfillment"]'
_SHIPPING, _PICKUP = "shipping", "pickup"
_TYPES = {Channel.DELIVERY: _SHIPPING, Channel.PICKUP: _PICKUP}
_TITLES: Mapping[tuple[Channel, Language], str] = {
    (Channel.DELIVERY, "pt"): "Entrega",
    (Channel.DELIVERY, "en"): "Delivery",
    (Channel.PICKUP, "pt"): "Retirada",
    (Channel.PICKUP, "en"): "Pickup",
}


@dataclass(frozen=True, slots=True)
class Thing:
    """What a line is of, as the catalogue has it."""

    name: str
    price_cents: int


@dataclass(slots=True)
class Priced:
    """What is known of a cart's price: the draft, and which lines it holds."""

    draft: Draft | None = None
    drawn: dict[int, DraftLine] = field(default_factory=dict)


def lines(wanted: Sequence[UcpLine], things: Sequence[Thing], priced: Priced) -> list[Json]:
    """The lines; one that cannot be ordered now shows what the catalogue asks for it."""
    found = []
    for index, (line, thing) in enumerate(zip(wanted, things, strict=True)):
        drawn = priced.drawn.get(index)
        unit = drawn.unit_cents if drawn else thing.price_cents
        off = drawn.discount_cents if drawn else 0
        sums = [{"type": "subtotal", "amount": unit * line.quantity}]
        if off:
            sums.append({"type": "items_discount", "amount": -off})
        sums.append({"type": "total", "amount": unit * line.quantity - off})
        found.append(
            {
                "id": line.id,
                "item": {"id": line.item.id, "title": thing.name, "price": unit},
                "quantity": line.quantity,
                "totals": sums,
            }
        )
    return found


def totals(shown: Iterable[Json], priced: Priced) -> list[Json]:
    """The sums of the whole: those of the lines, the freight, and what is taken off it."""
    by_type: dict[str, int] = {}
    for line in shown:
        for part in line["totals"]:
            by_type[part["type"]] = by_type.get(part["type"], 0) + part["amount"]
    draft = priced.draft
    freight = draft.totals.shipping_cents if draft else 0
    off = draft.totals.shipping_discount_cents if draft else 0
    found = [{"type": "subtotal", "amount": by_type["subtotal"]}]
    if "items_discount" in by_type:
        found.append({"type": "items_discount", "amount": by_type["items_discount"]})
    if draft is not None and draft.fulfilment is FulfilmentType.DELIVERY:
        found.append({"type": "fulfillment", "amount": freight})
    if off:
        found.append({"type": "discount", "amount": -off})
    found.append({"type": "total", "amount": by_type["total"] + freight - off})
    return found


def ordered(order: Order) -> Json:
    """Lines and sums of an order, whatever the buyer made of the checkout by hand."""
    found = []
    for number, item in enumerate(order.items, 1):
        whole = item.unit_price_cents * item.quantity
        title = f"{item.name} {item.variant_name}" if item.variant_name else item.name
        sums = [{"type": "subtotal", "amount": whole}]
        if item.discount_cents:
            sums.append({"type": "items_discount", "amount": -item.discount_cents})
        sums.append({"type": "total", "amount": item.total_cents})
        thing = {"title": title, "price": item.unit_price_cents}
        thing["id"] = str(item.variant_id or item.product_id or item.id)
        found.append(
            {"id": f"li_{number}", "item": thing, "quantity": item.quantity, "totals": sums}
        )
    parts = [
        ("subtotal", order.subtotal_cents),
        ("items_discount", -order.discount_cents),
        ("fulfillment", order.shipping_cents),
        ("discount", -order.shipping_discount_cents),
    ]
    sums = [{"type": kind, "amount": cents} for kind, cents in parts if cents or kind == "subtotal"]
    sums.append({"type": "total", "amount": order.total_cents})
    return {"line_items": found, "totals": sums}


def discounts(codes: Sequence[str], priced: Priced) -> Json:
    """The codes as they were sent, and everything that is taken off, where it is."""
    applied = []
    positions = list(priced.drawn)
    for use in priced.draft.redemptions if priced.draft else ():
        parts = [
            {"path": f"$.line_items[{positions[at]}]", "amount": cents}
            for at, cents in sorted(use.by_line.items())
            if cents
        ]
        if use.shipping_cents:
            parts.append({"path": FREIGHT, "amount": use.shipping_cents})
        named: Json = {"automatic": True} if use.code is None else {"code": use.code}
        whole = {"title": use.name, "amount": use.items_cents + use.shipping_cents}
        applied.append(named | whole | {"allocations": parts})
    return {"codes": list(codes), "applied": applied}


def fulfillment(
    asked: Asked,
    store: StorefrontRead | None,
    stores: Iterable[StorefrontRead],
    priced: Priced,
    language: Language,
) -> Json:
    """How it may be handed over, and how it was chosen to be."""
    ids = [line.id for line in asked.wanted.line_items]
    found: Json = {"methods": []}
    if store is not None:
        found["available_methods"] = [
            _available(store, channel, ids, language)
            for channel, on in (
                (Channel.DELIVERY, store.delivery_enabled),
                (Channel.PICKUP, store.pickup_enabled),
            )
            if on
        ]
    if asked.channel is not None:
        found["methods"] = [_method(asked, store, stores, priced, language)]
    return found


def _method(
    asked: Asked,
    store: StorefrontRead | None,
    stores: Iterable[StorefrontRead],
    priced: Priced,
    language: Language,
) -> Json:
    ids = [line.id for line in asked.wanted.line_items]
    channel = Channel((asked.channel or FulfilmentType.PICKUP).value)
    method: Json = {"id": channel.value, "type": _TYPES[channel], "line_item_ids": ids}
    if channel is Channel.PICKUP:
        open_ones = [s for s in stores if s.pickup_enabled]
        method["destinations"] = [_place(s) for s in open_ones]
        is_there = not asked.is_astray and asked.store in {s.slug for s in open_ones}
        chosen = asked.store if is_there else None
    else:
        method["destinations"] = [_address(d) for d in asked.destinations]
        chosen = None if asked.at is None else asked.destinations[asked.at].id
    method["selected_destination_id"] = chosen
    if chosen is not None and store is not None:
        offered = options(store, channel, priced, language)
        group: Json = {"id": "all", "line_item_ids": ids, "options": offered}
        method["groups"] = [group | {"selected_option_id": selected(asked, offered)}]
    return method


def options(
    store: StorefrontRead, channel: Channel, priced: Priced, language: Language
) -> list[Json]:
    """When it may be had: as soon as possible, and in the next slots; all at the same freight."""
    draft = priced.draft
    fee = 0
    if channel is Channel.DELIVERY:
        if draft is None or draft.fulfilment is not FulfilmentType.DELIVERY:
            return []  # nobody knows what it would cost
        fee = draft.totals.shipping_cents
    sums = [{"type": "total", "amount": fee}]
    title, found = _TITLES[channel, language], []
    if store.availability[channel].open:
        minutes = draft.eta_minutes if draft else store.preparation_minutes
        found.append(
            {
                "id": NOW,
                "title": title,
                "description": {"plain": f"~{minutes} min"},
                "latest_fulfillment_time": instant(_soon(minutes)),
                "totals": sums,
            }
        )
    zone = ZoneInfo(store.timezone)
    for slot in store.preorder_slots:
        if channel in slot.full_for:
            continue
        local = slot.start.astimezone(zone)
        found.append(
            {
                "id": f"{AT}{instant(slot.start)}",
                "title": f"{title} {local:%d/%m %H:%M}–{slot.end.astimezone(zone):%H:%M}",
                "earliest_fulfillment_time": instant(slot.start),
                "latest_fulfillment_time": instant(slot.end),
                "totals": sums,
            }
        )
    return found


def selected(asked: Asked, offered: Sequence[Json]) -> str | None:
    """The option that was chosen, if it is offered; without a choice the soonest, if it is now."""
    ids = [option["id"] for option in offered]
    if asked.option_id is None:
        return NOW if NOW in ids else None
    return asked.option_id if asked.option_id in ids else None


def accepted(store: StorefrontRead | None, channel: FulfilmentType | None) -> frozenset[str]:
    """How a store is paid, over one way of handing over or over either."""
    if store is None:
        return frozenset()
    own = {
        FulfilmentType.DELIVERY: store.delivery_payment_methods,
        FulfilmentType.PICKUP: store.pickup_payment_methods,
    }
    ways = [own[channel]] if channel is not None else list(own.values())
    return frozenset(
        method
        for method in store.payment_methods
        if any(way is None or method in way for way in ways)
    )


def _available(
    store: StorefrontRead, channel: Channel, ids: list[str | None], language: Language
) -> Json:
    found = store.availability[channel]
    on = "now" if found.open else None
    if not found.open and found.next_available_at is not None:
        on = instant(found.next_available_at)
    title = _TITLES[channel, language]
    when = {"pt": "agora", "en": "now"}[language] if found.open else _local(store, on)
    return {
        "type": _TYPES[channel],
        "line_item_ids": ids,
        "fulfillable_on": on,
        "description": f"{title}: {store.name}, {when}." if when else f"{title}: {store.name}.",
    }


def _local(store: StorefrontRead, instant: str | None) -> str | None:
    if instant is None:
        return None
    return f"{datetime.fromisoformat(instant).astimezone(ZoneInfo(store.timezone)):%d/%m %H:%M}"


def _place(store: StorefrontRead) -> Json:
    return {
        "type": "business_location",
        "id": store.slug,
        "name": store.name,
        "address": _postal(store.address),
    }


def _postal(address: AddressRead) -> Json:
    street = ", ".join(part for part in (address.street, address.number) if part)
    return {
        name: value
        for name, value in (
            ("street_address", street),
            ("extended_address", address.complement),
            ("address_locality", address.city),
            ("address_region", address.state),
            ("postal_code", address.postal_code),
            ("address_country", "BR"),
        )
        if value
    }


def _address(given: UcpDestination) -> Json:
    return {"type": "shipping_address", **given.model_dump(exclude_none=True)}


def _soon(minutes: int) -> datetime:
    return now() + timedelta(minutes=minutes)


def instant(at: datetime) -> str:
    """RFC 3339, in UTC, to the second."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
