"""What a demo tenant is made of, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Person:
    email: str
    name: str
    role: str


@dataclass(frozen=True)
class Rule:
    """A shipping rule; ``kilometres`` of a distance tier or the ends of a CEP range."""

    fee_cents: int
    minutes: int
    kilometres: int | None = None
    ceps: tuple[str, str] | None = None


@dataclass(frozen=True)
class Shop:
    name: str
    slug: str
    phone: str
    address: dict[str, str]
    latitude: float
    longitude: float
    hours: tuple[tuple[int, str, str], ...]
    """Weekday (0=Monday), opens, closes; equal times are 24 hours."""
    rules: tuple[Rule, ...]
    exceptions: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    min_order_cents: int = 0
    free_shipping_above_cents: int | None = None
    preparation_minutes: int = 30


@dataclass(frozen=True)
class Extras:
    """A modifier group: name, how many may be chosen, and (name, cents) of each modifier."""

    name: str
    most: int
    choices: tuple[tuple[str, int], ...]
    least: int = 0


@dataclass(frozen=True)
class Item:
    name: str
    description: str
    cents: int
    sizes: tuple[tuple[str, int], ...] = ()
    """Variants with their own price; ``cents`` is then the lowest."""
    extras: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    stock: int | None = None
    """Tracked: on hand in each store at the start."""
    compare_at_cents: int | None = None


@dataclass(frozen=True)
class Offer:
    """A promotion; ``basis_points`` of percentages, ``categories`` by name."""

    name: str
    kind: str
    basis_points: int = 0
    code: str | None = None
    categories: tuple[str, ...] = ()
    min_subtotal_cents: int = 0
    max_discount_cents: int | None = None
    weekdays: tuple[int, ...] = ()
    usage_limit: int | None = None
    per_customer_limit: int | None = None


@dataclass(frozen=True)
class Blueprint:
    slug: str
    name: str
    people: tuple[Person, ...]
    modules: tuple[str, ...] = ("commerce", "conversations")
    is_super_admin: bool = False
    shops: tuple[Shop, ...] = ()
    extras: tuple[Extras, ...] = ()
    menu: dict[str, tuple[Item, ...]] = field(default_factory=dict)
    """Items by category, both in the order of the menu."""
    offers: tuple[Offer, ...] = ()
    connections: dict[str, tuple[dict[str, str], dict[str, str]]] = field(default_factory=dict)
    """Configuration and secret by provider; sandbox credentials, nothing real."""
