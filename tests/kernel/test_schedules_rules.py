"""When schedules are due: each tick decided once, in order, through every clock change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.kernel.schedules.rules import (
    BadCron,
    CatchUp,
    Misfire,
    check_cron,
    due_ticks,
    next_tick,
    ticks,
)

CRONS = ("30 1 * * *", "30 2 * * *", "0 0 * * *", "*/30 * * * *", "15 */2 * * *", "0 0,12 1 * *")
ZONES = ("America/New_York", "America/Santiago", "America/Sao_Paulo", "Australia/Lord_Howe", "UTC")
DAY = timedelta(days=1)


def _between(first: str, last: str) -> st.SearchStrategy[datetime]:
    return st.datetimes(datetime.fromisoformat(first), datetime.fromisoformat(last))


moments = st.one_of(
    _between("2026-03-07", "2026-03-09"),  # New York springs forward
    _between("2026-10-31", "2026-11-02"),  # and falls back
    _between("2026-09-05", "2026-09-07"),  # Santiago has no midnight
    _between("2018-11-03", "2018-11-05"),  # nor had São Paulo
    _between("2015-01-01", "2035-01-01"),
).map(lambda naive: naive.replace(tzinfo=UTC))


def _at(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


def _first(cron: str, zone: str, after: str, count: int = 2) -> list[str]:
    return [t.strftime("%d %H:%M") for t in islice(ticks(cron, zone, _at(after)), count)]


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("30 2 * * *", "America/New_York", "2026-03-07T12:00", ["08 07:00", "09 06:30"]),
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00", ["01 05:30", "02 06:30"]),
        ("30 1 * * *", "America/New_York", "2026-11-01T05:45", ["02 06:30", "03 06:30"]),
        ("30 * * * *", "America/New_York", "2026-11-01T05:00", ["01 05:30", "01 06:30"]),
        ("0 0 * * *", "America/Santiago", "2026-09-05T12:00", ["06 04:00", "07 03:00"]),
        ("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00", ["04 03:00", "05 02:00"]),
        ("0 9 31 * *", "UTC", "2026-01-31T10:00", ["31 09:00", "31 09:00"]),
    ],
)
def test_clock_changes(cron: str, zone: str, after: str, expected: list[str]) -> None:
    assert _first(cron, zone, after) == expected


def test_day_of_month_and_day_of_week_are_alternatives_as_in_cron() -> None:
    # The 1st of September 2026 is a Tuesday; Mondays are the 7th and the 14th.
    assert _first("0 9 1 * MON", "UTC", "2026-08-31T10:00", 3) == [
        "01 09:00",
        "07 09:00",
        "14 09:00",
    ]


def test_the_31st_skips_months_without_one_and_l_is_the_last_day() -> None:
    assert _first("0 9 31 * *", "UTC", "2026-03-31T10:00", 2) == ["31 09:00", "31 09:00"]
    months = [t.month for t in islice(ticks("0 9 31 * *", "UTC", _at("2026-03-31T10:00")), 3)]
    assert months == [5, 7, 8]
    assert _first("0 9 L * *", "UTC", "2026-03-31T10:00", 2) == ["30 09:00", "31 09:00"]


@given(st.sampled_from(CRONS), st.sampled_from(ZONES), moments, st.integers(1, 30))
@settings(max_examples=150, deadline=None)
def test_ticks_do_not_depend_on_where_the_walk_began(
    cron: str, zone: str, start: datetime, skip: int
) -> None:
    found = list(islice(ticks(cron, zone, start), skip + 5))
    assert all(a < b for a, b in pairwise([start, *found]))
    assert list(islice(ticks(cron, zone, found[skip - 1]), 5)) == found[skip:]


@given(
    st.sampled_from(CRONS),
    st.sampled_from(ZONES),
    moments,
    st.lists(st.integers(1, 3 * 24 * 3600), min_size=1, max_size=6),
    st.sampled_from(list(Misfire)),
    st.integers(1, 5),
)
@settings(max_examples=150, deadline=None)
def test_each_tick_is_decided_once_however_often_one_looks(
    cron: str, zone: str, start: datetime, waits: list[int], misfire: Misfire, cap: int
) -> None:
    policy = CatchUp(misfire, 40 * DAY, cap)
    decided: list[datetime] = []
    at = start
    for wait in waits:
        until = at + timedelta(seconds=wait)
        due = due_ticks(cron, zone, at, until, policy)
        assert list(due.run) == sorted(due.run)
        assert len(due.run) <= (cap if misfire is Misfire.ALL else 1)
        assert due.next_at == next_tick(cron, zone, until)
        here = sorted([*due.run, *(s.tick for s in due.skipped)])
        if here and misfire is not Misfire.SKIP:
            assert due.run[-1] == here[-1], "the newest is never the one given up"
        decided += here
        at = until
    expected = [t for t in islice(ticks(cron, zone, start), 900) if t <= at]
    assert decided == expected


def test_what_is_older_than_the_window_is_one_line() -> None:
    start, until = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, 0, 1, tzinfo=UTC)
    due = due_ticks("0 * * * *", "UTC", start, until, CatchUp(Misfire.ALL, DAY, 3))
    assert [t.hour for t in due.run] == [22, 23, 0]
    assert [s.reason for s in due.skipped] == ["window"] + ["missed"] * 21
    late = until + timedelta(minutes=5)
    skip = CatchUp(Misfire.SKIP, DAY, 3)
    assert due_ticks("0 * * * *", "UTC", start, late, skip).run == ()


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "x",
        "* * * * *",
        "*/4 * * * *",
        "0,58 * * * *",
        "0 0 30 2 *",
        "0 0 0 * * *",
        "61 * * * *",
    ],
)
def test_bad_expressions_are_refused(cron: str) -> None:
    with pytest.raises(BadCron):
        check_cron(cron)


@pytest.mark.parametrize(
    "cron",
    [
        "*/5 * * * *",
        "0 7 * * MON-SAT",
        "0 0 L * *",
        "0 0 LW * *",
        "0 9 * * 1#2",
        "0 9 * * 5L",
    ],
)
def test_good_expressions_pass(cron: str) -> None:
    check_cron(cron)
