"""Jobs of carts: offer what came in, do what was chosen."""

from __future__ import annotations

from uuid import UUID

from app.conversations.carts.rules import ANSWERED, RECEIVED
from app.conversations.carts.service import CartService
from app.kernel.jobs.service import JobContext

__all__ = ["ANSWERED", "RECEIVED", "answered", "received"]


async def received(job: JobContext) -> None:
    """Offer a cart; a second run finds it offered."""
    async with job.works() as work:
        await CartService(work).received(UUID(job.payload["message_id"]))


async def answered(job: JobContext) -> None:
    """Do what a button chose; a second run finds it done."""
    async with job.works() as work:
        await CartService(work).answered(UUID(job.payload["message_id"]))
