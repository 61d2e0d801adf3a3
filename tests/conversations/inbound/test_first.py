"""What somebody wrote is in the inbox before a backlog of orders is told of."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from app.conversations.notifications.jobs import ORDER_NEWS, order_news
from app.core.ids import new_id
from app.kernel.inbox.jobs import PROCESS, process
from app.kernel.jobs.service import Worker
from app.kernel.work import Runtime
from tests.conversations.inbound.line import Line
from tests.factories.tenants import World
from tests.sandbox.server import until

BACKLOG = 3000


async def _waiting(runtime: Runtime, entrypoint: str) -> int:
    async with runtime.database.system_driver() as driver:
        return int(
            await driver.fetchval("SELECT count(*) FROM pgqueuer WHERE entrypoint = $1", entrypoint)
        )


@pytest.mark.timeout(120)
@pytest.mark.parametrize("whose", ["own", "another's"])
async def test_a_delivery_passes_a_backlog_of_news(
    line: Line, stranger: World, shopper: httpx.AsyncClient, runtime: Runtime, whose: str
) -> None:
    async with runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")
    async with (line.world if whose == "own" else stranger).work() as work:
        for _ in range(BACKLOG):
            work.enqueue(ORDER_NEWS, {"order_id": str(new_id()), "after": "placed"})
    worker = Worker(runtime, {ORDER_NEWS: order_news, PROCESS: process})
    await worker.start()
    try:
        await asyncio.sleep(1)
        await line.deliver(shopper, line.change(messages=[line.message()]))
        began = time.monotonic()

        async def applied() -> bool:
            return not await _waiting(runtime, PROCESS)

        await until(applied, 60)
        took, left = time.monotonic() - began, await _waiting(runtime, ORDER_NEWS)
    finally:
        await worker.stop()
    print(f"applied {took:.2f} s after it was taken in, before {left} of {BACKLOG} pieces of news")
    assert left > BACKLOG / 3
    assert took < 2
