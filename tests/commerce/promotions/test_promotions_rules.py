"""Promotions by example: what each kind takes off, and why a coupon does not apply."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.commerce.promotions.offers import (
    Cart,
    CartLine,
    DiscountLine,
    Promotion,
    PromotionContext,
    PromotionKind,
    PromotionScope,
    Reason,
    Unused,
)
from app.commerce.promotions.rules import allocate, apply

K = PromotionKind
STORE, OTHER_STORE = UUID(int=1), UUID(int=2)
PIZZAS, DRINKS = UUID(int=11), UUID(int=12)
MARGHERITA, CALABRESA, GUARANA = UUID(int=21), UUID(int=22), UUID(int=23)
WEDNESDAY_NOON = datetime(2026, 3, 4, 15, tzinfo=UTC)  # 12:00 in Sao Paulo

CART = Cart(
    lines=(
        CartLine("1", MARGHERITA, 5_000, 2, frozenset({PIZZAS})),
        CartLine("2", CALABRESA, 4_500, 1, frozenset({PIZZAS})),
        CartLine("3", GUARANA, 1_000, 3, frozenset({DRINKS})),
    ),
    shipping_cents=900,
)  # subtotal 17,500
CONTEXT = PromotionContext(WEDNESDAY_NOON, "America/Sao_Paulo", STORE)


def promotion(number: int, kind: PromotionKind, value: int = 0, **facts: Any) -> Promotion:
    return Promotion(UUID(int=number), f"promotion {number}", kind, value, **facts)


def coupon(kind: PromotionKind = K.PERCENT, value: int = 1_000, **facts: Any) -> Promotion:
    return promotion(100, kind, value, code="VOLTA10", **facts)


def typed(*codes: str, **facts: Any) -> PromotionContext:
    return replace(CONTEXT, codes=codes or ("volta10",), **facts)


@pytest.mark.parametrize(
    ("offer", "items", "shipping"),
    [
        (promotion(1, K.PERCENT, 1_000), 1_750, 0),
        (promotion(1, K.PERCENT, 10_000), 17_500, 0),
        (promotion(1, K.PERCENT, 1_000, max_discount_cents=1_000), 1_000, 0),
        (promotion(1, K.FIXED, 2_000), 2_000, 0),
        (promotion(1, K.FIXED, 99_999), 17_500, 0),
        (promotion(1, K.FREE_SHIPPING), 0, 900),
        (promotion(1, K.FREE_SHIPPING, max_discount_cents=500), 0, 500),
        (promotion(1, K.FIXED, 2_000, budget_cents=10_000, spent_cents=9_300), 700, 0),
        (promotion(1, K.FREE_SHIPPING, budget_cents=10_000, spent_cents=9_300), 0, 700),
        (
            promotion(
                1, K.PERCENT, 5_000, scope=PromotionScope.CATEGORY, target_ids=frozenset({DRINKS})
            ),
            1_500,
            0,
        ),
        (
            promotion(
                1,
                K.FIXED,
                9_000,
                scope=PromotionScope.PRODUCT,
                target_ids=frozenset({CALABRESA, GUARANA}),
            ),
            7_500,
            0,
        ),
        (
            promotion(
                1, K.PERCENT, 1_000, scope=PromotionScope.STORE, target_ids=frozenset({STORE})
            ),
            1_750,
            0,
        ),
    ],
)
def test_what_each_kind_takes_off(offer: Promotion, items: int, shipping: int) -> None:
    result = apply([offer], CART, CONTEXT)
    assert (result.discount_cents, result.shipping_discount_cents) == (items, shipping)
    assert result.cents_by_promotion == {offer.id: items + shipping}
    assert result.unused == ()


@pytest.mark.parametrize(
    ("buy", "get", "value", "expected"),
    [
        (2, 1, 10_000, 2 * 1_000),  # six units: two free, the cheapest
        (1, 1, 10_000, 3 * 1_000),
        (1, 1, 5_000, 1_500),
        (1, 2, 10_000, 3 * 1_000 + 4_500),
        (5, 1, 10_000, 1_000),
        (6, 1, 10_000, 0),
    ],
)
def test_buy_x_get_y_rewards_the_cheapest_units(
    buy: int, get: int, value: int, expected: int
) -> None:
    offer = promotion(1, K.BUY_X_GET_Y, value, buy_quantity=buy, get_quantity=get)
    result = apply([offer], CART, CONTEXT)
    assert result.discount_cents == expected
    assert [item.reason for item in result.unused] == ([] if expected else [Reason.TOO_FEW_ITEMS])
    assert [item.missing_units for item in result.unused] == ([] if expected else [buy + get - 6])


def test_the_first_order_only() -> None:
    welcome = promotion(1, K.FIRST_ORDER, 2_000)
    assert apply([welcome], CART, replace(CONTEXT, is_first_order=True)).discount_cents == 3_500
    again = apply([welcome], CART, CONTEXT)
    assert again.discount_cents == 0
    assert again.unused == (Unused(Reason.NOT_FIRST_ORDER, welcome.id),)


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"starts_at": WEDNESDAY_NOON + timedelta(seconds=1)}, Reason.NOT_STARTED),
        ({"ends_at": WEDNESDAY_NOON}, Reason.EXPIRED),
        ({"weekdays": frozenset({0, 1, 3})}, Reason.WRONG_WEEKDAY),
        ({"hour_from": time(12, 1)}, Reason.WRONG_HOUR),
        ({"hour_to": time(12)}, Reason.WRONG_HOUR),
        ({"hour_from": time(18), "hour_to": time(2)}, Reason.WRONG_HOUR),
        ({"usage_limit": 5, "used": 5}, Reason.LIMIT_REACHED),
        ({"per_customer_limit": 1, "customer_used": 1}, Reason.CUSTOMER_LIMIT_REACHED),
        ({"budget_cents": 5_000, "spent_cents": 5_000}, Reason.BUDGET_SPENT),
        (
            {"scope": PromotionScope.PRODUCT, "target_ids": frozenset({UUID(int=99)})},
            Reason.NO_MATCHING_ITEM,
        ),
        (
            {"scope": PromotionScope.STORE, "target_ids": frozenset({OTHER_STORE})},
            Reason.WRONG_STORE,
        ),
        ({"kind": K.FIRST_ORDER}, Reason.NOT_FIRST_ORDER),
    ],
)
def test_why_a_coupon_does_not_apply(facts: dict[str, Any], reason: Reason) -> None:
    offer = coupon(**facts)
    result = apply([offer], CART, typed())
    assert result.lines == result.shipping == ()
    assert result.unused == (Unused(reason, offer.id, "VOLTA10"),)


@pytest.mark.parametrize(
    "facts",
    [
        {"starts_at": WEDNESDAY_NOON, "ends_at": WEDNESDAY_NOON + DAY},
        {"weekdays": frozenset({2})},
        {"hour_from": time(12), "hour_to": time(12, 1)},
        {"hour_from": time(12)},
        {"hour_to": time(12, 1)},
        {"hour_from": time(15), "hour_to": time(15)},
        {"usage_limit": 5, "used": 4, "per_customer_limit": 2, "customer_used": 1},
        {"min_subtotal_cents": 17_500},
    ],
)
def test_a_coupon_at_the_edge_of_its_conditions_applies(facts: dict[str, Any]) -> None:
    assert apply([coupon(**facts)], CART, typed()).discount_cents == 1_750


def test_a_coupon_below_its_minimum_says_how_much_is_missing() -> None:
    offer = coupon(min_subtotal_cents=20_000)
    result = apply([offer], CART, typed())
    assert result.unused == (Unused(Reason.BELOW_MINIMUM, offer.id, "VOLTA10", 2_500),)


def test_codes_are_typed_freely_and_unknown_ones_named() -> None:
    result = apply([coupon()], CART, typed(" volta10 ", "Nada", ""))
    assert result.discount_cents == 1_750
    assert result.unused == (Unused(Reason.UNKNOWN, code="NADA"),)


def test_a_coupon_nobody_typed_is_not_told() -> None:
    assert apply([coupon()], CART, CONTEXT) == apply([], CART, CONTEXT)


def test_free_shipping_has_nothing_to_do_on_a_pickup() -> None:
    offer = coupon(K.FREE_SHIPPING)
    result = apply([offer], replace(CART, shipping_cents=0), typed())
    assert result.unused == (Unused(Reason.NO_MATCHING_ITEM, offer.id, "VOLTA10"),)


@pytest.mark.parametrize(
    ("local_hour", "weekday", "applies"),
    [(22, 2, True), (22, 3, False), (1, 1, True), (1, 2, False)],
)
def test_hours_past_midnight_belong_to_the_evening_before(
    local_hour: int, weekday: int, applies: bool
) -> None:
    happy_night = promotion(
        1, K.PERCENT, 1_000, weekdays=frozenset({weekday}), hour_from=time(21), hour_to=time(2)
    )
    now = datetime(2026, 3, 4, tzinfo=UTC) + timedelta(hours=local_hour + 3)  # a Wednesday
    result = apply([happy_night], CART, replace(CONTEXT, now=now))
    assert bool(result.discount_cents) is applies
    assert [item.reason for item in result.unused] == ([] if applies else [Reason.WRONG_WEEKDAY])


def test_combinable_promotions_stack_on_what_is_left() -> None:
    ten = promotion(1, K.PERCENT, 1_000, combinable=True, priority=1)
    five_reais = promotion(2, K.FIXED, 500, combinable=True, priority=2)
    shipping = promotion(3, K.FREE_SHIPPING, combinable=True, priority=3)
    result = apply([shipping, five_reais, ten], CART, CONTEXT)
    assert result.cents_by_promotion == {ten.id: 1_750, five_reais.id: 500, shipping.id: 900}
    swapped = apply([replace(ten, priority=9), five_reais, shipping], CART, CONTEXT)
    assert swapped.cents_by_promotion == {ten.id: 1_700, five_reais.id: 500, shipping.id: 900}


def test_the_customer_gets_the_better_of_one_alone_and_all_combined() -> None:
    alone = promotion(1, K.FIXED, 2_000)
    ten = promotion(2, K.PERCENT, 1_000, combinable=True)
    shipping = promotion(3, K.FREE_SHIPPING, combinable=True)
    together = apply([alone, ten, shipping], CART, CONTEXT)
    assert together.cents_by_promotion == {ten.id: 1_750, shipping.id: 900}
    assert together.unused == (Unused(Reason.SUPERSEDED, alone.id),)
    single = apply([replace(alone, value=3_000), ten, shipping], CART, CONTEXT)
    assert single.cents_by_promotion == {alone.id: 3_000}
    assert {item.promotion_id for item in single.unused} == {ten.id, shipping.id}


def test_equal_savings_go_by_priority_then_id() -> None:
    first, second = promotion(1, K.FIXED, 1_000), promotion(2, K.FIXED, 1_000)
    assert list(apply([second, first], CART, CONTEXT).cents_by_promotion) == [first.id]
    urgent = replace(second, priority=-1)
    assert list(apply([first, urgent], CART, CONTEXT).cents_by_promotion) == [second.id]


def test_a_promotion_with_nothing_left_to_take_is_not_redeemed() -> None:
    everything = promotion(1, K.PERCENT, 10_000, combinable=True)
    rest = promotion(2, K.FIXED, 500, combinable=True)
    result = apply([everything, rest], CART, CONTEXT)
    assert list(result.cents_by_promotion) == [everything.id]
    assert result.unused == (Unused(Reason.SUPERSEDED, rest.id),)


def test_odd_cents_go_to_the_largest_remainder() -> None:
    assert allocate(100, {"a": 1, "b": 1, "c": 1} | {"d": 97}) == {"a": 1, "b": 1, "c": 1, "d": 97}
    assert allocate(10, {"b": 10, "a": 10, "c": 10}) == {"a": 4, "b": 3, "c": 3}
    assert allocate(0, {"a": 0}) == {"a": 0}
    lines = tuple(CartLine(key, MARGHERITA, 333) for key in ("a", "b", "c"))
    offer = promotion(1, K.FIXED, 100)
    assert apply([offer], Cart(lines), CONTEXT).lines == (
        DiscountLine(offer.id, "a", 34),
        DiscountLine(offer.id, "b", 33),
        DiscountLine(offer.id, "c", 33),
    )


def test_half_a_cent_rounds_up_once_per_promotion() -> None:
    lines = (CartLine("a", MARGHERITA, 5), CartLine("b", MARGHERITA, 10))
    offer = promotion(1, K.PERCENT, 1_000)
    assert apply([offer], Cart(lines), CONTEXT).discount_cents == 2


def test_bad_input_is_refused() -> None:
    line = CartLine("a", MARGHERITA, 5)
    with pytest.raises(ValueError, match="key"):
        Cart((line, line))
    with pytest.raises(ValueError, match="negative"):
        Cart((replace(line, quantity=-1),))
    with pytest.raises(ValueError, match="timezone"):
        replace(CONTEXT, now=WEDNESDAY_NOON.replace(tzinfo=None))
    with pytest.raises(ValueError, match="allocate"):
        allocate(3, {"a": 1, "b": 1})
