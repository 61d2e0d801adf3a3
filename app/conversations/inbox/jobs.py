"""Jobs of the inbox: clocks of what began, giving away, waking; and the beat that tells delays."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from uuid import UUID

from app.contracts.gateways.messaging import GatewayRefused
from app.contracts.gateways.whatsapp import WhatsAppGateway
from app.conversations.inbox.assignment import (
    BATCH,
    AssignmentService,
    tenants_late,
    tenants_waiting,
)
from app.conversations.inbox.blocking import BlockingService
from app.conversations.inbox.service import GIVE_WAITING, WAKE, InboxService
from app.kernel.jobs.service import JobContext, RetryLater
from app.kernel.work import Actor, Runtime, unit_of_work

log = logging.getLogger(__name__)

__all__ = ["FOLLOW_BLOCK", "GIVE_WAITING", "OPENED", "WAKE"]
FOLLOW_BLOCK = "conversations.inbox.follow_block"
OPENED = "conversations.inbox.opened"
_EVERY_S = 15.0
_TENANTS = 200
_AGAIN_S = 60.0
_NEXT = "inbox.late_at"


async def opened(job: JobContext) -> None:
    """Start a new conversation's clocks and find somebody for it; twice is like once."""
    async with job.works() as work:
        await InboxService(work).opened(UUID(job.payload["conversation_id"]))
    await give_waiting(job)


async def give_waiting(job: JobContext) -> None:
    """Give what waits to whose turn it is, until nothing waits or nobody has room."""
    given = BATCH
    while given >= BATCH:
        async with job.works() as work:
            given = await AssignmentService(work).give_waiting()


async def follow_block(job: JobContext) -> None:
    """Block or let back in at the vendor, as the contact is when the job runs; twice is like once.

    What the vendor refuses is noted in the audit trail: it blocks only who wrote within 24 h.
    Raises RetryLater, and GatewayFailure when it could not be asked: each for another try.
    """
    contact_id = UUID(job.payload["contact_id"])
    async with job.works() as work:
        is_blocked, calls = await BlockingService(work).wanted(contact_id)
        gateway = work.port(WhatsAppGateway)
    for call in calls:
        try:
            await gateway.block(call.account, call.user, blocked=is_blocked)
        except GatewayRefused as refused:
            if refused.retryable:
                raise RetryLater(refused.retry_after_s or _AGAIN_S) from refused
            async with job.works() as work:
                BlockingService(work).refused(contact_id, call.number_id, refused)


async def wake(job: JobContext) -> None:
    """Take a snoozed conversation up again, if it is still snoozed until then."""
    async with job.works() as work:
        until = datetime.fromisoformat(job.payload["until"])
        await InboxService(work).wake(UUID(job.payload["conversation_id"]), until)


async def tell_late_now_and_then(runtime: Runtime) -> int:
    """Tell of clocks that ran out, every 15 s in each process; how many."""
    if time.monotonic() < runtime.caches.get(_NEXT, 0.0):
        return 0
    runtime.caches[_NEXT] = time.monotonic() + _EVERY_S
    await give_to_who_came(runtime)
    return await tell_late(runtime)


async def give_to_who_came(runtime: Runtime, at_once: int = _TENANTS) -> None:
    """Give what waits where nobody told us to: somebody's browser woke, a contact wrote again."""
    last = UUID(int=0)
    while True:
        tenants = await tenants_waiting(runtime, last, at_once)
        for last in tenants:
            try:
                tenant = await runtime.tenants.by_id(last)
                async with unit_of_work(runtime, tenant, Actor("system", "inbox")) as work:
                    await AssignmentService(work).give_waiting()
            except Exception:
                log.exception("inbox.giving_failed", extra={"tenant_id": str(last)})
        # On by id: tenants of whom nobody is there come first each time, and stay.
        if len(tenants) < at_once:
            return


async def tell_late(runtime: Runtime) -> int:
    """Tell of every clock that ran out, each once; how many."""
    told = 0
    for tenant_id in await tenants_late(runtime):
        try:
            tenant = await runtime.tenants.by_id(tenant_id)
            async with unit_of_work(runtime, tenant, Actor("system", "inbox")) as work:
                told += await AssignmentService(work).tell_late()
        except Exception:
            # One tenant's trouble is not the others'.
            log.exception("inbox.late_failed", extra={"tenant_id": str(tenant_id)})
    return told
