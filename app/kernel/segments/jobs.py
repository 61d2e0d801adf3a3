"""Scores that days change: a tenant may have everybody scored anew on a schedule."""

from __future__ import annotations

from app.kernel.jobs.service import JobContext
from app.kernel.segments.service import ScoreService

RESCORE = "contacts.rescore"


async def rescore(job: JobContext) -> None:
    """Score every contact anew; running it twice changes nothing the second time."""
    async with job.works() as work:
        await ScoreService(work).rescore()
