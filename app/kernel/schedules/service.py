"""Schedules as their tenant keeps them; what ticks is in ``ticking``, what runs in ``runs``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.core.problems import Invalid
from app.kernel.schedules.models import Schedule, ScheduleRun
from app.kernel.schedules.repository import RunRepository, ScheduleRepository
from app.kernel.schedules.rules import BadCron, check_cron, next_tick, ticks
from app.kernel.schedules.runs import Runs
from app.kernel.schedules.schemas import ScheduleCreate, ScheduleUpdate
from app.kernel.schedules.words import explained
from app.kernel.work import Work


@dataclass(frozen=True, slots=True)
class Tick:
    at: datetime
    local: datetime


@dataclass(frozen=True, slots=True)
class Preview:
    cron: str
    explanation: str
    timezone: str
    ticks: list[Tick]


class ScheduleService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.schedules = ScheduleRepository(work.session)
        self.runs = RunRepository(work.session)

    async def listed(self, page: PageRequest) -> Page[Schedule]:
        return await self.schedules.page(self.schedules.query(), page)

    async def get(self, schedule_id: UUID) -> Schedule:
        """One schedule. Raises ScheduleNotFound."""
        return await self.schedules.get(schedule_id)

    async def preview(self, cron: str, timezone: str | None, count: int) -> Preview:
        """The next times of an expression. Raises Invalid, pointing at the parameter."""
        zone = timezone or self.work.tenant.timezone
        try:
            check_cron(cron)
        except BadCron as error:
            raise _wrong("/query/cron", str(error)) from error
        try:
            local = ZoneInfo(zone)
        except (LookupError, ValueError, OSError) as error:
            raise _wrong("/query/timezone", "This is no IANA time zone.") from error
        found = islice(ticks(cron, zone, now()), count)
        return Preview(cron, explained(cron), zone, [Tick(t, t.astimezone(local)) for t in found])

    async def create(self, body: ScheduleCreate) -> Schedule:
        """Add a schedule; its first tick lies ahead.

        Raises ScheduleNameTaken, Invalid (the entrypoint may not be scheduled).
        """
        self._must_be_known(body.entrypoint)
        facts = body.model_dump(exclude={"timezone"})
        zone = body.timezone or self.work.tenant.timezone
        schedule = Schedule(**facts, timezone=zone, decided_until=now())
        self._anchor(schedule)
        await self.schedules.add(schedule)
        await self.work.session.refresh(schedule)
        self.work.record("schedule.created", "schedule", schedule.id, after=_facts(schedule))
        return schedule

    async def update(self, schedule_id: UUID, body: ScheduleUpdate) -> Schedule:
        """Change what was sent. Raises ScheduleNotFound, ScheduleNameTaken."""
        schedule = await self.schedules.get(schedule_id, lock=True)
        before = _facts(schedule)
        changes = {k: v for k, v in body.model_dump(exclude_unset=True).items() if v is not None}
        for field, value in changes.items():
            setattr(schedule, field, value)
        if {"cron", "timezone"} & set(changes):
            self._anchor(schedule)
        await self.schedules.flush()
        self.work.record(
            "schedule.updated", "schedule", schedule_id, before=before, after=_facts(schedule)
        )
        return schedule

    async def switch(self, schedule_id: UUID, *, on: bool) -> Schedule:
        """Pause, or resume from now on: what the pause skipped stays so.

        Raises ScheduleNotFound.
        """
        schedule = await self.schedules.get(schedule_id, lock=True)
        if schedule.is_enabled == on:
            return schedule
        schedule.is_enabled = on
        if on:
            schedule.failures = 0
            self._anchor(schedule)
        await self.schedules.flush()
        action = "schedule.resumed" if on else "schedule.paused"
        self.work.record(action, "schedule", schedule_id)
        return schedule

    async def delete(self, schedule_id: UUID) -> None:
        """Remove a schedule and its history; a run that is queued does nothing any more.

        Raises ScheduleNotFound.
        """
        schedule = await self.schedules.get(schedule_id, lock=True)
        self.work.record("schedule.deleted", "schedule", schedule_id, before=_facts(schedule))
        await self.schedules.delete(schedule)

    async def history(self, schedule_id: UUID, page: PageRequest) -> Page[ScheduleRun]:
        """What became of its ticks, newest first. Raises ScheduleNotFound."""
        await self.schedules.get(schedule_id)
        return await self.runs.of(schedule_id, page)

    async def run_now(self, schedule_id: UUID) -> ScheduleRun:
        """Queue a run besides the cadence, whatever runs already. Raises ScheduleNotFound."""
        schedule = await self.schedules.get(schedule_id, lock=True)
        run_id = await Runs(self.work).queue(schedule, now(), trigger="manual")
        assert run_id is not None  # noqa: S101 - under the row's lock nobody else has this instant
        run = await self.runs.get(run_id)
        self.work.record("schedule.run_now", "schedule", schedule_id, run_id=run_id)
        return run

    def _anchor(self, schedule: Schedule) -> None:
        schedule.decided_until = now()
        schedule.next_at = next_tick(schedule.cron, schedule.timezone, schedule.decided_until)

    def _must_be_known(self, entrypoint: str) -> None:
        known = self.work.runtime.schedulable
        if known.get(entrypoint) not in self.work.tenant.modules:
            mine = sorted(e for e, module in known.items() if module in self.work.tenant.modules)
            raise _wrong("/body/entrypoint", f"May be scheduled here: {', '.join(mine) or '-'}.")


def _wrong(pointer: str, detail: str) -> Invalid:
    return Invalid(errors=[{"pointer": pointer, "detail": detail}])


def _facts(schedule: Schedule) -> dict[str, Any]:
    return {
        field: getattr(schedule, field)
        for field in ("name", "cron", "timezone", "entrypoint", "payload", "misfire", "overlap")
    }
