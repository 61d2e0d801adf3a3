"""Which subscription and which notice count, exhaustively: no order and no repetition matters."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from app.contracts.gateways.billing import RemoteSubscription
from app.saas.billing.rules import current, is_news

_AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
LONGEST = 6
Notice = tuple[datetime, str, str]


def _shown(notices: Iterable[Notice]) -> tuple[str, int]:
    """What an account shows after ``notices``, one after another, and how often it changed."""
    at: datetime | None = None
    id_: str | None = None
    shown, changes = "", 0
    for happened_at, event_id, standing in notices:
        if is_news(happened_at, event_id, at, id_):
            at, id_, shown, changes = happened_at, event_id, standing, changes + 1
    return shown, changes


def test_every_sequence_of_a_lifes_notices_shows_the_newest() -> None:
    """All sequences of up to six notices in which each of five occurs, two at one instant."""
    life: list[Notice] = [
        (_AT, "a", "trialing"),
        (_AT + timedelta(minutes=1), "b", "active"),
        (_AT + timedelta(minutes=2), "e", "past_due"),
        (_AT + timedelta(minutes=3), "c", "unpaid"),
        (_AT + timedelta(minutes=3), "d", "canceled"),
    ]
    seen = 0
    for length in range(len(life), LONGEST + 1):
        for sequence in itertools.product(life, repeat=length):
            if len(set(sequence)) == len(life):
                seen += 1
                shown, changes = _shown(sequence)
                assert shown == "canceled"
                assert changes <= len(life), "what was shown once is never shown again"
    assert seen == 120 + 1800


def test_whatever_order_the_vendor_lists_subscriptions_in_one_counts() -> None:
    states = ["canceled", "incomplete", "unpaid", "past_due", "trialing", "active"]
    listed = [_subscription(f"sub_{n}", state, minute=-n) for n, state in enumerate(states)]
    listed[5:] = [_subscription("sub_8", "active", minute=1), _subscription("sub_9", "active")]
    for order in itertools.permutations(listed, LONGEST):
        left = [s for s in order if s.status == "active"]
        best = max(left, key=lambda s: s.created_at)
        assert current([*order, order[0]]) == best
    twins = [_subscription(f"sub_{n}", "active") for n in range(3)]
    assert {current(order) for order in itertools.permutations(twins)} == {twins[0]}
    assert current([s for s in listed if s.status == "incomplete"]) is None


def _subscription(id_: str, status: str, minute: int = 0) -> RemoteSubscription:
    return RemoteSubscription(
        id=id_,
        status=status,
        price_id="price_1",
        created_at=_AT + timedelta(minutes=minute),
        current_period_end=None,
        cancel_at=None,
        cancel_at_period_end=False,
        trial_ends_at=None,
    )
