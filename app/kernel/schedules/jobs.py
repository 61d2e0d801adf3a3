"""What a job needs to be put on a schedule: its run is kept from the first try to the end.

A newer tick may cancel a run under ``cancel_previous``. The handler notices at its next step:
each Work that it opens looks first whether the run is still wanted, and raises RunCancelled when
it is not. So what a step has committed stays, the step under way is finished, and none begins
after it. A handler with long stretches between its Works calls ``checkpoint`` in them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from app.kernel.jobs.service import MAX_DELIVERIES, Handler, JobContext, RetryLater
from app.kernel.schedules.runs import Runs
from app.kernel.work import UnitOfWork, WorkFactory


class RunCancelled(Exception):
    """A newer tick has taken this run's place: let it pass."""


def scheduled(handler: Handler) -> Handler:
    """``handler`` as a job of schedules: a run that was done before is not done again."""

    async def run(job: JobContext) -> None:
        run_id = UUID(job.payload["run_id"])
        async with job.works() as work:
            if not await Runs(work).began(run_id):
                return
        try:
            await handler(replace(job, works=_while_wanted(job.works, run_id)))
        except RunCancelled:
            async with job.works() as work:
                await Runs(work).stopped(run_id)
        except Exception as error:
            if await _is_to_be_raised(job, run_id, error):
                raise
        else:
            async with job.works() as work:
                await Runs(work).ended(run_id, None)

    return run


async def checkpoint(job: JobContext) -> None:
    """Go on only while the run is wanted. Raises RunCancelled."""
    async with job.works():
        pass


def due_at(job: JobContext) -> datetime:
    """When the run was due, in its schedule's time zone.

    Whatever a run is about (its day, its month) follows from this and never from the clock: a
    tick of 30 November that is caught up on 1 December still means November.
    """
    due = datetime.fromisoformat(job.payload["scheduled_for"])
    return due.astimezone(ZoneInfo(job.payload["timezone"]))


def _while_wanted(works: WorkFactory, run_id: UUID) -> WorkFactory:
    @asynccontextmanager
    async def opened() -> AsyncIterator[UnitOfWork]:
        async with works() as work:
            if not await Runs(work).is_wanted(run_id):
                raise RunCancelled
            yield work

    return opened


async def _is_to_be_raised(job: JobContext, run_id: UUID, error: Exception) -> bool:
    """Whether the runner must hear of it; a run that was cancelled is not tried again."""
    async with job.works() as work:
        if isinstance(error, RetryLater) or job.delivery < MAX_DELIVERIES:
            return await Runs(work).will_be_tried_again(run_id)
        await Runs(work).ended(run_id, f"{type(error).__name__}: {error}")
    return True
