"""Whoever is cancelled in the middle of a transaction leaves no transaction and no scope behind."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.database import ScopedConnection
from app.kernel.tenancy import TenantContext
from app.kernel.work import Actor, Runtime, unit_of_work
from tests.factories.tenants import World

ACTOR = Actor("system", "tests")
ROUNDS = 250
SCOPE = text("SELECT current_setting('app.tenant_id'), pg_backend_pid()")


async def act(runtime: Runtime, tenant: TenantContext, *, is_raw: bool) -> None:
    """A Work that begins one way or the other, writes, and tells."""
    async with unit_of_work(runtime, tenant, ACTOR) as work:
        if is_raw:
            await (await work.raw()).fetchval("SELECT 1")
        else:
            await work.session.execute(text("SELECT 1"))
        work.record("tests.cancelled", "nothing", None)


@pytest.mark.parametrize("is_raw", [True, False], ids=["past SQLAlchemy", "by SQLAlchemy"])
async def test_the_next_transaction_is_its_own(
    runtime: Runtime, world: World, stranger: World, is_raw: bool
) -> None:
    """Cancelled at every point there is, again and again: BEGIN, statements, COMMIT."""
    chance = random.Random(7)
    ends = 0
    for _ in range(ROUNDS):
        doing = asyncio.create_task(act(runtime, stranger.tenant, is_raw=is_raw))
        for _ in range(chance.randrange(14)):
            await asyncio.sleep(0)
        if chance.random() < 0.4:
            await asyncio.sleep(chance.random() * 0.002)
        doing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await doing
            ends += 1
        async with unit_of_work(runtime, world.tenant, ACTOR) as work:
            scope, _ = (await work.session.execute(SCOPE)).one()
            assert scope == str(world.tenant.id)
            work.record("tests.own", "nothing", None)
    assert ends < ROUNDS, "some were cancelled in the middle"
    counted = "SELECT count(*) FROM audit_entries WHERE tenant_id = $1 AND action = $2"
    async with runtime.database.system_driver() as driver:
        assert await driver.fetchval(counted, world.tenant.id, "tests.own") == ROUNDS
        assert await driver.fetchval(counted, world.tenant.id, "tests.cancelled") == 0
        assert await driver.fetchval(counted, stranger.tenant.id, "tests.own") == 0
        assert await driver.fetchval(counted, stranger.tenant.id, "tests.cancelled") >= ends


async def driver_of(connection: AsyncConnection) -> Any:
    driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, ScopedConnection)
    return driver


async def test_a_connection_in_a_transaction_is_not_given_out(runtime: Runtime) -> None:
    """However it came to be in one, also where only the driver remembers."""
    engine = runtime.database.tenant_engine
    async with engine.connect() as connection:
        driver = await driver_of(connection)
        await driver.execute("BEGIN")
        pid = driver.get_server_pid()
    async with engine.connect() as connection:
        driver = await driver_of(connection)
        assert driver.get_server_pid() != pid
        driver._top_xact = driver.transaction()
        pid = driver.get_server_pid()
    async with engine.connect() as connection:
        driver = await driver_of(connection)
        assert driver.get_server_pid() != pid
        assert driver._top_xact is None
