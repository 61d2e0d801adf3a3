"""Cut-off, pause and full slots inside the one rule of availability."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.commerce.stores.rules import (
    Channel,
    ClosedReason,
    DateException,
    PreorderPolicy,
    Schedule,
    SlotUse,
    StoreState,
    WeeklyInterval,
    availability,
    offered_slots,
)

SAO_PAULO = "America/Sao_Paulo"
EVENINGS = Schedule(SAO_PAULO, tuple(WeeklyInterval.of(d, "18:00", "02:00") for d in range(7)))
POLICY = PreorderPolicy(lead_minutes=60, slot_minutes=30, horizon_days=1)
STORE = StoreState(EVENINGS, preorder=POLICY)


def at(text: str, zone: str = SAO_PAULO) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("local", "reasons"),
    [
        ("2025-07-26T01:39:59", ()),
        ("2025-07-26T01:40", (ClosedReason.PAST_CUTOFF,)),
        ("2025-07-26T01:59:59", (ClosedReason.PAST_CUTOFF,)),
        ("2025-07-26T02:00", (ClosedReason.CLOSED_NOW,)),
        ("2025-07-26T18:00", ()),
    ],
)
def test_the_cut_off_minute_past_midnight(local: str, reasons: tuple[ClosedReason, ...]) -> None:
    found = availability(replace(STORE, cutoff_minutes=20), Channel.PICKUP, at(local))
    assert found.reasons == reasons
    if reasons:
        assert found.next_open == at("2025-07-26T18:00")


def test_as_soon_as_possible_in_the_last_minute_without_a_cut_off() -> None:
    assert availability(STORE, Channel.DELIVERY, at("2025-07-26T01:59:59")).open
    assert not availability(STORE, Channel.DELIVERY, at("2025-07-26T02:00")).open


def test_the_cut_off_counts_real_minutes_where_the_clock_changes() -> None:
    """In New York, on 2 November 2025, 01:30 comes twice before a closing at 02:00."""
    zone = "America/New_York"
    night = Schedule(zone, (WeeklyInterval.of(5, "18:00", "02:00"),))
    store = StoreState(night, cutoff_minutes=45)
    first = at("2025-11-02T01:30", zone)
    assert availability(store, Channel.PICKUP, first).open, "an hour and a half are left"
    second = first + timedelta(hours=1)
    assert availability(store, Channel.PICKUP, second).reasons == (ClosedReason.PAST_CUTOFF,)


def test_a_cut_off_longer_than_the_opening_never_loops() -> None:
    found = availability(replace(STORE, cutoff_minutes=600), Channel.PICKUP, at("2025-07-26T19:00"))
    assert (found.reasons, found.next_open) == ((ClosedReason.PAST_CUTOFF,), None)


def test_a_pause_ends_by_itself_and_hides_the_slots_inside_it() -> None:
    until = at("2025-07-26T21:00")
    paused = replace(STORE, paused_until=until)
    found = availability(paused, Channel.PICKUP, at("2025-07-26T19:00"))
    assert (found.reasons, found.next_open) == ((ClosedReason.PAUSED,), until)
    assert found.next_slot is not None
    assert found.next_slot.start == until
    inside = availability(paused, Channel.PICKUP, at("2025-07-26T19:00"), at("2025-07-26T20:30"))
    assert inside.reasons == (ClosedReason.PAUSED,)
    assert availability(paused, Channel.PICKUP, until).open
    assert not availability(paused, Channel.PICKUP, until - timedelta(seconds=1)).open


def test_a_pause_beyond_closing_returns_with_the_next_opening() -> None:
    paused = replace(STORE, paused_until=at("2025-07-27T10:00"))
    found = availability(paused, Channel.PICKUP, at("2025-07-26T19:00"))
    assert found.next_open == at("2025-07-27T18:00")


def test_a_full_slot_names_the_next_free_one() -> None:
    noon = at("2025-07-26T12:00")
    starts = [slot.start for slot in offered_slots(STORE, noon)]
    found = availability(STORE, Channel.PICKUP, noon, starts[1], frozenset(starts[:3]))
    assert found.reasons == (ClosedReason.SLOT_FULL,)
    assert found.next_slot is not None
    assert found.next_slot.start == starts[3]
    assert availability(STORE, Channel.PICKUP, noon, starts[3], frozenset(starts[:3])).open


def test_a_holiday_takes_the_slots_of_its_date_away() -> None:
    holiday = DateException(datetime(2025, 7, 27, tzinfo=UTC).date())
    store = replace(STORE, schedule=replace(EVENINGS, exceptions=(holiday,)))
    noon = at("2025-07-26T12:00")
    assert availability(STORE, Channel.PICKUP, noon, at("2025-07-27T19:00")).open
    gone = availability(store, Channel.PICKUP, noon, at("2025-07-27T19:00"))
    assert gone.reasons == (ClosedReason.SLOT_INVALID,)
    spill = availability(store, Channel.PICKUP, noon, at("2025-07-27T00:30"))
    assert spill.reasons == (ClosedReason.SLOT_INVALID,), "the evening before ends at midnight"


@pytest.mark.parametrize(
    ("policy", "held", "channel", "is_full"),
    [
        ((None, None, None), SlotUse(99, 99), Channel.DELIVERY, False),
        ((3, None, None), SlotUse(1, 1), Channel.DELIVERY, False),
        ((3, None, None), SlotUse(1, 2), Channel.DELIVERY, True),
        ((None, 1, None), SlotUse(1, 0), Channel.DELIVERY, True),
        ((None, 1, None), SlotUse(1, 0), Channel.PICKUP, False),
        ((9, None, 2), SlotUse(0, 2), Channel.PICKUP, True),
    ],
)
def test_what_fills_a_slot(
    policy: tuple[int | None, int | None, int | None],
    held: SlotUse,
    channel: Channel,
    is_full: bool,
) -> None:
    assert PreorderPolicy(60, 30, 3, *policy).is_full(held, channel) is is_full
