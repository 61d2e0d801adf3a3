"""A process of its own that asks for one connection's token many times at once, for tests.

Arguments: tenant id, connection id, callers. Prints the tokens as a JSON list.
"""

from __future__ import annotations

import asyncio
import json
import sys
from uuid import UUID

from app.core.settings import settings
from app.kernel.connections.tokens import token_for
from app.kernel.work import Actor, unit_of_work
from app.worker import build_runtime, close_runtime


async def main(tenant_id: UUID, connection_id: UUID, callers: int) -> None:
    runtime = build_runtime(settings())
    await runtime.bus.start()
    tenant = await runtime.tenants.by_id(tenant_id)
    actor = Actor("job", "tests")
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    found = await asyncio.gather(
        *(
            token_for(lambda: unit_of_work(runtime, tenant, actor), connection_id)
            for _ in range(callers)
        )
    )
    print(json.dumps([token.value for token in found]), flush=True)
    await close_runtime(runtime)


if __name__ == "__main__":
    asyncio.run(main(UUID(sys.argv[1]), UUID(sys.argv[2]), int(sys.argv[3])))
