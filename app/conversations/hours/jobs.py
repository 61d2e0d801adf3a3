"""The job that tells whoever wrote while it is closed."""

from __future__ import annotations

from uuid import UUID

from app.conversations.hours.rules import AWAY
from app.conversations.hours.service import HoursService
from app.kernel.jobs.service import JobContext

__all__ = ["AWAY", "away"]


async def away(job: JobContext) -> None:
    """Tell that nobody is there; a second run finds it told."""
    async with job.works() as work:
        await HoursService(work).away(UUID(job.payload["conversation_id"]))
