"""When a store, or a team, is there: weekly intervals and exceptions, on their own clock.

Opening hours are wall-clock times in one timezone; every instant that enters or
leaves is aware UTC. What the clock change does to them, decided once for all callers:

- a wall time that the change skips means the moment of the change;
- a wall time that happens twice means the first of the two.

An exception replaces the intervals that *start* on its date. The spill of the evening before
(18:00 to 02:00) still runs into a date with other hours, but ends at midnight where the date is
closed: on a day the merchant declared closed no order arrives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

HORIZON_DAYS = 30  # how far ahead openings and closings are looked for
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00", re.ASCII)
_DAY_MINUTES = 24 * 60


class InvalidHours(ValueError):
    """Opening hours that cannot be read."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Open from ``opens`` to just before ``closes``, both ``HH:MM`` of the place's clock.

    A close at or before the opening is on the next day: ``18:00`` to ``02:00`` crosses midnight,
    equal times are 24 hours. ``24:00`` is accepted as a close. Raises InvalidHours.
    """

    opens: str
    closes: str

    def __post_init__(self) -> None:
        if not (_CLOCK.fullmatch(self.opens) and _CLOCK.fullmatch(self.closes)):
            raise InvalidHours("times are written HH:MM, from 00:00 to 23:59")
        if self.opens == "24:00":
            raise InvalidHours("a day opens at 00:00; 24:00 is only a close")

    @property
    def minutes(self) -> tuple[int, int]:
        """Opening and closing in minutes since the midnight the interval's day begins with."""
        opens, closes = _minutes(self.opens), _minutes(self.closes)
        return opens, closes if closes > opens else closes + _DAY_MINUTES


@dataclass(frozen=True, slots=True)
class WeeklyInterval:
    """An interval that starts every week on ``weekday`` (0 is Monday). Raises InvalidHours."""

    weekday: int
    interval: Interval

    def __post_init__(self) -> None:
        if not 0 <= self.weekday <= 6:
            raise InvalidHours("weekdays run from 0 (Monday) to 6 (Sunday)")

    @classmethod
    def of(cls, weekday: int, opens: str, closes: str) -> WeeklyInterval:
        return cls(weekday, Interval(opens, closes))


@dataclass(frozen=True, slots=True)
class DateException:
    """Other hours on one local date; without intervals it is closed that day."""

    on: date
    intervals: tuple[Interval, ...] = ()

    @property
    def is_closed(self) -> bool:
        return not self.intervals


@dataclass(frozen=True, slots=True)
class Schedule:
    """Opening hours in an IANA ``timezone``.

    Raises InvalidHours for an unknown timezone or two exceptions on one date.
    """

    timezone: str
    weekly: tuple[WeeklyInterval, ...] = ()
    exceptions: tuple[DateException, ...] = ()

    def __post_init__(self) -> None:
        dates = [exception.on for exception in self.exceptions]
        if len(set(dates)) != len(dates):
            raise InvalidHours("a date has at most one exception")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise InvalidHours(f"unknown timezone: {self.timezone!r}") from error

    @classmethod
    def from_rows(
        cls, timezone: str, hours: list[dict[str, Any]], exceptions: list[dict[str, Any]]
    ) -> Schedule:
        """Read the JSON that is kept of them. Raises InvalidHours."""
        return cls(
            timezone,
            tuple(WeeklyInterval.of(h["weekday"], h["opens"], h["closes"]) for h in hours),
            tuple(
                DateException(
                    date.fromisoformat(e["date"]),
                    tuple(Interval(i["opens"], i["closes"]) for i in e.get("intervals", ())),
                )
                for e in exceptions
            ),
        )


@dataclass(frozen=True, slots=True)
class Slot:
    """A span of time in UTC, ``end`` excluded."""

    start: datetime
    end: datetime


def is_open(schedule: Schedule, at: datetime) -> bool:
    """Say whether it is open at ``at``: the opening minute counts, the closing not."""
    today = local_date(schedule, at)
    return any(
        span.start <= at < span.end
        for day in (today, today - timedelta(days=1))
        for span in spans_starting_on(schedule, day)
    )


def next_opening(schedule: Schedule, at: datetime) -> datetime | None:
    """Return when it opens next, strictly after ``at`` and within 30 days, else None.

    While it is open this is the opening that follows the present one.
    """
    for span in _openings(schedule, at):
        if span.start > at:
            return span.start if span.start <= at + timedelta(days=HORIZON_DAYS) else None
    return None


