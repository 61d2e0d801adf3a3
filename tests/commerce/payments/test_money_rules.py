"""What settles a payment and what an order owes: no cent appears, none passes silently."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.commerce.payments.rules import Held, balance, settle, spread

CENTS = st.integers(0, 10_000_000)


@st.composite
def held(draw: st.DrawFn, number: int) -> Held:
    received = draw(CENTS)
    return Held(UUID(int=number), received, draw(st.integers(0, received)))


PAYMENTS = st.integers(0, 5).flatmap(lambda n: st.tuples(*(held(i) for i in range(n))))


@given(CENTS, CENTS, st.booleans())
def test_money_that_does_not_fit_is_always_flagged(
    asked: int, received: int, is_closed: bool
) -> None:
    found = settle(asked, received, is_closed=is_closed)
    if not is_closed and received == asked:
        assert (found.status, found.flag, found.excess_cents) == ("paid", None, 0)
    elif received > 0:
        assert found.flag == ("late" if is_closed else "short" if received < asked else "over")
        assert found.excess_cents == (received if is_closed else max(0, received - asked))
        assert (found.status == "pending") == (found.flag == "short")


@given(CENTS, CENTS)
def test_another_currency_never_pays(asked: int, received: int) -> None:
    found = settle(asked, received, same_currency=False)
    assert (found.status, found.flag) == ("pending", "currency")


@given(CENTS, PAYMENTS)
def test_an_order_owes_or_is_owed_never_both(total: int, payments: tuple[Held, ...]) -> None:
    found = balance(total, payments)
    assert min(found.due_cents, found.excess_cents) == 0
    kept = sum(p.received_cents - p.returned_cents for p in payments)
    assert kept + found.due_cents - found.excess_cents == total


@given(PAYMENTS, CENTS)
def test_what_goes_back_is_what_was_asked_and_held(payments: tuple[Held, ...], cents: int) -> None:
    left = {p.id: p.left_cents for p in payments}
    if cents > sum(left.values()):
        with pytest.raises(ValueError, match="more would go back"):
            spread(cents, payments)
        return
    parts = spread(cents, payments)
    assert sum(part for _, part in parts) == cents
    assert all(0 < part <= left[payment_id] for payment_id, part in parts)
    assert [payment_id for payment_id, _ in parts] == sorted((i for i, _ in parts), reverse=True)
