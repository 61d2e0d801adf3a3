"""A menu and its products as JSON: what is on sale at an instant, and for how much."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from app.commerce.catalog.menu import Lines, MenuParts
from app.commerce.catalog.rules import absence, kind_of_medium, shelves
from app.contracts.prices import ShelfPrices
from app.kernel.files.rules import THUMBNAIL_SIDES, thumbnail_key


def menu_document(store: Any, parts: MenuParts, currency: str, moment: Moment) -> bytes:
    """The JSON of a whole menu (menu_schemas.MenuRead); ``store`` is the driver's row, and
    ``moment`` learns when the menu changes."""
    head = {
        **{name: store[name] for name in _STORE_FIELDS},
        "currency": currency,
        "logo_url": media_url(store["logo"]),
        "banner_url": media_url(store["banner"]),
    }
    used: set[str] = set()
    products = b",".join(body for _, body in product_documents(parts, used, moment))
    shown = [c for c in map(orjson.loads, _lines(parts.categories)) if c["id"] in used]
    # The driver's UUIDs are a subclass, which orjson hands to ``default``.
    return b'{"store":%b,"categories":%b,"products":[%b]}' % (
        orjson.dumps(head, default=str),
        orjson.dumps(shown),
        products,
    )


_STORE_FIELDS = (
    "id", "slug", "name", "phone", "timezone", "delivery_enabled", "pickup_enabled",
    "min_order_cents",
)  # fmt: skip


class Moment:
    """The instant a menu is of, and when the next thing comes on or off its shelf, or a
    promotion begins or ends."""

    __slots__ = ("at", "changes_at", "tags", "timezone")

    def __init__(self, timezone: str, at: datetime, tags: ShelfPrices) -> None:
        self.timezone, self.at, self.tags = timezone, at, tags
        self.changes_at = tags.changes_at

    def mark(self, product: dict[str, Any]) -> None:
        """Say whether the product is sold now, or why not and from when on."""
        rows = product.pop("shelves")
        off = None
        if rows is not None:
            lies_on = shelves(self.timezone, rows)
            off = absence(lies_on, self.at)
            changes = [self.changes_at, *(shelf.changes_at(self.at) for shelf in lies_on)]
            self.changes_at = min((c for c in changes if c is not None), default=None)
        reason = None if product["available"] else "sold-out"
        product["unavailable_reason"] = off.reason if off else reason
        product["next_available_at"] = off.next_available_at if off else None
        product["available"] = product["available"] and off is None

    def price(self, product: dict[str, Any], variants: Iterable[_Variant]) -> None:
        """Say what promotions leave of its prices, and of its variants'."""
        ids = UUID(product["id"]), UUID(product["category_id"])
        prices = _Prices.out_of(product)
        product |= self._tag(ids, prices)
        found = self.tags.of(*ids, prices.usual)
        product["promotions"] = found.promotions if found else ()
        product["variants"] = _array(
            b"%b,%b" % (v.body[:-1], orjson.dumps(self._tag(ids, v.prices))[1:]) for v in variants
        )

    def _tag(self, ids: tuple[UUID, UUID], prices: _Prices) -> dict[str, Any]:
        return {
            "promotional_cents": self._left(ids, prices.usual),
            "channel_prices": {
                channel: {"price_cents": cents, "promotional_cents": self._left(ids, cents)}
                for channel, cents in (("delivery", prices.delivery), ("pickup", prices.pickup))
                if cents != prices.usual
            },
        }

    def _left(self, ids: tuple[UUID, UUID], cents: int) -> int | None:
        found = self.tags.of(*ids, cents)
        return found.cents if found else None


@dataclass(frozen=True, slots=True)
class _Prices:
    usual: int
    delivery: int
    pickup: int

    @classmethod
    def out_of(cls, row: dict[str, Any]) -> _Prices:
        """Of a row; the channels' are taken out of it."""
        return cls(row["price_cents"], row.pop("delivery"), row.pop("pickup"))


@dataclass(frozen=True, slots=True)
class _Variant:
    """A variant's JSON, but for what hangs on its product."""

    prices: _Prices
    body: bytes

    @classmethod
    def of(cls, row: dict[str, Any]) -> _Variant:
        return cls(_Prices.out_of(row), orjson.dumps(row))


def product_documents(
    parts: MenuParts, used: set[str], moment: Moment
) -> Iterator[tuple[str, bytes]]:
    """The products of a menu: id and JSON (menu_schemas.MenuProduct); ``used`` gathers categories.

    One by one, so that in a menu of thousands neither a long call keeps the interpreter from
    other threads, nor do objects pile up for the garbage collector.
    """
    keys = {f["id"]: f["key"] for f in map(orjson.loads, _lines(parts.images))}
    groups = {g["id"]: orjson.dumps(g) for g in map(orjson.loads, _lines(parts.groups))}
    links = {k["product_id"]: k["group_ids"] for k in map(orjson.loads, _lines(parts.links))}
    variants: dict[str, list[_Variant]] = {}
    sellable: set[str] = set()
    for v in map(orjson.loads, _lines(parts.variants)):
        of = v.pop("product_id")
        variants.setdefault(of, []).append(_Variant.of(v))
        if v["available"]:
            sellable.add(of)
    for p in map(orjson.loads, _lines(parts.products)):
        used.add(p["category_id"])
        id = p["id"]
        if id in variants:
            p["available"] = id in sellable
        moment.mark(p)
        images, alts = p["images"], p.pop("media_alts")
        p["images"] = [media_url(keys[image]) for image in images if image in keys]
        p["media"] = [
            {"kind": m["kind"], "url": m["url"], "alt": m["alt"], "thumbnails": m["thumbnails"]}
            for m in media_of([*images, *p.pop("videos")], keys, alts)
        ]
        moment.price(p, variants.get(id, ()))
        p["modifier_groups"] = _array(groups[g] for g in links.get(id, ()) if g in groups)
        yield id, orjson.dumps(p, option=orjson.OPT_UTC_Z)


def _array(documents: Iterable[bytes]) -> orjson.Fragment:
    return orjson.Fragment(b"[%b]" % b",".join(documents))


def _lines(text: Lines) -> list[str]:
    # JSON escapes its own line ends; splitlines would also split at others inside strings.
    return text.split("\n") if text else []


def media_of(
    ids: Iterable[str], keys: Mapping[str, str], alts: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Of the files those that exist, as schemas.MediumRead shows them."""
    return [
        {
            "id": file_id,
            "kind": kind,
            "url": media_url(key),
            "alt": alts.get(file_id, ""),
            "thumbnails": {
                str(side): media_url(thumbnail_key(key, side)) for side in THUMBNAIL_SIDES
            }
            if kind == "image"
            else {},
        }
        for file_id in ids
        if (key := keys.get(file_id)) and (kind := kind_of_medium(key))
    ]


def media_url(key: str | None) -> str | None:
    """Where a stored file is served; None for none."""
    return f"/media/{key}" if key else None
