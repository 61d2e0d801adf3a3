"""What a job needs to be put on a schedule: its run is kept from the first try to the end."""

from __future__ import annotations

from uuid import UUID

from app.kernel.jobs.service import MAX_DELIVERIES, Handler, JobContext, RetryLater
from app.kernel.schedules.service import ScheduleService


def scheduled(handler: Handler) -> Handler:
    """``handler`` as a job of schedules: a run that was done before is not done again."""

    async def run(job: JobContext) -> None:
        run_id = UUID(job.payload["run_id"])
        async with job.works() as work:
            if not await ScheduleService(work).began(run_id):
                return
        try:
            await handler(job)
        except RetryLater:
            raise
        except Exception as error:
            if job.delivery >= MAX_DELIVERIES:
                async with job.works() as work:
                    await ScheduleService(work).ended(run_id, f"{type(error).__name__}: {error}")
            raise
        async with job.works() as work:
            await ScheduleService(work).ended(run_id, None)

    return run
