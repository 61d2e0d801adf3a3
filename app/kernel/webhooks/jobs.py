"""Jobs that carry events out: one spreads an event over the endpoints, one makes one attempt."""

from __future__ import annotations

from uuid import UUID

from app.core.guard import NotDelivered, UrlRefused
from app.kernel.jobs.service import JobContext, RetryLater
from app.kernel.telling import WEBHOOK_FAN_OUT
from app.kernel.webhooks.delivery import Attempt, DeliveryService, Outcome
from app.kernel.webhooks.rules import Full, Lanes
from app.kernel.webhooks.service import DELIVER
from app.kernel.work import Runtime

__all__ = ["DELIVER", "HEARD_WHEN", "WEBHOOK_FAN_OUT", "deliver", "fan_out"]
HEARD_WHEN = "EXISTS (SELECT FROM webhook_endpoints w WHERE w.tenant_id = t.id AND w.is_enabled)"
"""When there is anybody to fan out to (``TenantDirectory``)."""


async def fan_out(job: JobContext) -> None:
    """Make a delivery, and its job, for every endpoint that hears the event; once per event."""
    async with job.works() as work:
        await DeliveryService(work).fan_out(job.payload)


async def deliver(job: JobContext) -> None:
    """Make one attempt; what follows from it is queued with its record. Raises RetryLater."""
    async with job.works() as work:
        attempt = await DeliveryService(work).prepare(
            UUID(job.payload["delivery_id"]), job.payload["attempt"]
        )
    if attempt is None:
        return
    try:
        lanes = _lanes(job.runtime)
        with lanes.place(job.tenant_id, attempt.endpoint_id, failing=attempt.is_failing):
            outcome = await _send(job.runtime, attempt)
    except Full as full:
        raise RetryLater(full.wait_s) from full
    async with job.works() as work:
        await DeliveryService(work).record(attempt, outcome)


async def _send(runtime: Runtime, attempt: Attempt) -> Outcome:
    try:
        receipt = await runtime.guard.post(attempt.url, headers=attempt.headers, body=attempt.body)
    except (UrlRefused, NotDelivered) as error:
        return Outcome(None, str(error))
    return Outcome(
        receipt.status,
        None if 200 <= receipt.status < 300 else f"status {receipt.status}",
        receipt.excerpt,
        receipt.duration_ms,
        receipt.retry_after_s,
    )


def _lanes(runtime: Runtime) -> Lanes:
    found = runtime.caches.get("webhooks")
    if not isinstance(found, Lanes):
        found = runtime.caches["webhooks"] = Lanes(runtime.settings.worker_concurrency)
    return found
