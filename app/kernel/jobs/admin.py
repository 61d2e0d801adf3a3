"""What a tenant may see and do about its own jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.kernel.jobs.repository import JobRepository, JobRow
from app.kernel.jobs.schemas import JobState
from app.kernel.work import Work, system_work


@dataclass(frozen=True, slots=True)
class JobPage:
    items: Sequence[JobRow]
    next_cursor: int | None


class JobService:
    """The queue is a system table: each use case opens a short system transaction of its own."""

    def __init__(self, work: Work) -> None:
        self.work = work

    async def listed(self, state: JobState | None, cursor: int | None, limit: int) -> JobPage:
        """Jobs that are not done, newest first."""
        async with system_work(self.work.runtime) as session:
            rows = await JobRepository(session, self.work.tenant.id).listed(
                state, cursor, limit + 1
            )
        items = rows[:limit]
        return JobPage(items, items[-1].id if len(rows) > limit else None)

    async def retry(self, job_id: int) -> None:
        """Put a held job back in line. Raises JobNotFound, JobNotHeld."""
        async with system_work(self.work.runtime) as session:
            await JobRepository(session, self.work.tenant.id).requeue(job_id)
        self.work.record("job.retried", "job", None, job_id=job_id)
