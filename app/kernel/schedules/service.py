"""Schedules: kept by their tenant, decided tick by tick, each once whoever ticks."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from app.contracts.schedules import SchedulePaused
from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.core.problems import Invalid
from app.kernel.schedules.models import Schedule, ScheduleRun
from app.kernel.schedules.repository import (
    ACTIVE,
    RunRepository,
    ScheduleRepository,
    tenants_due,
)
from app.kernel.schedules.rules import (
    BadCron,
    CatchUp,
    Due,
    Misfire,
    Overlap,
    check_cron,
    due_ticks,
    next_tick,
    ticks,
)
from app.kernel.schedules.schemas import ScheduleCreate, ScheduleUpdate
from app.kernel.work import Actor, Runtime, Work, system_work, unit_of_work

log = logging.getLogger(__name__)

FAILURES_TO_PAUSE = 10
PATIENCE = timedelta(hours=24)
"""A run that is not done after this is lost: a job's eight tries take two hours."""
_AT_ONCE = 50
_TENANTS = 200
_CATCH_UP_PACE = timedelta(seconds=5)
_ACTOR = Actor("system", "schedules")


@dataclass(frozen=True, slots=True)
class Tick:
    at: datetime
    local: datetime


@dataclass(frozen=True, slots=True)
class Preview:
    cron: str
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
        return Preview(cron, zone, [Tick(t, t.astimezone(local)) for t in found])

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
        run_id = await self.runs.insert(schedule.id, now(), "queued", trigger="manual")
        assert run_id is not None  # noqa: S101 - under the row's lock nobody else has this instant
        run = await self.runs.get(run_id)
        self._queue(schedule, run_id, run.tick, timedelta())
        self.work.record("schedule.run_now", "schedule", schedule_id, run_id=run_id)
        return run

    async def tick(self) -> int:
        """Decide about every due tick of this tenant; how many runs that queued."""
        queued = 0
        for schedule in await self.schedules.take_due(_AT_ONCE):
            at = await self.schedules.clock()
            policy = CatchUp(
                Misfire(schedule.misfire),
                timedelta(hours=schedule.catchup_window_hours),
                schedule.max_catchup,
            )
            due = due_ticks(schedule.cron, schedule.timezone, schedule.decided_until, at, policy)
            queued += await self._decide(schedule, due)
            schedule.decided_until, schedule.next_at = at, due.next_at
        await self.schedules.flush()
        return queued

    async def began(self, run_id: UUID) -> bool:
        """Whether the run is still to be done: not when it was done or its schedule is gone."""
        run = await self.runs.find(run_id, lock=True)
        if run is None or run.state not in ACTIVE:
            return False
        run.state = "running"
        return True

    async def ended(self, run_id: UUID, failure: str | None) -> None:
        """Keep how a run ended; a schedule that only fails is paused, and that is told."""
        run = await self.runs.find(run_id, lock=True)
        if run is None:
            return
        run.state, run.reason = ("failed", failure[:500]) if failure else ("succeeded", None)
        run.ended_at = now()
        schedule = await self.schedules.get(run.schedule_id, lock=True)
        schedule.last_outcome = run.state
        schedule.failures = schedule.failures + 1 if failure else 0
        if schedule.failures >= FAILURES_TO_PAUSE and schedule.is_enabled:
            schedule.is_enabled = False
            self.work.publish(
                SchedulePaused(
                    schedule_id=schedule.id,
                    schedule_name=schedule.name,
                    failures=schedule.failures,
                )
            )
        await self.schedules.flush()

    async def _decide(self, schedule: Schedule, due: Due) -> int:
        for skip in due.skipped:
            await self.runs.insert(schedule.id, skip.tick, "skipped", reason=skip.reason)
        if not due.run:
            if due.skipped:
                schedule.last_outcome = "skipped"
            return 0
        schedule.last_tick_at = due.run[-1]
        reason, blocker = await self._hindrance(schedule)
        if reason is not None:
            await self._skip(schedule, due.run, reason, blocker)
            return 0
        queued = 0
        for tick in due.run:
            run_id = await self.runs.insert(schedule.id, tick, "queued")
            if run_id is not None:
                self._queue(schedule, run_id, tick, _CATCH_UP_PACE * queued)
                queued += 1
        schedule.last_outcome = "queued"
        return queued

    async def _hindrance(self, schedule: Schedule) -> tuple[str | None, UUID | None]:
        """Why nothing may run now, and the run that is in the way."""
        if not self._is_allowed(schedule):
            return "module", None
        blocker = await self.runs.active(schedule.id, PATIENCE)
        if blocker is not None and schedule.overlap == Overlap.SKIP:
            return "overlap", blocker
        return None, None

    async def _skip(
        self, schedule: Schedule, missed: Sequence[datetime], reason: str, blocker: UUID | None
    ) -> None:
        for tick in missed:
            await self.runs.insert(schedule.id, tick, "skipped", reason=reason, blocked_by=blocker)
        schedule.last_outcome = "skipped"

    def _queue(self, schedule: Schedule, run_id: UUID, tick: datetime, delay: timedelta) -> None:
        # Spread by the schedule's own number: the same one is as late every time.
        jitter = zlib.crc32(schedule.id.bytes) % (schedule.jitter_seconds + 1)
        self.work.enqueue(
            schedule.entrypoint,
            {
                "run_id": str(run_id),
                "scheduled_for": tick.astimezone(UTC).isoformat(),
                "timezone": schedule.timezone,
                "payload": schedule.payload,
            },
            delay=delay + timedelta(seconds=jitter),
            dedupe_key=str(run_id),
        )

    def _is_allowed(self, schedule: Schedule) -> bool:
        return self.work.runtime.schedulable.get(schedule.entrypoint) in self.work.tenant.modules

    def _anchor(self, schedule: Schedule) -> None:
        schedule.decided_until = now()
        schedule.next_at = next_tick(schedule.cron, schedule.timezone, schedule.decided_until)

    def _must_be_known(self, entrypoint: str) -> None:
        known = self.work.runtime.schedulable
        if known.get(entrypoint) not in self.work.tenant.modules:
            mine = sorted(e for e, module in known.items() if module in self.work.tenant.modules)
            raise _wrong("/body/entrypoint", f"May be scheduled here: {', '.join(mine) or '-'}.")


async def tick_all(runtime: Runtime) -> int:
    """Decide about what is due at every tenant; any number of processes may. Runs queued."""
    async with system_work(runtime) as session:
        tenants = await tenants_due(session, _TENANTS)
    queued = 0
    for tenant_id in tenants:
        try:
            tenant = await runtime.tenants.by_id(tenant_id)
            async with unit_of_work(runtime, tenant, _ACTOR) as work:
                queued += await ScheduleService(work).tick()
        except Exception:
            # One tenant's trouble is not the others'.
            log.exception("schedules.tick_failed", extra={"tenant_id": str(tenant_id)})
    return queued


def _wrong(pointer: str, detail: str) -> Invalid:
    return Invalid(errors=[{"pointer": pointer, "detail": detail}])


def _facts(schedule: Schedule) -> dict[str, Any]:
    return {
        field: getattr(schedule, field)
        for field in ("name", "cron", "timezone", "entrypoint", "payload", "misfire", "overlap")
    }
