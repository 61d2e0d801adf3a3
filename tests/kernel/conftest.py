"""Clients of particular members, and small questions that kernel tests ask the database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import httpx
import pytest
from pydantic import SecretStr

from app.kernel.work import Runtime
from app.main import Largo
from scripts.local.environment import connected
from tests.factories.tenants import Member, World
from tests.factories.valkey import Valkey
from tests.faults.server import ServerProcess
from tests.sandbox.server import SandboxServer, http, sandbox, sandbox_url

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


@pytest.fixture
def vendors(runtime: Runtime, sandbox: SandboxServer) -> Iterator[SandboxServer]:
    """The vendors that tenants connect, played by the sandbox, which knows our registrations."""
    before = runtime.settings
    known = {name.lower(): value for name, value in connected(sandbox.url).items()}
    known["telegram_api_base_url"] = f"{sandbox.url}/telegram"
    known["whatsapp_graph_base_url"] = f"{sandbox.url}/graph"
    hidden: dict[str, object] = {
        n: SecretStr(v) if n.endswith("_secret") else v for n, v in known.items()
    }
    hidden["oauth_return_origins"] = ("https://console.loja.example",)
    runtime.settings = before.model_copy(update=hidden)
    yield sandbox
    runtime.settings = before


@pytest.fixture
async def valkey() -> AsyncIterator[Valkey]:
    server = Valkey()
    await server.start()
    yield server
    server.stop()
