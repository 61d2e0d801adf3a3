"""The one answer to "may this be ordered now?" agrees with hours, switches and slots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from app.commerce.stores.rules import (
    Availability,
    Channel,
    ClosedReason,
    PreorderPolicy,
    Schedule,
    Slot,
    StoreState,
    WeeklyInterval,
    availability,
    is_open,
)

SAO_PAULO = "America/Sao_Paulo"
PIZZERIA = Schedule(SAO_PAULO, tuple(WeeklyInterval.of(day, "18:00", "02:00") for day in range(7)))
POLICY = PreorderPolicy(lead_minutes=60, slot_minutes=30, horizon_days=1)
CLOCKS = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 15, 30]))
WEEKLY = st.lists(st.builds(WeeklyInterval.of, st.integers(0, 6), CLOCKS, CLOCKS), max_size=5)
ZONES = st.sampled_from([SAO_PAULO, "America/New_York", "Asia/Kolkata"])
MOMENTS = st.datetimes(
    datetime(2025, 1, 1),  # noqa: DTZ001 - made aware by the strategy
    datetime(2026, 12, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def at(text: str) -> datetime:
    """Read a wall time of Sao Paulo as a UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(SAO_PAULO)).astimezone(UTC)


def test_open_now() -> None:
    answer = availability(StoreState(PIZZERIA), Channel.PICKUP, at("2026-03-04T20:00"))
    assert answer == Availability(open=True)
    assert answer.next_available_at is None


def test_closed_now_says_when_it_opens_and_which_slot_is_free() -> None:
    noon = at("2026-03-04T12:00")
    opening = at("2026-03-04T18:00")
    assert availability(StoreState(PIZZERIA), Channel.DELIVERY, noon) == Availability(
        False, (ClosedReason.CLOSED_NOW,), opening
    )
    with_preorder = StoreState(PIZZERIA, preorder=PreorderPolicy(420, 30, 2))
    answer = availability(with_preorder, Channel.DELIVERY, noon)
    assert answer.next_slot == Slot(at("2026-03-04T19:00"), at("2026-03-04T19:30"))
    assert answer.next_available_at == opening


def test_a_preorder_needs_the_switch_and_a_real_slot() -> None:
    noon, slot = at("2026-03-04T12:00"), at("2026-03-04T19:00")
    open_store = StoreState(PIZZERIA, preorder=POLICY)
    assert availability(open_store, Channel.DELIVERY, noon, slot) == Availability(open=True)
    wrong = availability(open_store, Channel.DELIVERY, noon, slot + timedelta(minutes=1))
    assert wrong.reasons == (ClosedReason.SLOT_INVALID,)
    assert wrong.next_slot is not None
    assert wrong.next_available_at == at("2026-03-04T18:00")
    off = availability(StoreState(PIZZERIA), Channel.DELIVERY, noon, slot)
    assert off.reasons == (ClosedReason.PREORDER_DISABLED,)
    while_open = availability(StoreState(PIZZERIA), Channel.DELIVERY, slot, slot)
    assert while_open.next_available_at == slot


def test_a_store_or_channel_switched_off_promises_nothing() -> None:
    noon = at("2026-03-04T12:00")
    state = StoreState(PIZZERIA, False, frozenset({Channel.PICKUP}), POLICY)
    answer = availability(state, Channel.DELIVERY, noon)
    assert answer == Availability(
        False,
        (ClosedReason.STORE_INACTIVE, ClosedReason.CHANNEL_DISABLED, ClosedReason.CLOSED_NOW),
    )
    assert answer.next_available_at is None
    only_pickup = StoreState(PIZZERIA, channels=frozenset({Channel.PICKUP}))
    evening = at("2026-03-04T20:00")
    assert availability(only_pickup, Channel.PICKUP, evening).open
    assert availability(only_pickup, Channel.DELIVERY, evening).reasons == (
        ClosedReason.CHANNEL_DISABLED,
    )


@given(WEEKLY, ZONES, MOMENTS, st.booleans(), st.sets(st.sampled_from(Channel)))
@settings(deadline=None)
def test_reasons_and_openness_agree(
    weekly: list[WeeklyInterval],
    zone: str,
    now: datetime,
    is_active: bool,
    channels: set[Channel],
) -> None:
    state = StoreState(Schedule(zone, tuple(weekly)), is_active, frozenset(channels), POLICY)
    answer = availability(state, Channel.DELIVERY, now)
    assert answer.open is (not answer.reasons)
    expected = is_active and Channel.DELIVERY in channels and is_open(state.schedule, now)
    assert answer.open is expected
    if answer.next_slot is not None:
        assert availability(state, Channel.DELIVERY, now, answer.next_slot.start).open
