"""Shipping fees: distances, the order of the rules, free shipping, refusals."""

from __future__ import annotations

from random import Random
from uuid import UUID, uuid4

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from app.commerce.shipping.rules import (
    Destination,
    OutOfArea,
    OutOfAreaReason,
    Point,
    Quote,
    ShippingKind,
    ShippingRule,
    haversine_km,
    quote,
)

MASP = Point(-23.5614, -46.6559)
SE = Point(-23.5503, -46.6339)  # some 2.6 km from MASP
POINTS = st.builds(
    Point, st.floats(min_value=-90, max_value=90), st.floats(min_value=-180, max_value=180)
)
CENTS = st.integers(min_value=0, max_value=1_000_000)


def distance(a: Point, b: Point) -> float:
    return haversine_km(a.lat, a.lng, b.lat, b.lng)


def tier(max_km: float, fee: int, *, priority: int = 0, minutes: int = 20) -> ShippingRule:
    # The farther tier has the lower id: reading them by id alone would be seen.
    rule_id = UUID(int=10**6 - int(max_km * 10))
    return ShippingRule(rule_id, ShippingKind.DISTANCE, fee, minutes, priority, max_km=max_km)


def flat(fee: int, *, priority: int = 0, minutes: int = 30) -> ShippingRule:
    return ShippingRule(uuid4(), ShippingKind.FLAT, fee, minutes, priority)


def test_haversine_knows_real_distances() -> None:
    # Congonhas to Santos Dumont, 366 km of great circle.
    assert haversine_km(-23.6261, -46.6564, -22.9105, -43.1631) == pytest.approx(366, abs=2)
    assert distance(MASP, SE) == pytest.approx(2.56, abs=0.05)
    assert haversine_km(90, 0, -90, 0) == pytest.approx(20_015.1, abs=0.1)


@given(POINTS, POINTS)
@settings(deadline=None)
def test_haversine_is_symmetric_and_bounded(a: Point, b: Point) -> None:
    assert distance(a, b) == pytest.approx(distance(b, a), abs=1e-6)
    assert 0 <= distance(a, b) <= 20_016


@given(POINTS)
@settings(deadline=None)
def test_haversine_to_itself_is_zero(a: Point) -> None:
    assert distance(a, a) == 0


@given(POINTS, POINTS, POINTS)
@settings(deadline=None)
def test_haversine_keeps_the_triangle(a: Point, b: Point, c: Point) -> None:
    assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-3


@pytest.mark.parametrize("lat_lng", [(91, 0), (0, 181), (float("nan"), 0), (0, float("inf"))])
def test_a_point_off_the_globe_is_refused(lat_lng: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="within"):
        Point(*lat_lng)


def test_the_first_tier_that_reaches_counts() -> None:
    near, far = tier(2, 500), tier(5, 900, minutes=35)
    answer = quote([far, near], Destination(point=SE), MASP, 5_000, 25)
    assert answer == Quote(900, 60, round(distance(MASP, SE), 3), far.id)


@given(
    st.lists(
        st.tuples(st.integers(1, 500), CENTS), min_size=1, max_size=6, unique_by=lambda t: t[0]
    ),
    st.floats(min_value=0, max_value=60),
    st.floats(min_value=0, max_value=60),
    st.randoms(use_true_random=False),
)
@settings(max_examples=150, deadline=None)
def test_growing_tiers_make_a_growing_fee(
    tiers: list[tuple[int, int]], one: float, other: float, random: Random
) -> None:
    reaches = sorted(reach / 10 for reach, _ in tiers)
    fees = sorted(fee for _, fee in tiers)
    rules = [tier(reach, fee) for reach, fee in zip(reaches, fees, strict=True)]
    random.shuffle(rules)
    nearer, farther = sorted([one, other])
    first = quote(rules, Destination(), None, 0, 0, distance_km=nearer)
    reaching = [fee for reach, fee in zip(reaches, fees, strict=True) if reach >= round(nearer, 3)]
    assert isinstance(first, Quote) is bool(reaching)
    assert not isinstance(first, Quote) or first.fee_cents == reaching[0]
    second = quote(rules, Destination(), None, 0, 0, distance_km=farther)
    if isinstance(first, OutOfArea):
        assert isinstance(second, OutOfArea)
    elif isinstance(second, Quote):
        assert first.fee_cents <= second.fee_cents


@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=6),
    st.floats(min_value=0.001, max_value=1000),
)
@settings(deadline=None)
def test_beyond_the_last_tier_is_refused(reaches: list[int], beyond: float) -> None:
    rules = [tier(reach / 10, 500) for reach in reaches]
    last = max(reaches) / 10
    at_the_edge = quote(rules, Destination(), None, 0, 0, distance_km=last)
    assert isinstance(at_the_edge, Quote)
    answer = quote(
        rules, Destination(), None, 10**9, 0, distance_km=last + beyond, free_above_cents=0
    )
    assert isinstance(answer, OutOfArea)
    assert answer.reason is OutOfAreaReason.TOO_FAR
    assert answer.max_km == last


@given(CENTS, CENTS, CENTS, st.integers(0, 300))
@settings(deadline=None)
def test_free_from_the_subtotal_on(fee: int, subtotal: int, above: int, minutes: int) -> None:
    rule = flat(fee)
    answer = quote([rule], Destination(), None, subtotal, minutes, free_above_cents=above)
    assert answer == Quote(0 if subtotal >= above else fee, minutes + 30, None, rule.id)


