"""Clients of particular members, and small questions that kernel tests ask the database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest

from app.main import Largo
from tests.factories.tenants import Member, World
from tests.faults.server import ServerProcess
from tests.sandbox.server import http, sandbox, sandbox_url

__all__ = ["http", "sandbox", "sandbox_url"]

ClientOf = Callable[[World, Member], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def client_of(app: Largo) -> AsyncIterator[ClientOf]:
    """A client logged in as this member: ``await client_of(world, member)``."""
    async with AsyncExitStack() as stack:

        async def make(world: World, member: Member) -> httpx.AsyncClient:
            return await stack.enter_async_context(
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(app, raise_app_exceptions=False),
                    base_url="http://largo.test",
                    headers={
                        "X-Tenant": world.tenant.slug,
                        "Authorization": f"Bearer {member.token}",
                    },
                )
            )

        yield make


@pytest.fixture
async def second_process(environment: dict[str, str]) -> AsyncIterator[ServerProcess]:
    """Another server on the same database and Valkey."""
    server = ServerProcess(environment)
    await server.start()
    yield server
    server.kill()
