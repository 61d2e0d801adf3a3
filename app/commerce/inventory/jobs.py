"""The shop's daily look at its stock: what is low is told once per run."""

from __future__ import annotations

from uuid import UUID

from app.commerce.inventory.service import InventoryService
from app.kernel.jobs.service import JobContext

LOW_STOCK_REPORT = "commerce.inventory.low_stock_report"


async def low_stock_report(job: JobContext) -> None:
    """Tell what is at its alert level or below; nothing is told when nothing is."""
    async with job.works() as work:
        await InventoryService(work).report_low(UUID(job.payload["run_id"]))
