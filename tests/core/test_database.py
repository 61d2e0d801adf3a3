"""The pools survive a restart of Postgres."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from app.core.database import Database
from app.core.settings import Settings


async def _fill(engine: AsyncEngine) -> set[int]:
    """Open every connection of the pool; their backends."""
    async with AsyncExitStack() as stack:
        found = set()
        for _ in range(2):
            connection = await stack.enter_async_context(engine.connect())
            found.add((await connection.exec_driver_sql("SELECT pg_backend_pid()")).scalar_one())
        return found


async def test_connections_that_the_server_closed_are_replaced(
    config: Settings, environment: dict[str, str]
) -> None:
    database = Database(config.database_url, pool_size=2, system_pool_size=2)
    before = await _fill(database.system_engine) | await _fill(database.tenant_engine)
    assert len(before) == 4
    other = await asyncpg.connect(environment["DATABASE_URL"])
    for pid in before:
        await other.execute("SELECT pg_terminate_backend($1)", pid)
    await other.close()
    await asyncio.sleep(0.2)
    for _ in range(4):
        async with database.system_driver() as driver:
            assert await driver.fetchval("SELECT 1") == 1
    after = await _fill(database.system_engine) | await _fill(database.tenant_engine)
    assert len(after) == 4
    assert not before & after
    await database.close()
