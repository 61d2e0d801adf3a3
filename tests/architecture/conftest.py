"""A connection of the tables' owner, and the check that no test leaves a tenant behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kernel.work import Runtime
from tests.sandbox.server import sandbox_url

__all__ = ["sandbox_url"]

if TYPE_CHECKING:  # the stubs are generic, the class itself is not
    Owner = asyncpg.Connection[asyncpg.Record]
else:
    Owner = asyncpg.Connection


@pytest.fixture(scope="session")
async def owner_sql(environment: dict[str, str]) -> AsyncIterator[Owner]:
    """The owner of the tables, whom row level security does not bind."""
    connection = await asyncpg.connect(environment["DATABASE_URL"])
    yield connection
    await connection.close()


async def scopes_left(engine: AsyncEngine) -> list[str]:
    """What ``app.tenant_id`` is on several connections of the pool, outside any transaction."""
    found = []
    async with AsyncExitStack() as stack:
        for _ in range(3):
            connection = await stack.enter_async_context(engine.connect())
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            found.append(await driver.fetchval("SELECT current_setting('app.tenant_id', true)"))
    return found


@pytest.fixture
async def clean_pool(runtime: Runtime) -> AsyncIterator[None]:
    """After the test no pooled connection remembers whose rows it saw."""
    yield
    assert not any(await scopes_left(runtime.database.tenant_engine))
    assert not any(await scopes_left(runtime.database.system_engine))
