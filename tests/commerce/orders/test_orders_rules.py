"""The table of moves of an order says what the specification says, and nothing more."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.commerce.orders.rules import (
    TRANSITIONS,
    FulfilmentType,
    OrderStatus,
    allowed,
    is_final,
    may_customer_cancel,
    may_move,
)

S = OrderStatus
PATHS = {
    FulfilmentType.DELIVERY: [
        S.PENDING, S.CONFIRMED, S.PREPARING, S.READY, S.OUT_FOR_DELIVERY, S.DELIVERED
    ],
    FulfilmentType.PICKUP: [S.PENDING, S.CONFIRMED, S.PREPARING, S.READY, S.DELIVERED],
}  # fmt: skip


@pytest.mark.parametrize("fulfilment", list(FulfilmentType))
def test_the_moves_are_exactly_those_of_the_specification(fulfilment: FulfilmentType) -> None:
    path = PATHS[fulfilment]
    expected = set(pairwise(path))
    expected |= {(status, S.CANCELLED) for status in path[:-1]}
    expected.add((S.PENDING, S.REJECTED))
    moves = {(old, new) for old in S for new in S if may_move(fulfilment, old, new)}
    assert moves == expected


@pytest.mark.parametrize("fulfilment", list(FulfilmentType))
def test_final_states_are_those_without_a_way_out(fulfilment: FulfilmentType) -> None:
    for status in TRANSITIONS[fulfilment]:
        assert is_final(status) == (not allowed(fulfilment, status))


def test_a_pickup_is_never_out_for_delivery() -> None:
    assert allowed(FulfilmentType.PICKUP, S.OUT_FOR_DELIVERY) == frozenset()
    assert S.OUT_FOR_DELIVERY not in allowed(FulfilmentType.PICKUP, S.READY)


def test_the_customer_cancels_only_while_pending() -> None:
    assert [status for status in S if may_customer_cancel(status)] == [S.PENDING]


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[FulfilmentType.PICKUP][S.DELIVERED] = frozenset(S)  # type: ignore[index]


@given(
    st.sampled_from(FulfilmentType), st.lists(st.integers(min_value=0, max_value=7), max_size=20)
)
@settings(deadline=None)
def test_every_walk_ends_and_never_comes_back(fulfilment: FulfilmentType, picks: list[int]) -> None:
    status, seen = S.PENDING, [S.PENDING]
    for pick in picks:
        options = sorted(allowed(fulfilment, status))
        if not options:
            break
        status = options[pick % len(options)]
        assert status not in seen
        seen.append(status)
    assert len(seen) <= len(PATHS[fulfilment]) + 1
