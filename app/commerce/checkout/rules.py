"""The arithmetic of an order: the price of a line, the totals, and the stock it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class BreachCode(StrEnum):
    INVALID_QUANTITY = "invalid-quantity"
    TOO_FEW = "too-few"
    TOO_MANY = "too-many"
    UNKNOWN_MODIFIER = "unknown-modifier"
    OVER_MAX_QUANTITY = "over-max-quantity"


@dataclass(frozen=True, slots=True)
class Modifier:
    """An extra one may choose; ``max_quantity`` None means as many as the group allows."""

    id: UUID
    price_cents: int
    max_quantity: int | None = 1


@dataclass(frozen=True, slots=True)
class ModifierGroup:
    """A group of extras, counted in units.

    A required group wants at least ``min_choices`` (and at least one); any other may be left
    alone, but once used wants its minimum too. ``max_choices`` None means no limit. The cheapest
    ``free_quantity`` units chosen cost nothing.
    """

    id: UUID
    modifiers: tuple[Modifier, ...]
    min_choices: int = 0
    max_choices: int | None = None
    is_required: bool = False
    free_quantity: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """A modifier as the customer chose it."""

    modifier_id: UUID
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class Breach:
    """One thing wrong with a line: what was given, and the nearest that would be accepted."""

    code: BreachCode
    given: int
    accepted: int
    group_id: UUID | None = None
    modifier_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class LinePrice:
    """The price of a line; binding only when ``breaches`` is empty.

    ``unit_cents`` holds base and modifiers of one unit, ``total_cents`` all units.
    """

    base_cents: int
    modifiers_cents: int
    quantity: int
    breaches: tuple[Breach, ...] = ()

    @property
    def unit_cents(self) -> int:
        return self.base_cents + self.modifiers_cents

    @property
    def total_cents(self) -> int:
        return self.unit_cents * self.quantity


@dataclass(frozen=True, slots=True)
class Totals:
    """The totals of an order in cents. Raises ValueError when a discount exceeds its base."""

    subtotal_cents: int
    discount_cents: int = 0
    shipping_cents: int = 0
    shipping_discount_cents: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.discount_cents <= self.subtotal_cents:
            raise ValueError("the discount lies between nothing and the subtotal")
        if not 0 <= self.shipping_discount_cents <= self.shipping_cents:
            raise ValueError("the shipping discount lies between nothing and the shipping")

    @property
    def total_cents(self) -> int:
        return (
            self.subtotal_cents
            - self.discount_cents
            + self.shipping_cents
            - self.shipping_discount_cents
        )


@dataclass(frozen=True, slots=True)
class StockUse:
    """How many of a stock item one line takes in all."""

    item_id: UUID
    quantity: int


@dataclass(frozen=True, slots=True)
class Shortage:
    """A stock item with less on hand than the order wants."""

    item_id: UUID
    wanted: int
    available: int


def price_line(
    base_cents: int,
    *,
    choices: Iterable[Choice] = (),
    groups: Iterable[ModifierGroup] = (),
    quantity: int = 1,
) -> LinePrice:
    """Price one line and list everything wrong with its choices.

    Choices of the same modifier count together; neither their order nor that of the groups
    matters. ``groups`` holds what may be chosen here and now: leave the unavailable out.
    """
    known_groups = sorted(groups, key=lambda group: group.id)
    known = {modifier.id for group in known_groups for modifier in group.modifiers}
    chosen: dict[UUID, int] = {}
    breaches: list[Breach] = []
    if quantity < 1:
        breaches.append(Breach(BreachCode.INVALID_QUANTITY, quantity, 1))
    for choice in sorted(choices, key=lambda choice: (choice.modifier_id, choice.quantity)):
        if choice.modifier_id not in known:
            code, accepted = BreachCode.UNKNOWN_MODIFIER, 0
        elif choice.quantity < 1:
            code, accepted = BreachCode.INVALID_QUANTITY, 1
        else:
            chosen[choice.modifier_id] = chosen.get(choice.modifier_id, 0) + choice.quantity
            continue
        breaches.append(Breach(code, choice.quantity, accepted, modifier_id=choice.modifier_id))
    for group in known_groups:
        breaches.extend(_group_breaches(group, chosen))
    return LinePrice(
        base_cents=base_cents,
        modifiers_cents=sum(_group_cents(group, chosen) for group in known_groups),
        quantity=max(0, quantity),
        breaches=tuple(breaches),
    )


def stock_demand(uses: Iterable[StockUse]) -> dict[UUID, int]:
    """Merge what all lines take of each stock item, in id order: the order locks are taken in.

    Raises ValueError for a quantity below one.
    """
    demand: dict[UUID, int] = {}
    for use in uses:
        if use.quantity < 1:
            raise ValueError("a line takes at least one of its stock item")
        demand[use.item_id] = demand.get(use.item_id, 0) + use.quantity
    return dict(sorted(demand.items()))


def shortages(demand: Mapping[UUID, int], on_hand: Mapping[UUID, int]) -> tuple[Shortage, ...]:
    """Return every item of ``demand`` that ``on_hand`` cannot serve, in id order.

    An item missing from ``on_hand`` has none; pass only tracked items as demand.
    """
    return tuple(
        Shortage(item_id, wanted, max(0, on_hand.get(item_id, 0)))
        for item_id, wanted in sorted(demand.items())
        if wanted > on_hand.get(item_id, 0)
    )


def _group_breaches(group: ModifierGroup, chosen: Mapping[UUID, int]) -> list[Breach]:
    breaches = [
        Breach(
            BreachCode.OVER_MAX_QUANTITY,
            chosen[modifier.id],
            modifier.max_quantity,
            group.id,
            modifier.id,
        )
        for modifier in sorted(group.modifiers, key=lambda modifier: modifier.id)
        if modifier.max_quantity is not None and chosen.get(modifier.id, 0) > modifier.max_quantity
    ]
    units = sum(chosen.get(modifier.id, 0) for modifier in group.modifiers)
    least = max(1, group.min_choices) if group.is_required else group.min_choices
    if units < least and (group.is_required or units):
        breaches.append(Breach(BreachCode.TOO_FEW, units, least, group.id))
    if group.max_choices is not None and units > group.max_choices:
        breaches.append(Breach(BreachCode.TOO_MANY, units, group.max_choices, group.id))
    return breaches


def _group_cents(group: ModifierGroup, chosen: Mapping[UUID, int]) -> int:
    """Return what the chosen units cost, the cheapest ``free_quantity`` of them left out."""
    free = max(0, group.free_quantity)
    cents = 0
    for modifier in sorted(group.modifiers, key=lambda modifier: modifier.price_cents):
        units = chosen.get(modifier.id, 0)
        waived = min(free, units)
        free -= waived
        cents += (units - waived) * modifier.price_cents
    return cents
