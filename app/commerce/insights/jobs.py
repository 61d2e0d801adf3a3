"""Summing up closed days, month by month, each step a commit of its own."""

from __future__ import annotations

from app.commerce.insights.service import ROLL_UP, InsightService, queue_rolling
from app.kernel.jobs.service import JobContext

__all__ = ["ROLL_UP", "queue_rolling", "roll_up"]


async def roll_up(job: JobContext) -> None:
    """Bring this tenant's sums up to date; killed anywhere, the rest is done the next time."""
    left = True
    while left:
        async with job.works() as work:
            left = await InsightService(work).roll_up()
