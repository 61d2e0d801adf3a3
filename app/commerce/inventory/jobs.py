"""The shop's regular looks at its stock: what is low, and what does not add up."""

from __future__ import annotations

from uuid import UUID

from app.commerce.inventory.service import InventoryService
from app.kernel.jobs.service import JobContext

LOW_STOCK_REPORT = "commerce.inventory.low_stock_report"
CHECK = "commerce.inventory.check"


async def low_stock_report(job: JobContext) -> None:
    """Tell what is at its alert level or below; nothing is told when nothing is."""
    async with job.works() as work:
        await InventoryService(work).report_low(UUID(job.payload["run_id"]))


async def check(job: JobContext) -> None:
    """Tell which levels are not the sum of their movements; nothing is told when all are."""
    async with job.works() as work:
        await InventoryService(work).check(UUID(job.payload["run_id"]))
