"""The suite's ground: a migrated database per worker, the real app, a fresh tenant per test.

Nothing is rolled back: every test acts inside tenants of its own, and row level security keeps
it there. So commits, locks, constraints and doorbells are the real ones.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest

from app.core.settings import Settings
from app.kernel.work import Runtime
from app.main import Largo, create_app
from tests.factories.tenants import World, make_world

ROOT = Path(__file__).parent.parent


def _plain(url: str) -> str:
    return url.replace("postgresql+asyncpg://", "postgresql://")


async def _create_database(maintenance: str, name: str) -> None:
    connection = await asyncpg.connect(_plain(maintenance))
    await connection.execute(f'CREATE DATABASE "{name}"')
    # What a connection gets to only at the sixth use of a statement, here from the first one on:
    # some statements cannot be planned without the values of their parameters.
    await connection.execute(f'ALTER DATABASE "{name}" SET plan_cache_mode = force_generic_plan')
    await connection.close()


async def _drop_database(maintenance: str, name: str) -> None:
    connection = await asyncpg.connect(_plain(maintenance))
    await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await connection.close()


@pytest.fixture(scope="session")
def environment() -> Iterator[dict[str, str]]:
    """The environment of this worker's app: its own database, its own Redis database."""
    maintenance = os.environ.get("TEST_POSTGRES_URL")
    redis = os.environ.get("TEST_REDIS_URL") or os.environ.get("REDIS_URL")
    if not maintenance or not redis:
        pytest.exit("TEST_POSTGRES_URL and REDIS_URL are not set: run ./scripts/test", 2)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    name = f"largo_test_{worker}_{secrets.token_hex(4)}"
    asyncio.run(_create_database(maintenance, name))
    url = urlunsplit(urlsplit(_plain(maintenance))._replace(path=f"/{name}"))
    parts = urlsplit(redis)
    index = int("".join(c for c in worker if c.isdigit()) or 0) + 1
    found = {
        **os.environ,
        "ENVIRONMENT": "test",
        "LOG_LEVEL": "WARNING",
        "DATABASE_URL": url,
        "REDIS_URL": urlunsplit(parts._replace(path=f"/{index}")),
        "AUTH_SECRETS": secrets.token_urlsafe(48),
        "ORDER_TRACKING_SECRET": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": "t1:" + "A" * 43 + "=",
        "WORKER_IN_PROCESS": "false",
        # Every test logs in from one address.
        "LOGIN_ATTEMPTS_PER_ADDRESS": "1000000",
        "WEBHOOK_ALLOW_HTTP": "true",
        "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "FRONTEND_URL": "https://app.largo.example",
        "MEDIA_ROOT": str(ROOT / ".local" / "test-media"),
        # A test that wants mail or signed notices configures them; the others see neither.
        "SMTP_HOST": "",
        "STRIPE_WEBHOOK_SECRET": "",
        "BILLING_WEBHOOK_SECRET": "",
    }
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"], cwd=ROOT, env=found, check=True
    )
    yield found
    asyncio.run(_drop_database(maintenance, name))


@pytest.fixture(scope="session")
def config(environment: dict[str, str]) -> Settings:
    fields = {k.lower(): v for k, v in environment.items() if k.lower() in Settings.model_fields}
    return Settings.model_validate(fields)


@asynccontextmanager
async def serving(app: Largo) -> AsyncIterator[Largo]:
    """Run the app's lifespan, as a server would."""
    async with app.api.router.lifespan_context(app.api):
        yield app


@pytest.fixture(scope="session")
async def app(config: Settings) -> AsyncIterator[Largo]:
    async with serving(create_app(config)) as running:
        yield running


@pytest.fixture
def runtime(app: Largo) -> Runtime:
    return app.runtime


@asynccontextmanager
async def _client(app: Largo, headers: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://largo.test", headers=headers
    ) as client:
        yield client


@pytest.fixture
async def world(app: Largo) -> World:
    """A new tenant with an owner, and nothing else."""
    return await make_world(app.runtime)


@pytest.fixture
async def stranger(app: Largo) -> World:
    """Another tenant with an owner: whatever it tries on ``world`` must fail."""
    return await make_world(app.runtime)


@pytest.fixture
async def shopper(app: Largo, world: World) -> AsyncIterator[httpx.AsyncClient]:
    """Anybody, on the storefront of ``world``."""
    async with _client(app, {"X-Tenant": world.tenant.slug}) as client:
        yield client


@pytest.fixture
async def owner(app: Largo, world: World) -> AsyncIterator[httpx.AsyncClient]:
    """The logged-in owner of ``world``."""
    headers = {"X-Tenant": world.tenant.slug, "Authorization": f"Bearer {world.owner.token}"}
    async with _client(app, headers) as client:
        yield client


@pytest.fixture
async def outsider(app: Largo, stranger: World) -> AsyncIterator[httpx.AsyncClient]:
    """The logged-in owner of another tenant."""
    headers = {"X-Tenant": stranger.tenant.slug, "Authorization": f"Bearer {stranger.owner.token}"}
    async with _client(app, headers) as client:
        yield client


@pytest.fixture
async def anonymous(app: Largo) -> AsyncIterator[httpx.AsyncClient]:
    """Nobody, naming no tenant."""
    async with _client(app, {}) as client:
        yield client
