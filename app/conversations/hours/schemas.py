"""Wire models of attendance hours."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from app.core.hours_schema import Exceptions, Hours, Timezone
from app.core.schema import Input, Output

_EXAMPLE: JsonDict = {
    "number_id": None,
    "timezone": "America/Sao_Paulo",
    "hours": [
        {"weekday": 0, "opens": "09:00", "closes": "18:00"},
        {"weekday": 5, "opens": "10:00", "closes": "14:00"},
    ],
    "exceptions": [{"date": "2026-12-25", "intervals": []}],
    "is_away_told": True,
    "away_text": "Oi, {{customer_name}}! Voltamos {{next_opening}}.",
    "clocks_pause": True,
}


class InboxHoursPut(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    number_id: UUID | None = Field(None, description="Null: every number without its own.")
    timezone: Timezone
    hours: Hours
    exceptions: Exceptions = Field(default_factory=list)
    is_away_told: bool = Field(
        True, description="Tell whoever writes while it is closed, once in each closure."
    )
    away_text: str | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="May name {{customer_name}} and {{next_opening}}; null: our own words.",
    )
    clocks_pause: bool = Field(
        False, description="First reply and resolution are due in open time alone."
    )


class WeeklyRead(Output):
    weekday: int
    opens: str
    closes: str


class SpanRead(Output):
    opens: str
    closes: str


class ExceptionRead(Output):
    date: dt.date
    intervals: list[SpanRead]


class InboxHoursRead(Output):
    id: UUID
    number_id: UUID | None
    timezone: str
    hours: list[WeeklyRead]
    exceptions: list[ExceptionRead]
    is_away_told: bool
    away_text: str | None
    clocks_pause: bool
    is_open: bool
    next_opening_at: dt.datetime | None = Field(
        description="After now and within 30 days; null: none."
    )
    away_preview: str = Field(description="What somebody who writes now would be told.")
