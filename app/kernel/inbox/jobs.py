"""The job that processes one stored notice: at least once delivered, once in effect."""

from __future__ import annotations

from uuid import UUID

from app.kernel.inbox.service import (
    PROCESS,
    AlreadyApplied,
    Delivery,
    Source,
    finish,
    note_failure,
    take,
)
from app.kernel.jobs.service import MAX_DELIVERIES, JobContext, RetryLater

__all__ = ["PROCESS", "process"]


async def process(job: JobContext) -> None:
    """Hand the notice to its provider's source; a failure is kept beside it, then tried again."""
    message = await take(
        job.runtime, UUID(job.payload["message_id"]), is_last=job.delivery >= MAX_DELIVERIES
    )
    if message is None:
        return
    async with job.works() as work:  # nothing is asked of the database: it never begins
        source, tenant = work.port(Source, message.provider), work.tenant
    delivery = Delivery(
        job.runtime,
        tenant,
        message.id,
        message.provider,
        message.event_id,
        message.type,
        message.body,
        message.headers,
    )
    try:
        await source.handle(delivery)
    except AlreadyApplied:
        pass
    except Exception as error:
        reason = error.__cause__ if isinstance(error, RetryLater) and error.__cause__ else error
        await note_failure(job.runtime, message.id, f"{type(reason).__name__}: {reason}"[:500])
        raise
    await finish(job.runtime, message.id)
