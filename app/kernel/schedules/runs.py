"""A run from the tick to its end: what it waits for, what cancels it and what follows it.

``waiting`` > ``queued`` > ``running`` > ``succeeded`` or ``failed``. A run that is to be tried
again is ``queued`` meanwhile. Who must go for a newer tick is ``cancelled`` at once, or
``cancelling`` while its handler runs: the handler's next Work finds that and ends it.
Locks are taken in one order: the schedule, then its runs.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.contracts.schedules import SchedulePaused
from app.core.clock import now
from app.kernel.schedules.models import Schedule, ScheduleRun
from app.kernel.schedules.repository import RunRepository, ScheduleRepository
from app.kernel.schedules.rules import Overlap
from app.kernel.work import UnitOfWork

FAILURES_TO_PAUSE = 10
PATIENCE = timedelta(hours=24)
"""A run that is silent for this long is lost: a job's eight tries take two hours."""
_CATCH_UP_PACE = timedelta(seconds=5)


class Runs:
    """The runs of a tenant's schedules, inside one Work."""

    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.schedules = ScheduleRepository(work.session)
        self.rows = RunRepository(work.session)

    async def place(self, schedule: Schedule, ticks: Sequence[datetime]) -> int:
        """Run ``ticks``, let them wait or skip them, as the schedule says; how many that queued.

        What one look found runs one after the other, unless runs may overlap.
        """
        if not self.is_allowed(schedule):
            await self._skip(schedule, ticks, "module", None)
            return 0
        if schedule.overlap == Overlap.CANCEL_PREVIOUS:
            await self.rows.cancel(schedule.id)
        before = await self._go_on(schedule)
        if schedule.overlap == Overlap.ALLOW:
            made = [
                await self.queue(schedule, tick, delay=_CATCH_UP_PACE * number)
                for number, tick in enumerate(ticks)
            ]
            schedule.last_outcome = "queued"
            return len(made) - made.count(None)
        if before:
            await self._line_up(schedule, ticks, before)
            return 0
        made = [await self.queue(schedule, ticks[0])]
        await self._wait(schedule, ticks[1:])
        schedule.last_outcome = "queued"
        if made == [None]:  # decided before: nothing of ours is there to be waited for
            await self._go_on(schedule)
        return 1

    async def queue(
        self,
        schedule: Schedule,
        tick: datetime,
        *,
        trigger: str = "cron",
        delay: timedelta = timedelta(),
    ) -> UUID | None:
        """A run of ``tick`` and its job; None when that tick was decided before."""
        run_id = await self.rows.insert(schedule.id, tick, "queued", trigger=trigger)
        if run_id is not None:
            self._enqueue(schedule, run_id, tick, delay)
        return run_id

    async def began(self, run_id: UUID) -> bool:
        """Whether the run is still to be done: not when it has ended or its schedule is gone."""
        if await self.rows.move(run_id, ("queued", "running"), "running"):
            return True
        await self.stopped(run_id)
        return False

    async def is_wanted(self, run_id: UUID) -> bool:
        """Whether the run is to go on: nobody cancelled it, and its schedule is still there."""
        return await self.rows.is_wanted(run_id)

    async def will_be_tried_again(self, run_id: UUID) -> bool:
        """Whether it will: not when a newer tick took its place meanwhile."""
        if await self.rows.move(run_id, ("queued", "running"), "queued"):
            return True
        await self.stopped(run_id)
        return False

    async def stopped(self, run_id: UUID) -> None:
        """A run that was asked to end has ended; what waited for it goes on."""
        schedule, run = await self._locked(run_id)
        if schedule is not None and run is not None and run.state == "cancelling":
            run.state, run.ended_at = "cancelled", now()
            await self._go_on(schedule)

    async def ended(self, run_id: UUID, failure: str | None) -> None:
        """Keep how a run ended; a schedule that only fails is paused, and that is told."""
        schedule, run = await self._locked(run_id)
        if schedule is None or run is None:
            return
        run.state, run.reason = ("failed", failure[:500]) if failure else ("succeeded", None)
        run.ended_at = now()
        schedule.last_outcome = run.state
        if failure:
            self.count_failure(schedule)
        else:
            schedule.failures = 0
        await self._go_on(schedule)

    def count_failure(self, schedule: Schedule) -> None:
        """One more in a row; at the tenth the schedule is paused, and that is told."""
        schedule.failures += 1
        if schedule.failures >= FAILURES_TO_PAUSE and schedule.is_enabled:
            schedule.is_enabled = False
            self.work.publish(
                SchedulePaused(
                    schedule_id=schedule.id,
                    schedule_name=schedule.name,
                    failures=schedule.failures,
                )
            )

    def is_allowed(self, schedule: Schedule) -> bool:
        """Whether the tenant's plan has the module whose job this is."""
        return self.work.runtime.schedulable.get(schedule.entrypoint) in self.work.tenant.modules

    async def _go_on(self, schedule: Schedule) -> Sequence[ScheduleRun]:
        """Queue the first that waits when nothing is in its way; what is under way then."""
        await self.schedules.flush()
        under_way = await self.rows.under_way(schedule.id)
        found = [run for run in under_way if not _is_lost(run)]
        if not found or any(run.state != "waiting" for run in found):
            return found
        reason = self._hindrance(schedule)
        for run in found if reason else ():
            run.state, run.reason, run.ended_at = "skipped", reason, now()
        if not reason:
            found[0].state, found[0].moved_at = "queued", now()
            self._enqueue(schedule, found[0].id, found[0].tick, timedelta())
        await self.rows.flush()
        return () if reason else found

    def _hindrance(self, schedule: Schedule) -> str | None:
        if not schedule.is_enabled:
            return "paused"
        return None if self.is_allowed(schedule) else "module"

    async def _locked(self, run_id: UUID) -> tuple[Schedule | None, ScheduleRun | None]:
        run = await self.rows.find(run_id)
        if run is None:
            return None, None
        schedule = await self.schedules.find(run.schedule_id, lock=True)
        if schedule is not None:
            await self.work.session.refresh(run)
        return schedule, run

    async def _line_up(
        self, schedule: Schedule, ticks: Sequence[datetime], before: Sequence[ScheduleRun]
    ) -> None:
        """What becomes of ticks while the runs ``before`` are not done."""
        waiting = next((run for run in before if run.state == "waiting"), None)
        if schedule.overlap == Overlap.CANCEL_PREVIOUS:
            await self._wait(schedule, ticks)
        elif schedule.overlap == Overlap.QUEUE_ONE and waiting is None:
            await self._skip(schedule, ticks[1:], "overlap", before[0].id)
            await self._wait(schedule, ticks[:1])
        else:
            await self._skip(schedule, ticks, "overlap", (waiting or before[0]).id)

    async def _wait(self, schedule: Schedule, ticks: Sequence[datetime]) -> None:
        for tick in ticks:
            await self.rows.insert(schedule.id, tick, "waiting")
        schedule.last_outcome = "waiting"

    async def _skip(
        self, schedule: Schedule, ticks: Sequence[datetime], reason: str, blocker: UUID | None
    ) -> None:
        for tick in ticks:
            await self.rows.insert(schedule.id, tick, "skipped", reason=reason, blocked_by=blocker)
        schedule.last_outcome = "skipped"

    def _enqueue(self, schedule: Schedule, run_id: UUID, tick: datetime, delay: timedelta) -> None:
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


def _is_lost(run: ScheduleRun) -> bool:
    """Whether nothing more is to be expected of it; then it says so from now on."""
    if run.state == "waiting" or run.moved_at > now() - PATIENCE:
        return False
    run.state, run.ended_at = "lost", now()
    return True
