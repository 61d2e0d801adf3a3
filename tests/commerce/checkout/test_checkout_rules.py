"""Line prices, totals and stock demand add up, whatever the order of what is chosen."""

from __future__ import annotations

from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.commerce.checkout.rules import (
    Breach,
    BreachCode,
    Choice,
    LinePrice,
    Modifier,
    ModifierGroup,
    Shortage,
    StockUse,
    Totals,
    price_line,
    shortages,
    stock_demand,
)

B = BreachCode
BORDER, SIZE = UUID(int=1), UUID(int=2)
BACON, CHEESE, OLIVES = UUID(int=11), UUID(int=12), UUID(int=13)
SMALL, LARGE = UUID(int=21), UUID(int=22)
EXTRAS = ModifierGroup(
    BORDER,
    (Modifier(BACON, 600, 2), Modifier(CHEESE, 400, None), Modifier(OLIVES, 200)),
    max_choices=4,
    free_quantity=1,
)
SIZES = ModifierGroup(SIZE, (Modifier(SMALL, 0), Modifier(LARGE, 1_500)), 1, 1, is_required=True)
CENTS = st.integers(0, 10**7)


def test_a_line_with_extras() -> None:
    priced = price_line(
        5_000,
        choices=[Choice(LARGE), Choice(BACON, 2), Choice(OLIVES)],
        groups=[EXTRAS, SIZES],
        quantity=2,
    )
    assert priced == LinePrice(5_000, 1_500 + 1_200, 2)  # the olives are the free one
    assert (priced.unit_cents, priced.total_cents) == (7_700, 15_400)


def breaches(*choices: Choice, groups: tuple[ModifierGroup, ...] = (EXTRAS, SIZES)) -> set[Breach]:
    return set(price_line(5_000, choices=choices, groups=groups).breaches)


def test_every_breach_is_named() -> None:
    stranger = UUID(int=99)
    assert breaches(Choice(SMALL)) == set()
    assert breaches() == {Breach(B.TOO_FEW, 0, 1, SIZE)}
    assert breaches(
        Choice(stranger, 2), Choice(BACON, 3), Choice(OLIVES, 2), Choice(CHEESE, 0)
    ) == {
        Breach(B.UNKNOWN_MODIFIER, 2, 0, modifier_id=stranger),
        Breach(B.OVER_MAX_QUANTITY, 3, 2, BORDER, BACON),
        Breach(B.OVER_MAX_QUANTITY, 2, 1, BORDER, OLIVES),
        Breach(B.TOO_MANY, 5, 4, BORDER),
        Breach(B.INVALID_QUANTITY, 0, 1, modifier_id=CHEESE),
        Breach(B.TOO_FEW, 0, 1, SIZE),
    }
    assert breaches(Choice(SMALL), Choice(LARGE)) == {Breach(B.TOO_MANY, 2, 1, SIZE)}


def test_a_modifier_chosen_twice_counts_together() -> None:
    assert breaches(Choice(SMALL), Choice(OLIVES), Choice(OLIVES)) == {
        Breach(B.OVER_MAX_QUANTITY, 2, 1, BORDER, OLIVES)
    }


def test_an_optional_group_is_left_alone_or_used_properly() -> None:
    pair = ModifierGroup(BORDER, (Modifier(BACON, 600), Modifier(OLIVES, 200)), min_choices=2)
    assert breaches(groups=(pair,)) == set()
    assert breaches(Choice(BACON), groups=(pair,)) == {Breach(B.TOO_FEW, 1, 2, BORDER)}
    assert breaches(Choice(BACON), Choice(OLIVES), groups=(pair,)) == set()


def test_a_required_group_without_minimum_still_wants_one() -> None:
    group = ModifierGroup(SIZE, (Modifier(SMALL, 0),), is_required=True)
    assert breaches(groups=(group,)) == {Breach(B.TOO_FEW, 0, 1, SIZE)}


@pytest.mark.parametrize("quantity", [0, -3])
def test_no_line_without_quantity(quantity: int) -> None:
    priced = price_line(5_000, quantity=quantity)
    assert priced.breaches == (Breach(B.INVALID_QUANTITY, quantity, 1),)
    assert priced.total_cents == 0


