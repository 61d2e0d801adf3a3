"""Periods, buckets, and what of a period is read from which sums; pure functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

ONE_DAY = timedelta(days=1)
SLACK = timedelta(hours=2)
"""Clocks that jump at midnight may show a day twice: rows are read so much wider, then sieved."""
CURRENT, PREVIOUS, LAST_YEAR = 0, 1, 2
MOST_DAYS = 1096


class Grain(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Period:
    """Days of the stores' own calendars; ``until`` is the first one after it."""

    since: date
    until: date

    @property
    def days(self) -> int:
        return (self.until - self.since).days

    def before(self) -> Period:
        """As many days, right before."""
        return Period(self.since - (self.until - self.since), self.since)

    def last_year(self) -> Period:
        """As many days from the same date of the year before."""
        since = _a_year_before(self.since)
        return Period(since, since + (self.until - self.since))


def _a_year_before(day: date) -> date:
    try:
        return day.replace(year=day.year - 1)
    except ValueError:  # the 29th of February
        return day.replace(year=day.year - 1, day=28)


def bucket(day: date, grain: Grain) -> date:
    """The first day of the day's bucket; weeks begin on Monday."""
    if grain is Grain.DAY:
        return day
    return day - timedelta(days=day.weekday()) if grain is Grain.WEEK else day.replace(day=1)


def buckets(period: Period, grain: Grain) -> list[date]:
    """Every bucket the period touches, also where nothing was sold."""
    found = {bucket(period.since + timedelta(days=n), grain): None for n in range(period.days)}
    return list(found)


def month_after(day: date) -> date:
    """The first day of the following month."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


@dataclass(frozen=True, slots=True)
class StoreSums:
    """How far the sums of one store may be believed."""

    id: UUID
    timezone: str
    rolled_until: date
    dirty: frozenset[date]

    def is_summed(self, day: date) -> bool:
        return day < self.rolled_until and day not in self.dirty


@dataclass(frozen=True, slots=True)
class Segment:
    """Part of a period at one store: its month cells, its day cells, or its orders one by one."""

    period: int
    store: StoreSums
    source: str
    """month, day or orders."""
    since: date
    until: date

    def instants(self) -> tuple[datetime, datetime]:
        """All orders of these days lie within, and a few of their neighbours."""
        zone = ZoneInfo(self.store.timezone)
        return (
            datetime.combine(self.since, time(), zone) - SLACK,
            datetime.combine(self.until, time(), zone) + SLACK,
        )


def segments(
    number: int, period: Period, store: StoreSums, *, months: bool = True
) -> list[Segment]:
    """Split the period so that each day of the store is read exactly once."""
    found: list[Segment] = []
    for source, since, until in _pieces(period, store, months=months):
        last = found[-1] if found else None
        if last is not None and last.source == source:
            found[-1] = Segment(number, store, source, last.since, until)
        else:
            found.append(Segment(number, store, source, since, until))
    return found


def _pieces(period: Period, store: StoreSums, *, months: bool) -> Iterator[tuple[str, date, date]]:
    day = period.since
    while day < period.until:
        end = month_after(day)
        if months and day.day == 1 and end <= period.until and _is_whole(store, day, end):
            yield "month", day, end
            day = end
        else:
            yield "day" if store.is_summed(day) else "orders", day, day + ONE_DAY
            day += ONE_DAY


def _is_whole(store: StoreSums, since: date, until: date) -> bool:
    return until <= store.rolled_until and not any(since <= d < until for d in store.dirty)
