"""Opening hours, pre-order slots and availability, also at midnight and when clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.commerce.stores.rules import (
    DateException,
    Interval,
    InvalidHours,
    PreorderPolicy,
    Schedule,
    Slot,
    WeeklyInterval,
    closes_at,
    find_slot,
    is_open,
    next_opening,
    preorder_slots,
    slot_is_valid,
)

SAO_PAULO = "America/Sao_Paulo"
NEW_YORK = "America/New_York"
EVERY_EVENING = tuple(WeeklyInterval.of(day, "18:00", "02:00") for day in range(7))
LUNCH = tuple(WeeklyInterval.of(day, "11:00", "14:00") for day in range(5))
ALWAYS = tuple(WeeklyInterval.of(day, "00:00", "00:00") for day in range(7))
PIZZERIA = Schedule(SAO_PAULO, EVERY_EVENING)


def at(text: str, zone: str = SAO_PAULO, fold: int = 0) -> datetime:
    """Read a local wall time as a UTC instant."""
    wall = datetime.fromisoformat(text)
    return wall.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-03-04T17:59:59", False),
        ("2026-03-04T18:00", True),
        ("2026-03-04T23:59:59", True),
        ("2026-03-05T00:00", True),
        ("2026-03-05T01:59:59", True),
        ("2026-03-05T02:00", False),
    ],
)
def test_an_evening_lasts_past_midnight(local: str, expected: bool) -> None:
    assert is_open(PIZZERIA, at(local)) is expected


def test_the_weekday_is_the_one_on_which_the_evening_began() -> None:
    friday_only = Schedule(SAO_PAULO, (WeeklyInterval.of(4, "18:00", "02:00"),))
    assert is_open(friday_only, at("2026-03-07T01:00"))  # Saturday
    assert not is_open(friday_only, at("2026-03-06T01:00"))  # Friday
    # It is Saturday in UTC already while it is Friday evening in the store.
    assert is_open(friday_only, datetime(2026, 3, 7, 0, 30, tzinfo=UTC))


def test_equal_times_are_twenty_four_hours() -> None:
    tuesday = Schedule(SAO_PAULO, (WeeklyInterval.of(1, "08:00", "08:00"),))
    assert is_open(tuesday, at("2026-03-04T07:59"))
    assert not is_open(tuesday, at("2026-03-04T08:00"))
    always = Schedule(SAO_PAULO, ALWAYS)
    assert is_open(always, at("2026-03-04T00:00"))
    assert next_opening(always, at("2026-03-04T00:00")) is None
    assert closes_at(always, at("2026-03-04T00:00")) is None


def test_midnight_may_be_written_as_24_00() -> None:
    schedule = Schedule(SAO_PAULO, (WeeklyInterval.of(2, "18:00", "24:00"),))
    assert closes_at(schedule, at("2026-03-04T19:00")) == at("2026-03-05T00:00")


def test_next_opening_and_closing() -> None:
    schedule = Schedule(SAO_PAULO, LUNCH)
    friday_noon = at("2026-03-06T12:00")
    assert closes_at(schedule, friday_noon) == at("2026-03-06T14:00")
    assert next_opening(schedule, friday_noon) == at("2026-03-09T11:00")
    assert closes_at(schedule, at("2026-03-06T14:00")) is None
    assert next_opening(schedule, at("2026-03-06T10:59")) == at("2026-03-06T11:00")
    assert next_opening(schedule, at("2026-03-06T11:00")) == at("2026-03-09T11:00")


def test_touching_intervals_are_one_opening() -> None:
    schedule = Schedule(
        SAO_PAULO, (WeeklyInterval.of(2, "11:00", "15:00"), WeeklyInterval.of(2, "15:00", "02:00"))
    )
    assert closes_at(schedule, at("2026-03-04T12:00")) == at("2026-03-05T02:00")
    assert next_opening(schedule, at("2026-03-04T12:00")) == at("2026-03-11T11:00")


def test_next_opening_looks_thirty_days_ahead() -> None:
    def closed_but_on(day: date) -> Schedule:
        return Schedule(SAO_PAULO, (), (DateException(day, (Interval("10:00", "12:00"),)),))

    now = at("2026-03-01T10:00")
    assert next_opening(closed_but_on(date(2026, 3, 31)), now) == at("2026-03-31T10:00")
    assert next_opening(closed_but_on(date(2026, 4, 1)), now) is None
    assert next_opening(Schedule(SAO_PAULO), now) is None


def test_a_closed_date_ends_the_evening_before_at_midnight() -> None:
    christmas = Schedule(SAO_PAULO, EVERY_EVENING, (DateException(date(2026, 12, 25)),))
    assert is_open(christmas, at("2026-12-24T23:59"))
    assert closes_at(christmas, at("2026-12-24T20:00")) == at("2026-12-25T00:00")
    assert not is_open(christmas, at("2026-12-25T00:00"))
    assert not is_open(christmas, at("2026-12-25T20:00"))
    assert not is_open(christmas, at("2026-12-26T01:00"))
    assert next_opening(christmas, at("2026-12-25T00:30")) == at("2026-12-26T18:00")


def test_other_hours_replace_what_starts_that_day_but_not_the_spill() -> None:
    exception = DateException(date(2026, 12, 31), (Interval("12:00", "16:00"),))
    schedule = Schedule(SAO_PAULO, EVERY_EVENING, (exception,))
    assert is_open(schedule, at("2026-12-31T01:00"))
    assert is_open(schedule, at("2026-12-31T12:00"))
    assert not is_open(schedule, at("2026-12-31T19:00"))
    assert not is_open(schedule, at("2027-01-01T01:00"))


def test_an_exception_opens_a_day_that_is_closed_every_week() -> None:
    exception = DateException(date(2026, 3, 8), (Interval("20:00", "01:00"),))
    schedule = Schedule(SAO_PAULO, LUNCH, (exception,))
    assert next_opening(schedule, at("2026-03-06T15:00")) == at("2026-03-08T20:00")
    assert is_open(schedule, at("2026-03-09T00:30"))


# Clock changes: New York springs forward on 2026-03-08 at 02:00 and falls back on 2026-11-01 at
# 02:00. Sao Paulo sprang forward on 2018-11-04 at 00:00 and fell back on 2018-02-18 at 00:00.


def test_a_night_is_an_hour_shorter_in_spring() -> None:
    bar = Schedule(NEW_YORK, tuple(WeeklyInterval.of(day, "20:00", "04:00") for day in range(7)))
    opens = next_opening(bar, at("2026-03-07T12:00", NEW_YORK))
    closes = closes_at(bar, at("2026-03-07T23:00", NEW_YORK))
    assert opens == datetime(2026, 3, 8, 1, tzinfo=UTC)
    assert closes == datetime(2026, 3, 8, 8, tzinfo=UTC)


def test_a_night_is_an_hour_longer_in_autumn() -> None:
    bar = Schedule(NEW_YORK, tuple(WeeklyInterval.of(day, "20:00", "04:00") for day in range(7)))
    night = at("2026-10-31T23:00", NEW_YORK)
    assert closes_at(bar, night) == datetime(2026, 11, 1, 9, tzinfo=UTC)
    assert is_open(bar, at("2026-11-01T01:30", NEW_YORK, fold=1))


def test_a_skipped_time_is_the_moment_of_the_change() -> None:
    change = datetime(2026, 3, 8, 7, tzinfo=UTC)  # 02:00 EST, when clocks show 03:00
    opening = Schedule(NEW_YORK, (WeeklyInterval.of(6, "02:30", "05:00"),))
    assert next_opening(opening, at("2026-03-08T00:00", NEW_YORK)) == change
    closing = Schedule(NEW_YORK, (WeeklyInterval.of(5, "20:00", "02:30"),))
    assert closes_at(closing, at("2026-03-08T00:00", NEW_YORK)) == change
    swallowed = Schedule(NEW_YORK, (WeeklyInterval.of(6, "02:10", "02:50"),))
    assert next_opening(swallowed, at("2026-03-08T00:00", NEW_YORK)) == at(
        "2026-03-15T02:10", NEW_YORK
    )


def test_a_repeated_time_is_the_first_of_the_two() -> None:
    closing = Schedule(NEW_YORK, (WeeklyInterval.of(5, "20:00", "01:30"),))
    first = at("2026-11-01T01:30", NEW_YORK)
    assert closes_at(closing, at("2026-11-01T00:00", NEW_YORK)) == first
    assert not is_open(closing, at("2026-11-01T01:10", NEW_YORK, fold=1))
    opening = Schedule(NEW_YORK, (WeeklyInterval.of(6, "01:30", "05:00"),))
    assert next_opening(opening, at("2026-11-01T00:00", NEW_YORK)) == first


def test_sao_paulo_changed_its_clock_at_midnight() -> None:
    always = Schedule(SAO_PAULO, ALWAYS)
    evening = Schedule(SAO_PAULO, EVERY_EVENING)
    spring = datetime(2018, 11, 4, 3, tzinfo=UTC)  # 00:00 -03, when clocks show 01:00
    for minutes in range(-90, 91, 5):
        assert is_open(always, spring + timedelta(minutes=minutes))
        assert is_open(evening, spring + timedelta(minutes=min(minutes, 55)))
    assert closes_at(evening, spring) == spring + timedelta(hours=1)
    midnight = Schedule(SAO_PAULO, (WeeklyInterval.of(6, "00:00", "06:00"),))
    assert next_opening(midnight, spring - timedelta(hours=5)) == spring
    closed = Schedule(SAO_PAULO, EVERY_EVENING, (DateException(date(2018, 11, 4)),))
    assert closes_at(closed, spring - timedelta(hours=1)) == spring
    autumn = datetime(2018, 2, 18, 2, tzinfo=UTC)  # 00:00 -02, when clocks show 23:00 again
    assert closes_at(evening, autumn) == datetime(2018, 2, 18, 5, tzinfo=UTC)


# Pre-orders

POLICY = PreorderPolicy(lead_minutes=60, slot_minutes=30, horizon_days=1)


def test_slots_start_after_the_lead_and_end_by_closing() -> None:
    schedule = Schedule(SAO_PAULO, LUNCH)
    slots = preorder_slots(schedule, POLICY, at("2026-03-04T11:10"))
    starts = [slot.start for slot in slots]
    today = ["12:30", "13:00", "13:30"]
    tomorrow = ["11:00", "11:30", "12:00", "12:30", "13:00", "13:30"]
    assert starts == [
        *(at(f"2026-03-04T{clock}") for clock in today),
        *(at(f"2026-03-05T{clock}") for clock in tomorrow),
    ]
    assert all(slot.end - slot.start == timedelta(minutes=30) for slot in slots)


def test_a_slot_at_the_very_lead_is_offered_and_a_second_later_not() -> None:
    schedule = Schedule(SAO_PAULO, LUNCH)
    noon = at("2026-03-04T12:00")
    assert slot_is_valid(schedule, POLICY, at("2026-03-04T11:00"), noon)
    assert not slot_is_valid(schedule, POLICY, at("2026-03-04T11:00:01"), noon)
    assert not slot_is_valid(schedule, POLICY, at("2026-03-04T09:00"), at("2026-03-04T12:10"))
    assert not slot_is_valid(schedule, POLICY, at("2026-03-04T09:00"), at("2026-03-06T12:00"))
    assert find_slot(schedule, POLICY, at("2026-03-04T11:00"), noon) == Slot(
        noon, at("2026-03-04T12:30")
    )


def test_slots_after_midnight_belong_to_the_date_they_fall_on() -> None:
    tonight = PreorderPolicy(lead_minutes=0, slot_minutes=60, horizon_days=0)
    slots = preorder_slots(PIZZERIA, tonight, at("2026-03-04T00:30"))
    assert [slot.start for slot in slots] == [
        at(f"2026-03-04T{hour:02}:00") for hour in (1, *range(18, 24))
    ]


def test_a_short_rest_before_closing_is_not_offered() -> None:
    schedule = Schedule(SAO_PAULO, (WeeklyInterval.of(2, "11:00", "12:20"),))
    slots = preorder_slots(schedule, PreorderPolicy(0, 30, 0), at("2026-03-04T00:00"))
    assert [slot.start for slot in slots] == [at("2026-03-04T11:00"), at("2026-03-04T11:30")]


def test_overlapping_intervals_offer_no_moment_twice() -> None:
    schedule = Schedule(
        SAO_PAULO, (WeeklyInterval.of(2, "11:00", "13:00"), WeeklyInterval.of(2, "12:00", "14:00"))
    )
    slots = preorder_slots(schedule, PreorderPolicy(0, 60, 0), at("2026-03-04T00:00"))
    assert [slot.start for slot in slots] == [
        at("2026-03-04T11:00"), at("2026-03-04T12:00"), at("2026-03-04T13:00")
    ]  # fmt: skip


# Bad input


@pytest.mark.parametrize(
    ("opens", "closes"), [("8:00", "12:00"), ("18:00", "25:00"), ("24:00", "02:00"), ("", "02:00")]
)
def test_unreadable_hours_are_refused(opens: str, closes: str) -> None:
    with pytest.raises(InvalidHours):
        Interval(opens, closes)


def test_unreadable_schedules_are_refused() -> None:
    with pytest.raises(InvalidHours, match="timezone"):
        Schedule("America/Sampa")
    with pytest.raises(InvalidHours, match="weekdays"):
        WeeklyInterval.of(7, "10:00", "12:00")
    with pytest.raises(InvalidHours, match="exception"):
        Schedule(SAO_PAULO, (), (DateException(date(2026, 1, 1)),) * 2)
    with pytest.raises(InvalidHours, match="slot"):
        PreorderPolicy(0, 0, 0)
    with pytest.raises(ValueError, match="timezone"):
        is_open(PIZZERIA, at("2026-03-04T12:00").replace(tzinfo=None))


# Properties, against a model that only knows minutes of a week

CLOCKS = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.sampled_from([0, 15, 30]))
WEEKLY = st.lists(st.builds(WeeklyInterval.of, st.integers(0, 6), CLOCKS, CLOCKS), max_size=5)
ZONES = st.sampled_from([SAO_PAULO, NEW_YORK, "Europe/Lisbon", "Asia/Kolkata"])
MOMENTS = st.datetimes(
    datetime(2025, 1, 1),  # noqa: DTZ001 - made aware by the strategy
    datetime(2026, 12, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
WEEK = 7 * 24 * 60


@given(WEEKLY, st.integers(0, WEEK - 1))
@settings(max_examples=200, deadline=None)
def test_open_exactly_when_some_interval_of_the_week_covers_the_minute(
    weekly: list[WeeklyInterval], minute: int
) -> None:
    monday = at("2026-03-02T00:00")  # Sao Paulo keeps one offset since 2019
    covered = False
    for rule in weekly:
        opens = int(rule.interval.opens[:2]) * 60 + int(rule.interval.opens[3:])
        closes = int(rule.interval.closes[:2]) * 60 + int(rule.interval.closes[3:])
        length = (closes - opens - 1) % 1440 + 1
        covered |= (minute - rule.weekday * 1440 - opens) % WEEK < length
    schedule = Schedule(SAO_PAULO, tuple(weekly))
    assert is_open(schedule, monday + timedelta(minutes=minute)) is covered


@given(WEEKLY, ZONES, MOMENTS)
@settings(max_examples=150, deadline=None)
def test_openings_and_closings_are_where_the_state_changes(
    weekly: list[WeeklyInterval], zone: str, now: datetime
) -> None:
    schedule = Schedule(zone, tuple(weekly))
    tick = timedelta(microseconds=1)
    opening, closing = next_opening(schedule, now), closes_at(schedule, now)
    if opening is not None:
        assert opening > now
        assert is_open(schedule, opening)
        assert not is_open(schedule, opening - tick)
    if closing is not None:
        assert is_open(schedule, now)
        assert is_open(schedule, closing - tick)
        assert not is_open(schedule, closing)
        assert opening is None or opening > closing
    if weekly and not is_open(schedule, now):
        assert opening is not None
        half = now + (opening - now) / 2
        assert not is_open(schedule, half)


@given(WEEKLY, ZONES, MOMENTS, st.integers(0, 300), st.integers(10, 120), st.integers(0, 4))
@settings(max_examples=100, deadline=None)
def test_slots_lie_in_the_open_ordered_and_stay_valid_as_time_passes(
    weekly: list[WeeklyInterval], zone: str, now: datetime, lead: int, length: int, days: int
) -> None:
    schedule = Schedule(zone, tuple(weekly))
    policy = PreorderPolicy(lead, length, days)
    slots = preorder_slots(schedule, policy, now)
    assert slots == sorted(slots, key=lambda slot: slot.start)
    assert len({slot.start for slot in slots}) == len(slots)
    for slot in slots:
        assert slot.start >= now + timedelta(minutes=lead)
        assert is_open(schedule, slot.start)
        assert is_open(schedule, slot.end - timedelta(microseconds=1))
    if slots:
        last = slots[-1]
        assert slot_is_valid(schedule, policy, now, last.start)
        later = last.start - timedelta(minutes=lead)
        assert slot_is_valid(schedule, policy, later, last.start)
        assert not slot_is_valid(schedule, policy, later + timedelta(microseconds=1), last.start)
