"""A tenant's schedules, and what became of every tick."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from uuid import UUID
from zoneinfo import ZoneInfo

from cronsim import CronSimError
from sqlalchemy import CheckConstraint, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.clock import now
from app.core.ddl import one_of
from app.core.model import Json, TenantModel, unique_within_tenant, within_tenant
from app.kernel.schedules.rules import ticks
from app.kernel.schedules.words import explained

STATES = (
    "waiting",
    "queued",
    "running",
    "cancelling",
    "succeeded",
    "failed",
    "cancelled",
    "skipped",
    "lost",
)
OVERLAPS = ("skip", "queue_one", "allow", "cancel_previous")


class Schedule(TenantModel):
    __tablename__ = "schedules"
    __table_args__ = (
        unique_within_tenant("name"),
        CheckConstraint(one_of("misfire", ("skip", "latest", "all")), name="misfire"),
        CheckConstraint(one_of("overlap", OVERLAPS), name="overlap"),
        # Whoever ticks asks every second across tenants: the index holds what may come due.
        Index("schedules_next_at_idx", "next_at", postgresql_where=text("is_enabled")),
    )

    name: Mapped[str]
    cron: Mapped[str]
    timezone: Mapped[str]
    entrypoint: Mapped[str]
    payload: Mapped[Json] = mapped_column(server_default=text("'{}'"))
    misfire: Mapped[str] = mapped_column(server_default="latest")
    overlap: Mapped[str] = mapped_column(server_default="skip")
    catchup_window_hours: Mapped[int] = mapped_column(server_default="24")
    max_catchup: Mapped[int] = mapped_column(server_default="10")
    jitter_seconds: Mapped[int] = mapped_column(server_default="0")
    is_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    decided_until: Mapped[datetime]
    """Every tick up to here was run or skipped."""
    next_at: Mapped[datetime | None]
    last_tick_at: Mapped[datetime | None]
    last_outcome: Mapped[str | None]
    failures: Mapped[int] = mapped_column(server_default="0")
    """Failed runs in a row."""

    @property
    def explanation(self) -> str:
        """The cron line in words (pt-BR); the line itself when it is damaged."""
        try:
            return explained(self.cron)
        except (ValueError, LookupError):
            return self.cron

    @property
    def next_times(self) -> list[datetime]:
        """The next five ticks in its own time zone; none while it is paused or damaged."""
        if not self.is_enabled:
            return []
        try:
            zone = ZoneInfo(self.timezone)
            return [t.astimezone(zone) for t in islice(ticks(self.cron, self.timezone, now()), 5)]
        except (ValueError, LookupError, OSError, CronSimError):
            return []


class ScheduleRun(TenantModel):
    __tablename__ = "schedule_runs"
    __table_args__ = (
        # However many workers tick, a tick is decided once.
        unique_within_tenant("schedule_id", "tick"),
        within_tenant("schedule_id", "schedules", ondelete="CASCADE"),
        CheckConstraint(one_of("state", STATES), name="state"),
        CheckConstraint(one_of("trigger", ("cron", "manual")), name="trigger"),
        # A long history, and little under way: each tick asks for the latter.
        Index(
            "schedule_runs_open_idx",
            "tenant_id",
            "schedule_id",
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    schedule_id: Mapped[UUID]
    tick: Mapped[datetime]
    trigger: Mapped[str] = mapped_column(server_default="cron")
    state: Mapped[str]
    reason: Mapped[str | None]
    """Why it was skipped or cancelled, or what it failed with."""
    blocked_by: Mapped[UUID | None]
    """The run that was not done yet when this tick was skipped."""
    moved_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When its state last changed: a run that is silent for too long is lost."""
    ended_at: Mapped[datetime | None]
    """Also of a tick that was skipped; None while there is something to come."""
