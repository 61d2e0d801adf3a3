"""The storefront's menu as the protocol shows a catalogue: products with purchasable variants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin

from app.commerce.catalog.menu_schemas import MenuProduct, MenuVariant
from app.core.model import Json

_METHODS = {"delivery": "shipping", "pickup": "pickup"}


@dataclass(frozen=True, slots=True)
class Shelf:
    """What every product's description needs."""

    currency: str
    origin: str
    """Of the addresses of media."""
    least: int | None = None
    most: int | None = None
    """A variant outside of these prices is left out."""


@dataclass(slots=True)
class _Variant:
    id: str
    title: str
    price_cents: int
    is_available: bool
    list_cents: int | None = None
    promotional_cents: int | None = None
    """What promotions leave of it, as a checkout's discounts will say."""
    by_channel: Mapping[str, int] = field(default_factory=dict)


def product(
    found: MenuProduct, shelf: Shelf, chosen: Callable[[str], bool] = lambda _: True
) -> Json | None:
    """One product with those of its variants that are ``chosen``; None: nothing is left of it."""
    variants = [
        v
        for v in _variants(found)
        if chosen(v.id)
        and (shelf.least is None or v.price_cents >= shelf.least)
        and (shelf.most is None or v.price_cents <= shelf.most)
    ]
    if not variants:
        return None
    prices = [v.price_cents for v in variants]
    body: Json = {
        "id": str(found.id),
        "handle": found.slug,
        "title": found.name,
        "description": {"plain": found.description or found.name},
        "categories": [{"value": str(found.category_id), "taxonomy": "merchant"}],
        "price_range": {"min": _price(min(prices), shelf), "max": _price(max(prices), shelf)},
        "variants": [_variant(v, shelf) for v in variants],
    }
    media = [
        {"type": m.kind, "url": urljoin(shelf.origin, m.url), "alt_text": m.alt or found.name}
        for m in found.media
    ]
    if media:
        body["media"] = media
    if found.dietary_tags:
        body["tags"] = found.dietary_tags
    if any(group.min_choices for group in found.modifier_groups):
        body["metadata"] = {"choices_required": True}
    return body


def featured(found: MenuProduct) -> str:
    """The variant that stands for the product: the first that can be had, else the first."""
    variants = _variants(found)
    return next((v.id for v in variants if v.is_available), variants[0].id)


def _variants(found: MenuProduct) -> list[_Variant]:
    """What of it goes into a cart; without sizes, itself."""
    if not found.variants:
        one = _told(found, found.name, found.available)
        one.list_cents = found.compare_at_cents
        return [one]
    return [_told(v, v.name, v.available and found.available) for v in found.variants]


def _told(sold: MenuProduct | MenuVariant, title: str, is_available: bool) -> _Variant:
    return _Variant(
        id=str(sold.id),
        title=title,
        price_cents=sold.price_cents,
        is_available=is_available,
        promotional_cents=sold.promotional_cents,
        by_channel={_METHODS[name]: p.price_cents for name, p in sold.channel_prices.items()},
    )


def _variant(variant: _Variant, shelf: Shelf) -> Json:
    status = "in_stock" if variant.is_available else "out_of_stock"
    body: Json = {
        "id": variant.id,
        "title": variant.title,
        "description": {"plain": variant.title},
        "price": _price(variant.price_cents, shelf),
        "availability": {"available": variant.is_available, "status": status},
    }
    if variant.list_cents is not None:
        body["list_price"] = _price(variant.list_cents, shelf)
    # No words of the protocol for them: a checkout tells both by its own sums.
    more: Json = {}
    if variant.promotional_cents is not None:
        more["promotional_price"] = _price(variant.promotional_cents, shelf)
    if variant.by_channel:
        more["method_prices"] = {n: _price(c, shelf) for n, c in variant.by_channel.items()}
    return body | {"metadata": more} if more else body


def _price(cents: int, shelf: Shelf) -> Json:
    return {"amount": cents, "currency": shelf.currency}
