"""Jobs that carry notices: one gives an event's to its people, one makes one delivery."""

from __future__ import annotations

from uuid import UUID

from app.contracts.gateways.messaging import GatewayFailure
from app.kernel.jobs.service import JobContext, RetryLater
from app.kernel.notifications.delivery import DELIVER, NoticeDeliveryService
from app.kernel.telling import NOTICE_FAN_OUT

__all__ = ["DELIVER", "NOTICE_FAN_OUT", "deliver", "fan_out"]


async def fan_out(job: JobContext) -> None:
    """Give the notice of an event to everybody who may hear of it; once per event."""
    async with job.works() as work:
        await NoticeDeliveryService(work).fan_out(job.payload)


async def deliver(job: JobContext) -> None:
    """Send one notice by one channel to one person or device. Raises RetryLater."""
    async with job.works() as work:
        outgoing = await NoticeDeliveryService(work).take(UUID(job.payload["delivery_id"]))
    if outgoing is None:
        return
    try:
        await outgoing.send()
    except GatewayFailure as failure:
        async with job.works() as work:
            wait = await NoticeDeliveryService(work).ended(outgoing.id, failure)
        if wait is not None:
            raise RetryLater(wait) from failure
        return
    async with job.works() as work:
        await NoticeDeliveryService(work).sent(outgoing.id)
