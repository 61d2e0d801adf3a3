"""Access tokens: renewed before they end, once for everybody, and never lost on the way."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update

from app.core.clock import now
from app.kernel.connections.models import Connection
from app.kernel.connections.problems import (
    ConnectionDisabled,
    ConnectionExpired,
    ConnectionNotFound,
    ProviderFailed,
    TakesKeys,
)
from app.kernel.connections.service import ConnectionService
from app.kernel.connections.tokens import AccessToken, token_for
from scripts.local.environment import connected as sandboxed
from tests.architecture.sources import ROOT as FOLDER
from tests.factories.tenants import World
from tests.kernel.consent import ROOT, connected
from tests.sandbox.server import SandboxServer, until


async def _renewals(sandbox: SandboxServer, vendor: str) -> int:
    found = await sandbox.requests(vendor=vendor)
    return sum(entry["preview"] == "refresh_token" for entry in found)


async def _row(world: World) -> Connection:
    async with world.work() as work:
        return (await work.session.scalars(select(Connection))).one()


async def _held(world: World) -> dict[str, str]:
    async with world.work() as work:
        row = (await work.session.scalars(select(Connection))).one()
        return ConnectionService(work).opened(row)


async def _outlived(owner: httpx.AsyncClient, sandbox: SandboxServer, vendor: str) -> UUID:
    """A connection whose token ends within the margin; renewed ones live an hour."""
    await sandbox.put(vendor, expires_in=5)
    made = await connected(owner, sandbox, vendor)
    await sandbox.put(vendor, expires_in=3600)
    return UUID(made["id"])


async def test_a_fresh_token_is_handed_out_as_it_is(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer
) -> None:
    made = await connected(owner, vendors, "google")
    token = await token_for(world.work, UUID(made["id"]))
    assert token.value == (await _held(world))["access_token"]
    assert token.account_id == "1001"
    assert token.scopes == tuple(made["scopes"])
    assert await _renewals(vendors, "google") == 0


@pytest.mark.parametrize("vendor", ["google", "microsoft", "hubspot"])
async def test_twenty_callers_make_one_renewal(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer, vendor: str
) -> None:
    connection = await _outlived(owner, vendors, vendor)
    before = await _held(world)
    await vendors.put(f"{vendor}/knobs", latency_ms=200)
    found = await asyncio.gather(*(token_for(world.work, connection) for _ in range(20)))
    assert await _renewals(vendors, vendor) == 1
    after = await _held(world)
    assert {token.value for token in found} == {after["access_token"]}
    assert after["access_token"] != before["access_token"]
    rotates = vendor == "microsoft"
    assert (after["refresh_token"] != before["refresh_token"]) == rotates
    row = await _row(world)
    assert (row.status, row.refresh_until) == ("active", None)
    assert row.token_expires_at is not None
    assert row.token_expires_at > now() + timedelta(minutes=50)


async def test_two_processes_make_one_renewal(
    owner: httpx.AsyncClient,
    world: World,
    vendors: SandboxServer,
    environment: dict[str, str],
) -> None:
    connection = await _outlived(owner, vendors, "microsoft")
    await vendors.put("microsoft/knobs", latency_ms=400)
    command = [sys.executable, "-m", "tests.kernel.token_runner"]
    arguments = [str(world.tenant.id), str(connection), "20"]
    running = [
        await asyncio.create_subprocess_exec(
            *command,
            *arguments,
            cwd=FOLDER,
            env={**environment, **sandboxed(vendors.url)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for process in running:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    told = await asyncio.gather(*(process.communicate(b"go\n") for process in running))
    assert [process.returncode for process in running] == [0, 0]
    tokens = [token for output, _ in told for token in json.loads(output)]
    assert len(tokens) == 40
    assert set(tokens) == {(await _held(world))["access_token"]}
    assert await _renewals(vendors, "microsoft") == 1


async def test_rotation_goes_on_and_on(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer
) -> None:
    connection = await _outlived(owner, vendors, "microsoft")
    seen = set()
    for _ in range(4):
        async with world.work() as work:
            await work.session.execute(update(Connection).values(token_expires_at=now()))
        seen.add((await token_for(world.work, connection)).value)
    assert len(seen) == 4
    assert await _renewals(vendors, "microsoft") == 4


@pytest.mark.parametrize("vendor", ["google", "microsoft", "hubspot"])
async def test_a_withdrawn_consent_expires_the_connection(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer, vendor: str
) -> None:
    connection = await _outlived(owner, vendors, vendor)
    await vendors.put(vendor, ended=["1001"])
    for _ in range(2):
        with pytest.raises(ConnectionExpired):
            await token_for(world.work, connection)
    assert await _renewals(vendors, vendor) == 1, "an ended consent is not asked again"
    shown = (await owner.get(f"{ROOT}/{connection}")).json()
    assert shown["status"] == "expired"
    assert "connect the account again" in shown["status_reason"]
    actions = [e["action"] for e in (await owner.get("/api/v1/admin/audit")).json()["items"]]
    assert actions[0] == "platform.connection_expired"
    await vendors.put(vendor, ended=[])
    again = await connected(owner, vendors, vendor)
    assert (again["id"], again["status"]) == (str(connection), "active")
    assert (await token_for(world.work, connection)).value


@pytest.mark.parametrize("knobs", [{"error": {"code": "http-503"}}, {"drop_answer": 1}])
async def test_a_vendor_that_fails_once_costs_nothing(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer, knobs: dict[str, Any]
) -> None:
    connection = await _outlived(owner, vendors, "google")
    before = await _held(world)
    await vendors.put("google/knobs", **knobs)
    with pytest.raises(ProviderFailed):
        await token_for(world.work, connection)
    row = await _row(world)
    assert (row.status, row.refresh_until) == ("active", None)
    assert await _held(world) == before
    await vendors.put("google/knobs")
    assert (await token_for(world.work, connection)).value != before["access_token"]


async def test_a_wrong_registration_is_an_error_to_look_at(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer
) -> None:
    connection = await _outlived(owner, vendors, "google")
    await vendors.put("google/knobs", error={"code": "2"})
    with pytest.raises(ProviderFailed, match="invalid_client"):
        await token_for(world.work, connection)
    row = await _row(world)
    assert (row.status, row.refresh_until) == ("error", None)


async def test_who_goes_away_takes_no_token_along(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer
) -> None:
    connection = await _outlived(owner, vendors, "microsoft")
    before = await _held(world)
    await vendors.put("microsoft/knobs", latency_ms=300)
    asking = asyncio.create_task(token_for(world.work, connection))

    async def sent() -> bool:
        return await _renewals(vendors, "microsoft") == 1

    await until(sent)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    async def stored() -> bool:
        return await _held(world) != before

    await until(stored)
    await vendors.put("microsoft/knobs")
    after = await token_for(world.work, connection)
    assert after.value == (await _held(world))["access_token"]
    assert await _renewals(vendors, "microsoft") == 1


async def test_a_lease_whose_owner_died_is_taken_over(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer
) -> None:
    connection = await _outlived(owner, vendors, "google")
    async with world.work() as work:
        dead = now() + timedelta(seconds=0.6)
        await work.session.execute(update(Connection).values(refresh_until=dead))
    asking = asyncio.create_task(token_for(world.work, connection))
    await asyncio.sleep(0.2)
    assert await _renewals(vendors, "google") == 0, "somebody else holds the lease"
    assert (await asking).value == (await _held(world))["access_token"]
    assert await _renewals(vendors, "google") == 1


async def test_a_refused_token_is_renewed_once(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer
) -> None:
    made = await connected(owner, vendors, "google")
    connection = UUID(made["id"])
    old = (await token_for(world.work, connection)).value
    found = await asyncio.gather(
        *(token_for(world.work, connection, refused=old) for _ in range(5))
    )
    assert len({token.value for token in found} | {old}) == 2
    assert await _renewals(vendors, "google") == 1


async def test_what_has_no_token(
    owner: httpx.AsyncClient, world: World, stranger: World, vendors: SandboxServer
) -> None:
    made = await connected(owner, vendors, "google")
    connection = UUID(made["id"])
    with pytest.raises(ConnectionNotFound):
        await token_for(stranger.work, connection)
    await owner.patch(f"{ROOT}/{connection}", json={"is_enabled": False})
    with pytest.raises(ConnectionDisabled):
        await token_for(world.work, connection)
    bot = await owner.put(
        "/api/v1/admin/connections/telegram",
        json={"config": {"chat_id": "42"}, "secret": {"bot_token": "7001:AAHsecret"}},
    )
    with pytest.raises(TakesKeys):
        await token_for(world.work, UUID(bot.json()["connection_id"]))


def test_a_token_is_not_shown_by_accident() -> None:
    assert "secret" not in repr(AccessToken("secret", now(), (), None))
