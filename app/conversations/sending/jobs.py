"""Jobs that send messages and marks, and the beat that asks people about what stayed unknown."""

from __future__ import annotations

import logging
import time
from uuid import UUID

from app.contracts.gateways.messaging import GatewayFailure
from app.contracts.gateways.sending import SendsMessages
from app.conversations.inbox.service import MARK_READ
from app.conversations.sending.dispatch import Dispatch, credentials_of, tenants_undecided
from app.conversations.sending.rules import PAIR, number_limit
from app.conversations.sending.service import SEND
from app.kernel.jobs.service import JobContext, RetryLater
from app.kernel.work import Actor, Runtime, unit_of_work

log = logging.getLogger(__name__)

__all__ = ["MARK_READ", "SEND", "mark_read", "mark_undecided_now_and_then", "send"]
_EVERY_S = 30.0
_NEXT = "sending.undecided_at"


async def send(job: JobContext) -> None:
    """Send one message. Raises RetryLater."""
    message_id = UUID(job.payload["message_id"])
    async with job.works() as work:
        wait = await Dispatch(work).wait(message_id)
    if wait is None:
        return
    if wait > 0:
        raise RetryLater(wait)
    await _pace(job)
    async with job.works() as work:
        outgoing = await Dispatch(work).take(message_id)
    if outgoing is None:
        return
    try:
        sent = await outgoing.gateway.send(
            credentials=outgoing.credentials,
            to=outgoing.to,
            message=outgoing.message,
            reference=str(outgoing.attempt_id),
        )
    except GatewayFailure as failure:
        async with job.works() as work:
            again = await Dispatch(work).ended(outgoing.attempt_id, failure)
        if again is not None:
            raise RetryLater(again) from failure
        return
    async with job.works() as work:
        await Dispatch(work).accepted(outgoing.attempt_id, sent)


async def _pace(job: JobContext) -> None:
    """Within what the vendor takes of a number, and of a number and a person."""
    number_id, contact_id = job.payload["number_id"], job.payload["contact_id"]
    rate = number_limit(job.payload["per_second"], is_coexistent=job.payload["is_coexistent"])
    for limit, key in ((rate, number_id), (PAIR, f"{number_id}:{contact_id}")):
        decision = await job.runtime.limiter.take(limit, key)
        if not decision.allowed:
            raise RetryLater(decision.retry_after_s)


async def mark_read(job: JobContext) -> None:
    """Show the contact that a message was read; a mark that fails is not worth a second try."""
    async with job.works() as work:
        number = await Dispatch(work).messages.number(UUID(job.payload["number_id"]))
        gateway, credentials = work.port(SendsMessages), credentials_of(work, number)
    try:
        await gateway.mark_read(
            credentials=credentials,
            wamid=job.payload["wamid"],
            is_typing=job.payload["is_typing"],
        )
    except GatewayFailure as failure:
        log.info("sending.unmarked", extra={"reason": failure.reason})


async def mark_undecided_now_and_then(runtime: Runtime) -> int:
    """Ask people about what stayed unknown, each half minute in each process; how many."""
    if time.monotonic() < runtime.caches.get(_NEXT, 0.0):
        return 0
    runtime.caches[_NEXT] = time.monotonic() + _EVERY_S
    return await mark_undecided(runtime)


async def mark_undecided(runtime: Runtime) -> int:
    """Ask people about every message that stayed unknown; how many."""
    marked = 0
    for tenant_id in await tenants_undecided(runtime):
        try:
            tenant = await runtime.tenants.by_id(tenant_id)
            async with unit_of_work(runtime, tenant, Actor("system", "sending")) as work:
                marked += await Dispatch(work).mark_undecided()
        except Exception:
            # One tenant's trouble is not the others'.
            log.exception("sending.undecided_failed", extra={"tenant_id": str(tenant_id)})
    return marked
