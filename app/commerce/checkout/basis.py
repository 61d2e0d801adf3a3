"""What a cart's price and permission hang on, parsed: what a store sells, promises and takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from app.commerce.catalog.rules import Shelf
from app.commerce.checkout.rules import ModifierGroup
from app.commerce.orders.rules import FulfilmentType
from app.commerce.promotions.offers import Promotion
from app.commerce.shipping.rules import Point, ShippingRule
from app.commerce.stores.rules import Channel, StoreState


@dataclass(frozen=True, slots=True, eq=False)
class StoreBasis:
    """The parts of a store that decide an order; compared by identity, as it is made once."""

    id: UUID
    name: str
    slug: str
    timezone: str
    state: StoreState
    min_order_cents: int
    free_shipping_above_cents: int | None
    preparation_minutes: int
    payment_methods: Mapping[Channel, tuple[str, ...]]
    latitude: float
    longitude: float
    is_by_road: bool
    """Distances are a maps provider's: looked up before the order, or promised by a quote."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What one costs in this store, in cents, by how it is handed over."""

    delivery: int
    pickup: int

    def by(self, fulfilment: FulfilmentType) -> int:
        return self.delivery if fulfilment is FulfilmentType.DELIVERY else self.pickup


@dataclass(frozen=True, slots=True)
class Variant:
    id: UUID
    name: str
    prices: Prices
    is_tracked: bool
    """Has a stock level in this store; without one it never runs out."""


@dataclass(frozen=True, slots=True)
class Extra:
    """A modifier as the customer sees it."""

    name: str
    price_cents: int
    is_tracked: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A group of modifiers: the rule for choosing, and the extras by id."""

    rule: ModifierGroup
    extras: Mapping[UUID, Extra]


@dataclass(frozen=True, slots=True)
class Product:
    """A product that can be sold in this store now."""

    id: UUID
    category_id: UUID
    name: str
    prices: Prices
    """Of itself, not of its variants."""
    for_delivery: bool
    for_pickup: bool
    is_tracked: bool
    variants: Mapping[UUID, Variant]
    groups: tuple[Group, ...]
    shelves: tuple[Shelf, ...] = ()
    """When its category and it are sold; none: always."""

    def extra_of(self, modifier_id: UUID) -> Extra | None:
        for group in self.groups:
            if modifier_id in group.extras:
                return group.extras[modifier_id]
        return None


@dataclass(frozen=True, slots=True)
class Offer:
    """A promotion that may apply."""

    rule: Promotion
    is_limited: bool
    """Hangs on who orders or on what others used up: settled under its row's lock."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A contact that the given phone belongs to."""

    phone: str
    is_blocked: bool
    has_ordered: bool


@dataclass(frozen=True, slots=True)
class Basis:
    """Everything one cart depends on, as it stood in one snapshot."""

    version: int
    store: StoreBasis | None
    products: Mapping[UUID, Product]
    offers: tuple[Offer, ...]
    shipping: tuple[ShippingRule, ...]
    area: Point | None
    stock: Mapping[UUID, int] | None
    """What is on hand of the tracked items; None: not looked at, the write will tell."""
    customer: Customer | None
    full_slots: frozenset[datetime] = frozenset()
    """Starts of pre-order slots that have no room for this cart."""


@dataclass(slots=True)
class PriceBook:
    """What this process remembers of one store; all of it read at ``version``."""

    version: int
    store: StoreBasis
    products: dict[UUID, Product] = field(default_factory=dict)
    automatic: tuple[Offer, ...] = ()
    coupons: dict[str, Offer | None] = field(default_factory=dict)
    shipping: tuple[ShippingRule, ...] | None = None
    areas: dict[str, Point | None] = field(default_factory=dict)

    def basis(
        self, products: Iterable[UUID], codes: Iterable[str], area: str | None
    ) -> Basis | None:
        """The basis of a cart, or None when something it needs is not remembered.

        ``area`` is the first five digits of where a delivery goes; None: it is fetched.
        """
        coupons = [self.coupons.get(code) for code in codes]
        known = all(p in self.products for p in products) and None not in coupons
        if area is not None and (self.shipping is None or area not in self.areas):
            known = False
        if not known:
            return None
        return Basis(
            version=self.version,
            store=self.store,
            products=self.products,
            offers=(*self.automatic, *(c for c in coupons if c is not None)),
            shipping=self.shipping or (),
            area=self.areas.get(area) if area is not None else None,
            stock=None,
            customer=None,
        )

    def learn(self, basis: Basis, codes: Iterable[str], area: str | None) -> None:
        """Remember a basis read at the same version for a cart with these codes and area."""
        self.products.update(basis.products)
        self.automatic = tuple(o for o in basis.offers if o.rule.is_automatic)
        found = {o.rule.code: o for o in basis.offers if o.rule.code is not None}
        # A generated code stays unknown here: it is looked up and settled the long way, always.
        self.coupons.update({code: found.get(code) for code in codes})
        if area is not None:
            self.shipping, self.areas[area] = basis.shipping, basis.area