def closes_at(schedule: Schedule, at: datetime) -> datetime | None:
    """Return when the present opening ends; None when closed, or open beyond 30 days."""
    span = _current(schedule, at)
    if span is None or span.end > at + timedelta(days=HORIZON_DAYS):
        return None
    return span.end


def last_closing(schedule: Schedule, at: datetime) -> datetime | None:
    """Return when the present closure began; None when open, or closed for over 30 days."""
    found = None
    for span in _openings(schedule, at, before=HORIZON_DAYS, ahead=0):
        if span.start > at:
            break
        if at < span.end:
            return None
        found = span.end
    return found


def after_open_time(schedule: Schedule, start: datetime, spent: timedelta) -> datetime | None:
    """Return the instant by which ``spent`` of open time has passed since ``start``.

    None when so much is not open within 30 days. Time counts from the next opening when it is
    closed at ``start``; what ends exactly at a closing ends there.
    """
    left = spent
    for span in _openings(schedule, start):
        begins = max(span.start, start)
        if span.end <= begins:
            continue
        if left <= span.end - begins:
            due = begins + left
            return due if due <= start + timedelta(days=HORIZON_DAYS) else None
        left -= span.end - begins
    return None


def _current(schedule: Schedule, at: datetime) -> Slot | None:
    for span in _openings(schedule, at):
        if span.start > at:
            return None
        if at < span.end:
            return span
    return None


def _openings(
    schedule: Schedule, at: datetime, before: int = 1, ahead: int = HORIZON_DAYS + 1
) -> Iterator[Slot]:
    """Yield the openings around and after ``at`` in order, touching intervals joined."""
    open_span: Slot | None = None
    first = local_date(schedule, at) - timedelta(days=before)
    for offset in range(before + ahead + 1):
        for span in spans_starting_on(schedule, first + timedelta(days=offset)):
            if open_span is None:
                open_span = span
            elif span.start <= open_span.end:
                open_span = Slot(open_span.start, max(open_span.end, span.end))
            else:
                yield open_span
                open_span = span
    if open_span is not None:
        yield open_span


def spans_starting_on(schedule: Schedule, day: date) -> list[Slot]:
    """Return the intervals that start on a local date, in UTC, cut where the next is closed."""
    zone = ZoneInfo(schedule.timezone)
    following = _exception(schedule, day + timedelta(days=1))
    midnight = _instant(day, _DAY_MINUTES, zone)
    spans = []
    for interval in _intervals(schedule, day):
        opens, closes = interval.minutes
        start, end = _instant(day, opens, zone), _instant(day, closes, zone)
        if following is not None and following.is_closed:
            end = min(end, midnight)
        if start < end:
            spans.append(Slot(start, end))
    return sorted(spans, key=lambda span: (span.start, span.end))


def _intervals(schedule: Schedule, day: date) -> tuple[Interval, ...]:
    exception = _exception(schedule, day)
    if exception is not None:
        return exception.intervals
    return tuple(rule.interval for rule in schedule.weekly if rule.weekday == day.weekday())


def _exception(schedule: Schedule, day: date) -> DateException | None:
    return next((exception for exception in schedule.exceptions if exception.on == day), None)


@lru_cache(maxsize=4096)  # list pages ask for the same few days of the same stores
def _instant(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """Return the UTC instant at which the wall clock reads ``minutes`` past ``day``'s midnight."""
    wall = datetime.combine(day, time()) + timedelta(minutes=minutes)
    first = wall.replace(tzinfo=zone)
    second = wall.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return first.astimezone(UTC)
    if first.astimezone(UTC) < second.astimezone(UTC):
        return first.astimezone(UTC)
    return _jump(second.astimezone(UTC), first.astimezone(UTC), zone)


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the minute of the clock change that lies between two instants."""
    minutes = int((after - before).total_seconds()) // 60
    offsets = [
        (before + timedelta(minutes=step)).astimezone(zone).utcoffset()
        for step in range(minutes + 1)
    ]
    changed = next(
        (step for step, (old, new) in enumerate(pairwise(offsets), 1) if old != new), minutes
    )
    return before + timedelta(minutes=changed)


def local_date(schedule: Schedule, at: datetime) -> date:
    return aware(at).astimezone(ZoneInfo(schedule.timezone)).date()


def aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("an instant needs its timezone")
    return at


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
