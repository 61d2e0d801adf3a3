"""A connection that the server ends in the middle of a request: try again, and nothing was done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.core import problems
from app.kernel.work import Runtime, UnitOfWork
from app.main import _install_database_handlers
from tests.factories.tenants import World
from tests.kernel.queue_probe import effects

Step = Callable[[UnitOfWork], Awaitable[object]]
_TERMINATE = "SELECT pg_terminate_backend($1)"


async def _by_session(work: UnitOfWork) -> object:
    return await work.session.execute(text("SELECT 1"))


async def _by_driver(work: UnitOfWork) -> object:
    return await (await work.raw()).fetchval("SELECT 1")


async def _by_prepared_driver(work: UnitOfWork) -> object:
    return await (await work.raw()).fetch("SELECT $1::int", 1)


async def _no_statement(work: UnitOfWork) -> object:
    """The commit is the first to notice."""
    return None


@pytest.mark.parametrize("step", [_by_session, _by_driver, _by_prepared_driver, _no_statement])
@pytest.mark.parametrize("is_noticed", [True, False])
async def test_a_connection_lost_in_a_request_is_told_as_unavailable(
    world: World, runtime: Runtime, environment: dict[str, str], step: Step, is_noticed: bool
) -> None:
    api = FastAPI()
    problems.install(api)
    _install_database_handlers(api)

    @api.post("/change")
    async def change() -> None:
        async with world.work() as work:
            work.record("tests.effect", "test", None)
            pid = await (await work.raw()).fetchval("SELECT pg_backend_pid()")
            other = await asyncpg.connect(environment["DATABASE_URL"])
            await other.execute(_TERMINATE, pid)
            await other.close()
            if is_noticed:  # the driver has heard of it before the next statement
                await asyncio.sleep(0.1)
            await step(work)

    transport = httpx.ASGITransport(api, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://largo.test") as client:
        answer = await client.post("/change")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
    assert answer.headers["retry-after"] == "2"
    assert await effects(world) == []


async def test_another_mistake_with_the_driver_is_no_lost_connection(world: World) -> None:
    api = FastAPI()
    problems.install(api)
    _install_database_handlers(api)

    @api.post("/change")
    async def change() -> None:
        async with world.work() as work:
            await (await work.raw()).fetchval("SELECT $1::int")  # no argument

    transport = httpx.ASGITransport(api, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://largo.test") as client:
        assert (await client.post("/change")).status_code == 500
