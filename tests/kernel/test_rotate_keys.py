"""Retiring an encryption key: all that is sealed moves to the new one, come what may."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from io import StringIO
from uuid import UUID

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import update

from app import tables
from app.core.crypto import SecretUnreadable, Vault
from app.core.ids import new_id
from app.core.model import Model
from app.core.settings import Settings
from app.kernel.connections.models import Connection
from app.kernel.connections.rules import PROVIDERS
from app.kernel.connections.service import ConnectionService
from app.kernel.notifications import rules
from app.kernel.notifications.service import ReachService, web_push_key
from app.kernel.resealing import reseal_all
from app.kernel.work import Runtime
from app.rotate_keys import execute
from tests.architecture.sources import ROOT, of_app
from tests.factories.notices import subscribe
from tests.factories.tenants import World

OLD, NEW = "t1:" + "A" * 43 + "=", "t2:" + "B" * 43 + "="
RING = f"{NEW},{OLD}"
MANY = 6000


@pytest.fixture
async def driver(config: Settings) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    url = config.database_url.replace("postgresql+asyncpg://", "postgresql://")
    connection = await asyncpg.connect(url)
    # What other tests left sealed is theirs: this one starts from nothing.
    await connection.execute("DELETE FROM conversations")  # they hold numbers
    for sealed in tables.SEALED:
        await connection.execute(f"DELETE FROM {sealed.table}")  # noqa: S608 - our names
    yield connection
    for sealed in tables.SEALED:
        await connection.execute(f"DELETE FROM {sealed.table}")  # noqa: S608 - our names
    await connection.close()


def _config(config: Settings, ring: str) -> Settings:
    keys = tuple(SecretStr(part) for part in ring.split(","))
    return config.model_copy(update={"encryption_keys": keys})


def _vault(ring: str) -> Vault:
    return Vault([SecretStr(part) for part in ring.split(",")])


async def _endpoints(
    driver: asyncpg.Connection[asyncpg.Record], tenant: UUID, count: int
) -> dict[UUID, str]:
    """Webhook endpoints with secrets sealed by the old key."""
    vault, rows = _vault(OLD), []
    for number in range(count):
        row = new_id()
        sealed = vault.encrypt(f"segredo {number}", f"webhook_endpoints:{tenant}:{row}")
        rows.append((tenant, row, sealed, number))
    await driver.executemany(
        "INSERT INTO webhook_endpoints (tenant_id, id, url, events, secret) "
        "VALUES ($1, $2, 'https://x.example', '{*}', $3)",
        [row[:3] for row in rows],
    )
    return {row[1]: f"segredo {row[3]}" for row in rows}


async def _kids(driver: asyncpg.Connection[asyncpg.Record]) -> dict[str, int]:
    rows = await driver.fetch(
        "SELECT split_part(secret, '.', 2) AS kid, count(*) FROM webhook_endpoints GROUP BY 1"
    )
    return {row[0]: row[1] for row in rows}


async def test_killed_in_the_middle_and_started_again(
    driver: asyncpg.Connection[asyncpg.Record], world: World, environment: dict[str, str]
) -> None:
    plain = await _endpoints(driver, world.tenant.id, MANY)
    ring = {**environment, "ENCRYPTION_KEYS": RING}

    async def start() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app.rotate_keys",
            cwd=ROOT,
            env=ring,
            stdout=asyncio.subprocess.PIPE,
        )

    process = await start()
    while not (await _kids(driver)).get("t2"):
        assert process.returncode is None, "it ended before it was seen working"
        await asyncio.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    half = await _kids(driver)
    assert half["t1"] > 0, f"killed too late: {half}"
    assert half["t2"] > 0
    process = await start()
    told, _ = await process.communicate()
    assert process.returncode == 0, told
    assert f"sealed {half['t1']:,}, 0 left" in told.decode()
    assert "100%" in told.decode(), "progress is shown"
    assert await _kids(driver) == {"t2": MANY}
    alone = _vault(NEW)
    for row in await driver.fetch("SELECT tenant_id, id, secret FROM webhook_endpoints"):
        context = f"webhook_endpoints:{row['tenant_id']}:{row['id']}"
        assert alone.decrypt(row["secret"], context) == plain[row["id"]]


async def test_everything_that_is_sealed_moves(
    driver: asyncpg.Connection[asyncpg.Record], world: World, config: Settings, runtime: Runtime
) -> None:
    old, tenant = _vault(OLD), world.tenant.id
    async with world.work() as work:
        row = await ConnectionService(work).add(
            PROVIDERS["openai"], "Nova", {}, {"api_key": "sk-novinha"}
        )
        legacy = Connection(provider="telegram", purpose="telegram", name="Antiga", config={})
        legacy.secret = old.encrypt('{"bot_token":"antigo"}', f"connections:{tenant}:telegram")
        work.session.add(legacy)
    (endpoint,) = await _endpoints(driver, tenant, 1)
    context = f"webhook_endpoints:{tenant}:{endpoint}"
    await driver.execute(
        "UPDATE webhook_endpoints SET retiring = jsonb_build_object('2026-01-01', $1::text, "
        "'2026-01-02', $2::text) WHERE id = $3",
        old.encrypt("velho", context),
        _vault(RING).encrypt("já novo", context),
        endpoint,
    )
    session, token = world.owner.session_id, new_id()
    await driver.execute(
        "INSERT INTO refresh_tokens (tenant_id, id, session_id, token_hash, expires_at, successor) "
        "VALUES ($1, $2, $3, 'x', now(), $4)",
        tenant,
        token,
        session,
        old.encrypt("a b", f"{tenant}:refresh_tokens:{token}"),
    )
    state = new_id()
    await driver.execute(
        "INSERT INTO oauth_states (tenant_id, id, session_id, provider, state_hash, verifier, "
        "expires_at) VALUES ($1, $2, $3, 'google', 'x', $4, now())",
        tenant,
        state,
        session,
        old.encrypt("prova", f"oauth_states:{tenant}:{state}"),
    )
    out = StringIO()
    assert await execute(_config(config, RING), out) == 0, out.getvalue()
    assert "6 rows to seal with key 't2'" in out.getvalue()
    new = _vault(NEW)
    async with world.work() as work:
        work.runtime.vault, before = new, work.runtime.vault
        try:
            service = ConnectionService(work)
            assert (await service.credentials("openai")) == {"api_key": "sk-novinha"}
            assert (await service.credentials("telegram")) == {"bot_token": "antigo"}
        finally:
            work.runtime.vault = before
    found = await driver.fetchrow("SELECT secret, retiring FROM webhook_endpoints")
    assert found is not None
    assert new.decrypt(found["secret"], context) == "segredo 0"
    retiring = await driver.fetch("SELECT * FROM webhook_endpoints, jsonb_each_text(retiring)")
    assert [new.decrypt(r["value"], context) for r in retiring] == ["velho", "já novo"]
    told = await driver.fetchval("SELECT successor FROM refresh_tokens WHERE id = $1", token)
    assert new.decrypt(told, f"{tenant}:refresh_tokens:{token}") == "a b"
    told = await driver.fetchval("SELECT verifier FROM oauth_states WHERE id = $1", state)
    assert new.decrypt(told, f"oauth_states:{tenant}:{state}") == "prova"
    out = StringIO()
    assert await execute(_config(config, RING), out) == 0
    assert "sealed 0, 0 left" in out.getvalue(), "a second run finds nothing to do"
    assert row.id


async def test_devices_and_the_key_that_signs_pushes_move(
    driver: asyncpg.Connection[asyncpg.Record],
    world: World,
    owner: httpx.AsyncClient,
    config: Settings,
    runtime: Runtime,
) -> None:
    public, before = rules.new_push_key().public, runtime.vault
    there = {"endpoint": "https://push.example/abc", "keys": {"p256dh": public, "auth": "A" * 22}}
    runtime.caches.pop("web_push", None)
    runtime.vault = _vault(OLD)
    try:
        await subscribe(owner, there)
        key = await web_push_key(runtime)
        assert await execute(_config(config, RING), StringIO()) == 0
        runtime.vault = _vault(NEW)
        runtime.caches.pop("web_push")
        assert await web_push_key(runtime) == key
        async with world.work() as work:
            reach = ReachService(work)
            [device] = await reach.devices.own(world.owner.id)
            assert (await reach.target(device)).endpoint == there["endpoint"]
    finally:
        runtime.vault = before
        runtime.caches.pop("web_push", None)


async def test_what_the_application_writes_meanwhile_stays(
    driver: asyncpg.Connection[asyncpg.Record], world: World, runtime: Runtime
) -> None:
    await _endpoints(driver, world.tenant.id, 2000)
    written: dict[UUID, str] = {}

    async def write(number: int) -> None:
        async with world.work() as work:
            service = ConnectionService(work)
            row = await service.connections.of("openai")
            if row is None:
                row = await service.add(PROVIDERS["openai"], "Nova", {}, {"api_key": "k0"})
            else:
                row = await service.get(row.id, lock=True)
            service.seal(row, {"api_key": f"chave {number}"})
            written[row.id] = f"chave {number}"

    async def application() -> None:
        for number in range(60):
            await write(number)

    busy = asyncio.create_task(application())
    told = await reseal_all(runtime.database, _vault(RING), tables.SEALED)
    await busy
    assert told.unreadable == 0
    again = await reseal_all(runtime.database, _vault(RING), tables.SEALED)
    assert again.left == 0, "the application stopped writing with the old key"
    new = _vault(NEW)
    for connection, plain in written.items():
        envelope = await driver.fetchval("SELECT secret FROM connections WHERE id = $1", connection)
        context = f"connections:{world.tenant.id}:{connection}"
        assert new.decrypt(envelope, context) == f'{{"api_key":"{plain}"}}'


async def test_what_no_key_opens_is_said_and_does_not_stop_the_rest(
    driver: asyncpg.Connection[asyncpg.Record], world: World, config: Settings
) -> None:
    ids = list(await _endpoints(driver, world.tenant.id, 3))
    lost = _vault("t0:" + "C" * 43 + "=").encrypt(
        "x", f"webhook_endpoints:{world.tenant.id}:{ids[1]}"
    )
    await driver.execute("UPDATE webhook_endpoints SET secret = $1 WHERE id = $2", lost, ids[1])
    out = StringIO()
    assert await execute(_config(config, RING), out) == 1
    assert "sealed 2, 1 left" in out.getvalue()
    assert "1 rows open with no key of the ring" in out.getvalue()
    assert await _kids(driver) == {"t2": 2, "t0": 1}


async def test_a_secret_does_not_open_elsewhere(world: World) -> None:
    async with world.work() as work:
        service = ConnectionService(work)
        one = await service.add(PROVIDERS["openai"], "Uma", {}, {"api_key": "k-uma"})
        two = await service.add(PROVIDERS["openai"], "Outra", {}, {"api_key": "k-outra"})
        await service.connections.flush()
        await work.session.execute(
            update(Connection).where(Connection.id == two.id).values(secret=one.secret)
        )
    async with world.work() as work:
        service = ConnectionService(work)
        with pytest.raises(SecretUnreadable):
            service.opened(await service.get(two.id))


def test_whoever_seals_is_listed() -> None:
    """A slice that seals and is not in tables.SEALED loses its secrets with the next key."""
    sealing = {
        ".".join(source.name.split(".")[:3])
        for source in of_app()
        if "vault.encrypt(" in source.text and source.name != "app.core.crypto"
    }
    known = {sealed.table for sealed in tables.SEALED}
    listed = {
        ".".join(mapper.class_.__module__.split(".")[:3])
        for mapper in Model.registry.mappers
        if mapper.class_.__tablename__ in known
    }
    assert sealing <= listed, "declare core.crypto.Sealed for their columns in tables.SEALED"
