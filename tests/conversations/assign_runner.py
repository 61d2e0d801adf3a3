"""A process that gives a tenant's waiting conversations away until nobody can take another."""

from __future__ import annotations

import asyncio
import sys
from uuid import UUID

from app.conversations.inbox.assignment import AssignmentService
from app.core.settings import settings
from app.kernel.work import Actor, unit_of_work
from app.worker import build_runtime, close_runtime


async def main(tenant_id: UUID) -> None:
    runtime = build_runtime(settings())
    tenant = await runtime.tenants.by_id(tenant_id)

    async def give() -> int:
        async with unit_of_work(runtime, tenant, Actor("system", "assignment")) as work:
            return await AssignmentService(work).give_waiting()

    print("ready", flush=True)
    sys.stdin.readline()
    total = 0
    while given := await give():
        total += given
    await close_runtime(runtime)
    print(total, flush=True)


if __name__ == "__main__":
    asyncio.run(main(UUID(sys.argv[1])))