GROUPS = st.builds(
    lambda prices, free, least, most, required: ModifierGroup(
        BORDER,
        tuple(Modifier(UUID(int=100 + n), price, 3) for n, price in enumerate(prices)),
        least,
        most,
        required,
        free,
    ),
    st.lists(st.integers(0, 2_000), max_size=4),
    st.integers(0, 4),
    st.integers(0, 3),
    st.none() | st.integers(0, 6),
    st.booleans(),
)
CHOICES = st.lists(
    st.builds(Choice, st.integers(100, 105).map(lambda n: UUID(int=n)), st.integers(0, 4)),
    max_size=6,
)


@given(CENTS, GROUPS, CHOICES, st.integers(1, 50), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_choices_never_matters_and_extras_never_pay_back(
    base: int, group: ModifierGroup, choices: list[Choice], quantity: int, random: Random
) -> None:
    priced = price_line(base, choices=choices, groups=[group, SIZES], quantity=quantity)
    random.shuffle(choices)
    again = price_line(base, choices=choices, groups=[SIZES, group], quantity=quantity)
    assert again == priced
    assert priced.unit_cents >= base
    assert priced.total_cents == priced.unit_cents * quantity
    # Model: every chosen unit apart, the cheapest ones free.
    prices = {modifier.id: modifier.price_cents for modifier in group.modifiers}
    units = sorted(prices[c.modifier_id] for c in choices for _ in range(c.quantity)
                   if c.modifier_id in prices)  # fmt: skip
    assert priced.modifiers_cents == sum(units[group.free_quantity :])


@given(GROUPS, CHOICES)
@settings(max_examples=100, deadline=None)
def test_no_breach_exactly_when_all_bounds_hold(
    group: ModifierGroup, choices: list[Choice]
) -> None:
    known = {modifier.id for modifier in group.modifiers}
    each = {i: sum(c.quantity for c in choices if c.modifier_id == i) for i in known}
    units = sum(each.values())
    least = max(group.min_choices, 1) if group.is_required else group.min_choices
    fine = (
        all(c.modifier_id in known and c.quantity > 0 for c in choices)
        and all(count <= 3 for count in each.values())
        and (units >= least or (units == 0 and not group.is_required))
        and (group.max_choices is None or units <= group.max_choices)
    )
    assert (price_line(0, choices=choices, groups=[group]).breaches == ()) is fine


@given(CENTS, CENTS, CENTS, CENTS)
@settings(deadline=None)
def test_totals_are_never_negative_or_refused_for_less_than_an_excess(
    subtotal: int, discount: int, shipping: int, shipping_discount: int
) -> None:
    if discount > subtotal or shipping_discount > shipping:
        with pytest.raises(ValueError, match="lies between"):
            Totals(subtotal, discount, shipping, shipping_discount)
        return
    totals = Totals(subtotal, discount, shipping, shipping_discount)
    assert totals.total_cents == (subtotal - discount) + (shipping - shipping_discount)
    assert totals.total_cents >= 0


@pytest.mark.parametrize("amounts", [(-1, 0, 0, 0), (5, -1, 0, 0), (5, 0, -1, 0), (5, 0, 5, -1)])
def test_totals_refuse_negative_amounts(amounts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="lies between"):
        Totals(*amounts)


USES = st.lists(
    st.builds(StockUse, st.integers(1, 5).map(lambda n: UUID(int=n)), st.integers(1, 20))
)


@given(USES, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_stock_demand_is_merged_complete_and_in_id_order(
    uses: list[StockUse], random: Random
) -> None:
    demand = stock_demand(uses)
    assert list(demand) == sorted({use.item_id for use in uses})
    assert sum(demand.values()) == sum(use.quantity for use in uses)
    for item_id, wanted in demand.items():
        assert wanted == sum(use.quantity for use in uses if use.item_id == item_id)
    random.shuffle(uses)
    assert list(stock_demand(uses).items()) == list(demand.items())


def test_stock_demand_refuses_to_give_back() -> None:
    with pytest.raises(ValueError, match="at least one"):
        stock_demand([StockUse(BACON, 0)])


def test_two_lines_of_one_item_are_short_together() -> None:
    demand = stock_demand([StockUse(CHEESE, 2), StockUse(BACON, 1), StockUse(CHEESE, 2)])
    assert shortages(demand, {CHEESE: 4, BACON: 1}) == ()
    assert shortages(demand, {CHEESE: 3}) == (Shortage(BACON, 1, 0), Shortage(CHEESE, 4, 3))
    assert shortages(demand, {CHEESE: 4, BACON: -2}) == (Shortage(BACON, 1, 0),)
