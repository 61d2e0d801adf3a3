"""Jobs of the inbox: clocks of what began, giving away, waking; and the beat that tells delays."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from uuid import UUID

from app.conversations.inbox.assignment import (
    BATCH,
    AssignmentService,
    tenants_late,
    tenants_waiting,
)
from app.conversations.inbox.service import GIVE_WAITING, WAKE, InboxService
from app.kernel.jobs.service import JobContext
from app.kernel.work import Actor, Runtime, unit_of_work

log = logging.getLogger(__name__)

__all__ = ["GIVE_WAITING", "OPENED", "WAKE"]
OPENED = "conversations.inbox.opened"
_EVERY_S = 15.0
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


async def give_to_who_came(runtime: Runtime) -> None:
    """Give what waits where nobody told us to: somebody's browser woke, a contact wrote again."""
    for tenant_id in await tenants_waiting(runtime):
        try:
            tenant = await runtime.tenants.by_id(tenant_id)
            async with unit_of_work(runtime, tenant, Actor("system", "inbox")) as work:
                await AssignmentService(work).give_waiting()
        except Exception:
            log.exception("inbox.giving_failed", extra={"tenant_id": str(tenant_id)})


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
