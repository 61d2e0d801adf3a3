"""Connections: credentials go in, work for jobs, and never come out."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from app.core.crypto import SecretUnreadable
from app.kernel.audit.models import AuditEntry
from app.kernel.connections.models import Connection
from app.kernel.connections.service import ConnectionService
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf

CONNECTIONS = "/api/v1/admin/connections"
SECRET = "EAAG-a-very-secret-token"
BODY: dict[str, Any] = {
    "config": {"phone_number_id": "106540352242922"},
    "secret": {"access_token": SECRET},
}


async def _credentials(world: World, provider: str = "whatsapp") -> dict[str, str] | None:
    async with world.work() as work:
        return await ConnectionService(work).credentials(provider)


async def _rows(world: World) -> int:
    async with world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(Connection)) or 0


async def test_put_list_use_delete_without_showing_secrets(
    owner: httpx.AsyncClient, world: World
) -> None:
    before = (await owner.get(CONNECTIONS)).json()
    assert [(c["provider"], c["is_connected"]) for c in before if c["kind"] == "messaging"] == [
        ("telegram", False),
        ("whatsapp", False),
    ]
    put = await owner.put(f"{CONNECTIONS}/whatsapp", json=BODY)
    assert put.status_code == 200, put.text
    assert put.json()["config"] == BODY["config"]
    assert put.json()["is_enabled"] is True
    listed = await owner.get(CONNECTIONS)
    audit = await owner.get("/api/v1/admin/audit")
    assert audit.json()["items"][0]["action"] == "connection.put"
    async with world.work() as work:
        sealed = (await work.session.execute(select(Connection.secret))).scalar_one()
    for text in (put.text, listed.text, audit.text, sealed):
        assert SECRET not in text
    assert sealed not in put.text + listed.text + audit.text
    assert await _credentials(world) == {
        "phone_number_id": "106540352242922",
        "access_token": SECRET,
    }

    assert (await owner.delete(f"{CONNECTIONS}/whatsapp")).status_code == 204
    assert await _credentials(world) is None
    gone = await owner.delete(f"{CONNECTIONS}/whatsapp")
    assert (gone.status_code, gone.json()["code"]) == (404, "connection-not-found")


async def test_secret_left_out_stays(owner: httpx.AsyncClient, world: World) -> None:
    await owner.put(f"{CONNECTIONS}/whatsapp", json=BODY)
    kept = await owner.put(
        f"{CONNECTIONS}/whatsapp", json={"config": {"phone_number_id": "99887766"}}
    )
    assert kept.json()["config"] == {"phone_number_id": "99887766"}
    assert await _credentials(world) == {"phone_number_id": "99887766", "access_token": SECRET}
    off = await owner.put(f"{CONNECTIONS}/whatsapp", json=BODY | {"is_enabled": False})
    assert off.json()["is_enabled"] is False
    assert await _credentials(world) is None


@pytest.mark.parametrize(
    ("provider", "body", "pointer"),
    [
        ("whatsapp", {"config": BODY["config"]}, "/body/secret"),
        ("whatsapp", BODY | {"config": {}}, "/body/config/phone_number_id"),
        ("whatsapp", BODY | {"config": {"phone_number_id": "abc"}}, "/body/config/phone_number_id"),
        ("whatsapp", BODY | {"secret": {}}, "/body/secret/access_token"),
        ("whatsapp", BODY | {"secret": {"access_token": "short"}}, "/body/secret/access_token"),
        ("whatsapp", BODY | {"secret": {"access_token": f"{SECRET} \n"}}, None),
        ("telegram", BODY, "/body/config/chat_id"),
        ("whatsapp", {"config": [SECRET]}, "/body/config"),
        ("whatsapp", BODY | {"secret": {"access_token": [SECRET]}}, "/body/secret/access_token"),
    ],
)
async def test_bad_bodies_are_pointed_at_and_never_echoed(
    owner: httpx.AsyncClient, world: World, provider: str, body: dict[str, Any], pointer: str | None
) -> None:
    answer = await owner.put(f"{CONNECTIONS}/{provider}", json=body)
    if pointer is None:
        assert answer.status_code == 200, "surrounding white space is not part of a token"
        return
    assert answer.status_code == 422
    assert pointer in [e["pointer"] for e in answer.json()["errors"]]
    assert SECRET not in answer.text
    assert await _rows(world) == 0


async def test_unknown_provider(owner: httpx.AsyncClient, world: World) -> None:
    for answer in (
        await owner.put(f"{CONNECTIONS}/fax", json=BODY),
        await owner.delete(f"{CONNECTIONS}/fax"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown-provider")
    assert await _rows(world) == 0


async def test_concurrent_puts_make_one_connection(owner: httpx.AsyncClient, world: World) -> None:
    answers = await asyncio.gather(
        *(owner.put(f"{CONNECTIONS}/whatsapp", json=BODY) for _ in range(6))
    )
    assert {a.status_code for a in answers} == {200}
    assert await _rows(world) == 1


async def test_secret_opens_only_in_its_own_row(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, stranger: World
) -> None:
    await owner.put(f"{CONNECTIONS}/whatsapp", json=BODY)
    await outsider.put(
        f"{CONNECTIONS}/whatsapp", json=BODY | {"secret": {"access_token": "another-token"}}
    )
    async with world.work() as work:
        stolen = (await work.session.execute(select(Connection.secret))).scalar_one()
    async with stranger.work() as work:
        (await work.session.execute(select(Connection))).scalar_one().secret = stolen
    with pytest.raises(SecretUnreadable):
        await _credentials(stranger)


async def test_grants_and_strangers(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    await owner.put(f"{CONNECTIONS}/whatsapp", json=BODY)
    agent = await client_of(world, await world.member("agent"))
    manager = await client_of(world, await world.member("manager"))
    assert (await agent.get(CONNECTIONS)).status_code == 403
    assert (await manager.get(CONNECTIONS)).status_code == 200
    assert (await manager.put(f"{CONNECTIONS}/whatsapp", json=BODY)).status_code == 403
    assert (await manager.delete(f"{CONNECTIONS}/whatsapp")).status_code == 403
    seen = (await outsider.get(CONNECTIONS)).json()
    assert not any(c["is_connected"] for c in seen)
    assert (await outsider.delete(f"{CONNECTIONS}/whatsapp")).status_code == 404
    assert await _credentials(world) is not None
    async with world.work() as work:
        puts = await work.session.scalar(
            select(func.count()).where(AuditEntry.action == "connection.put")
        )
    assert puts == 1
