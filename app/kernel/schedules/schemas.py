"""Wire models of schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, ConfigDict, Field

from app.core.schema import Input, Output
from app.kernel.schedules.rules import Misfire, Overlap, check_cron


def _cron(value: str) -> str:
    check_cron(value)
    return " ".join(value.split())


def _zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("This is no IANA time zone, such as America/Sao_Paulo.")
    return value


Cron = Annotated[str, Field(max_length=200), AfterValidator(_cron)]
Zone = Annotated[str, Field(max_length=64), AfterValidator(_zone)]
Name = Annotated[str, Field(min_length=1, max_length=80)]
Entrypoint = Annotated[str, Field(max_length=120)]
Payload = Annotated[dict[str, str | int | bool], Field(max_length=20)]
Window = Annotated[int, Field(ge=1, le=35 * 24)]
Cap = Annotated[int, Field(ge=1, le=100)]
Jitter = Annotated[int, Field(ge=0, le=900)]


class ScheduleCreate(Input):
    """Day of month and day of week, when both are given, are alternatives, as in cron."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Estoque baixo, toda manhã",
                    "cron": "0 7 * * *",
                    "timezone": "America/Sao_Paulo",
                    "entrypoint": "commerce.inventory.low_stock_report",
                }
            ]
        }
    )

    name: Name
    cron: Cron
    timezone: Zone | None = Field(default=None, description="Default: the tenant's.")
    entrypoint: Entrypoint = Field(description="What to run; a wrong one answers the known ones.")
    payload: Payload = Field(default_factory=dict)
    misfire: Misfire = Field(default=Misfire.LATEST, description="What becomes of missed times.")
    overlap: Overlap = Field(
        default=Overlap.SKIP,
        description="What becomes of a time while an earlier run goes on: it is skipped, waits "
        "(one does), runs beside it, or takes its place.",
    )
    catchup_window_hours: Window = 24
    max_catchup: Cap = 10
    jitter_seconds: Jitter = 0


class ScheduleUpdate(Input):
    """Only what is sent changes; another cron or time zone counts from now on."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"cron": "30 6 * * 1-6"}]})

    name: Name | None = None
    cron: Cron | None = None
    timezone: Zone | None = None
    payload: Payload | None = None
    misfire: Misfire | None = None
    overlap: Overlap | None = None
    catchup_window_hours: Window | None = None
    max_catchup: Cap | None = None
    jitter_seconds: Jitter | None = None


class TickRead(Output):
    at: datetime = Field(description="In UTC.")
    local: datetime = Field(description="In the schedule's time zone.")


class PreviewRead(Output):
    cron: str
    explanation: str
    timezone: str
    ticks: list[TickRead]


class ScheduleRead(Output):
    id: UUID
    name: str
    cron: str
    explanation: str = Field(
        description="The cron line in words, in Portuguese.",
        examples=["Às 07:00, de segunda a sábado"],
    )
    timezone: str
    entrypoint: str
    payload: dict[str, Any]
    misfire: Misfire
    overlap: Overlap
    catchup_window_hours: int
    max_catchup: int
    jitter_seconds: int
    is_enabled: bool
    next_at: datetime | None
    next_times: list[datetime] = Field(
        description="The next five in its own time zone; none while it is paused."
    )
    last_tick_at: datetime | None
    last_outcome: str | None
    failures: int = Field(description="Failed runs in a row; at 10 the schedule is paused.")
    created_at: datetime


class RunRead(Output):
    id: UUID
    tick: datetime = Field(description="The time it was due.")
    trigger: str = Field(description="cron or manual.")
    state: str = Field(
        description="waiting, queued, running, cancelling, succeeded, failed, cancelled, skipped "
        "or lost."
    )
    reason: str | None = Field(
        description="missed, window (this and older ones), overlap, module, paused; or the failure."
    )
    blocked_by: UUID | None
    created_at: datetime
    ended_at: datetime | None