def test_free_shipping_starts_at_the_very_cent() -> None:
    rule = flat(700)
    fees = [
        answer.fee_cents
        for subtotal in (9_999, 10_000)
        if isinstance(
            answer := quote([rule], Destination(), None, subtotal, 0, free_above_cents=10_000),
            Quote,
        )
    ]
    assert fees == [700, 0]


RULES = st.lists(
    st.one_of(
        st.builds(
            ShippingRule,
            st.uuids(),
            st.just(ShippingKind.DISTANCE),
            st.integers(-500, 5_000),
            st.integers(-10, 90),
            st.integers(0, 3),
            max_km=st.floats(min_value=0, max_value=30),
        ),
        st.builds(
            ShippingRule,
            st.uuids(),
            st.just(ShippingKind.CEP_RANGE),
            st.integers(-500, 5_000),
            st.integers(-10, 90),
            st.integers(0, 3),
            cep_first=st.sampled_from(["01000000", "02000-000"]),
            cep_last=st.sampled_from(["01999-999", "05999999"]),
        ),
        st.builds(
            ShippingRule,
            st.uuids(),
            st.just(ShippingKind.DISTRICT),
            st.integers(-500, 5_000),
            st.integers(-10, 90),
            st.integers(0, 3),
            district=st.sampled_from(["Sé", "Vila Madalena"]),
        ),
    ),
    max_size=6,
    unique_by=lambda rule: rule.id,
)
DESTINATIONS = st.builds(
    Destination,
    st.sampled_from([None, "01310-100", "04101000", "99999-999"]),
    st.sampled_from([None, "se", "VILA  MADALENA", "Moema"]),
    st.sampled_from([None, SE]),
)


@given(RULES, DESTINATIONS, CENTS, st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_rules_never_matters_and_nothing_is_negative(
    rules: list[ShippingRule], destination: Destination, subtotal: int, turn: int
) -> None:
    answer = quote(rules, destination, MASP, subtotal, 15)
    turned = [*rules[turn:], *rules[:turn]][::-1]
    assert quote(turned, destination, MASP, subtotal, 15) == answer
    if isinstance(answer, Quote):
        assert answer.fee_cents >= 0
        assert answer.eta_minutes >= 15
        chosen = next(rule for rule in rules if rule.id == answer.rule_id)
        assert answer.fee_cents == max(0, chosen.fee_cents)


@pytest.mark.parametrize(
    ("destination", "served_by"),
    [
        (Destination("01310-100", "Bela Vista"), "cep"),
        (Destination("05001-000", "  vila   MADALENA "), "district"),
        (Destination("05001-000", "Sao Mateus"), "far"),
        (Destination("05001-000"), "far"),
        (Destination(), "far"),
    ],
)
def test_cep_district_and_flat_rules(destination: Destination, served_by: str) -> None:
    ids = {name: UUID(int=number) for number, name in enumerate(["far", "cep", "district"])}
    rules = [
        ShippingRule(ids["far"], ShippingKind.FLAT, 1_500, 50, 9),
        ShippingRule(
            ids["cep"],
            ShippingKind.CEP_RANGE,
            400,
            20,
            1,
            cep_first="01300-000",
            cep_last="01399999",
        ),
        ShippingRule(ids["district"], ShippingKind.DISTRICT, 600, 30, 2, district="Vila Madalena"),
    ]
    answer = quote(rules, destination, None, 0, 10)
    assert isinstance(answer, Quote)
    assert answer.rule_id == ids[served_by]


def test_accents_do_not_hide_a_district() -> None:
    rule = ShippingRule(uuid4(), ShippingKind.DISTRICT, 600, 30, district="Jardim São Luís")
    answer = quote([rule], Destination(district="jardim sao luis"), None, 0, 0)
    assert isinstance(answer, Quote)


def test_refusals_name_their_reason() -> None:
    district = ShippingRule(uuid4(), ShippingKind.DISTRICT, 600, 30, district="Moema")
    here = Destination("01310-100", "Sé")
    assert quote([], here, MASP, 0, 0) == OutOfArea(OutOfAreaReason.NO_RULES)
    assert quote([district], here, MASP, 0, 0) == OutOfArea(OutOfAreaReason.NOT_SERVED)
    assert quote([district, tier(3, 500)], here, MASP, 0, 0) == OutOfArea(
        OutOfAreaReason.LOCATION_UNKNOWN, None, 3
    )


def test_a_road_distance_goes_before_the_great_circle() -> None:
    answer = quote([tier(3, 500)], Destination(point=SE), MASP, 0, 0, distance_km=3.4)
    assert answer == OutOfArea(OutOfAreaReason.TOO_FAR, 3.4, 3)


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_a_distance_must_be_a_number(wrong: float) -> None:
    with pytest.raises(ValueError, match="distance"):
        quote([flat(1)], Destination(), None, 0, 0, distance_km=wrong)


@given(st.floats(min_value=-80, max_value=80), st.floats(min_value=0.01, max_value=5))
@settings(deadline=None)
@example(-23.5614, 1.0)
def test_coordinates_and_a_looked_up_distance_agree(lat: float, degrees: float) -> None:
    assume(abs(lat + degrees) <= 90)
    origin, there = Point(lat, 10), Point(lat + degrees, 10)
    km = distance(origin, there)
    rules = [tier(100, 500), tier(300, 900), tier(600, 1_500)]
    assert quote(rules, Destination(point=there), origin, 0, 0) == quote(
        rules, Destination(), None, 0, 0, distance_km=km
    )
