"""Wire models of opening hours: a week's intervals, and dates on which they are others."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from app.core.hours import Interval
from app.core.schema import Input

_WEEK_MINUTES = 7 * 24 * 60


@lru_cache(maxsize=1)  # reading the zones of the system takes tens of milliseconds
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _timezone(name: str) -> str:
    if name not in _zones():
        raise PydanticCustomError(
            "timezone", "Not an IANA timezone: send a name such as America/Sao_Paulo"
        )
    return name


Timezone = Annotated[str, Field(max_length=64), AfterValidator(_timezone)]
Opens = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["18:00"])]
Closes = Annotated[
    str,
    Field(
        pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$",
        examples=["02:00"],
        description="At or before `opens`: on the next day.",
    ),
]


class IntervalIn(Input):
    opens: Opens
    closes: Closes


class WeeklyIntervalIn(IntervalIn):
    weekday: int = Field(ge=0, le=6, description="0 is Monday.")


class ExceptionIn(Input):
    date: dt.date
    intervals: list[IntervalIn] = Field(
        default_factory=list, max_length=6, description="Empty: closed on that day."
    )

    @field_validator("intervals")
    @classmethod
    def _apart(cls, intervals: list[IntervalIn]) -> list[IntervalIn]:
        _refuse_overlaps(Interval(i.opens, i.closes).minutes for i in intervals)
        return sorted(intervals, key=lambda i: i.opens)


def _in_order(hours: list[WeeklyIntervalIn]) -> list[WeeklyIntervalIn]:
    spans = []
    for weekly in hours:
        opens, closes = Interval(weekly.opens, weekly.closes).minutes
        midnight = weekly.weekday * 24 * 60
        spans.append((midnight + opens, midnight + closes))
        if midnight + closes > _WEEK_MINUTES:
            # Sunday night runs into Monday, where the week's first intervals are.
            spans.append((0, midnight + closes - _WEEK_MINUTES))
    _refuse_overlaps(spans)
    return sorted(hours, key=lambda h: (h.weekday, h.opens))


def _one_per_date(exceptions: list[ExceptionIn]) -> list[ExceptionIn]:
    if len({e.date for e in exceptions}) != len(exceptions):
        raise PydanticCustomError("repeated_date", "A date has at most one exception")
    return sorted(exceptions, key=lambda e: e.date)


def _refuse_overlaps(spans: Iterable[tuple[int, int]]) -> None:
    if any(after[0] < before[1] for before, after in pairwise(sorted(spans))):
        raise PydanticCustomError("overlap", "Opening intervals must not overlap: join them")


Hours = Annotated[list[WeeklyIntervalIn], Field(max_length=42), AfterValidator(_in_order)]
Exceptions = Annotated[list[ExceptionIn], Field(max_length=400), AfterValidator(_one_per_date)]
