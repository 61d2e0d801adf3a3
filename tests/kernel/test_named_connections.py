"""Several connections per provider: named, one the default, filtered by what they are for."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select

from app.kernel.audit.models import AuditEntry
from app.kernel.connections.models import Connection
from app.kernel.connections.rules import PROVIDERS
from app.kernel.connections.service import MOST, ConnectionService, Credentials
from tests.factories.commerce import key
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf

ROOT, AI = "/api/v1/connections", "/api/v1/ai/connections"
SECRET = "sk-a-very-secret-key"


def body(name: str = "OpenAI da loja", provider: str = "openai", **more: Any) -> dict[str, Any]:
    return {"provider": provider, "name": name, "secret": {"api_key": SECRET}} | more


async def made(client: httpx.AsyncClient, path: str = AI, **fields: Any) -> Any:
    answer = await client.post(path, json=body(**fields), headers=key())
    assert answer.status_code == 201, answer.text
    return answer.json()


async def content(world: World) -> Any:
    async with world.work() as work:
        rows = await work.session.execute(select(Connection.__table__).order_by(Connection.id))
        return rows.all()


async def default(world: World, purpose: str) -> Credentials | None:
    async with world.work() as work:
        return await ConnectionService(work).default(purpose)


async def test_create_read_change_and_delete_without_showing_the_secret(
    owner: httpx.AsyncClient, world: World
) -> None:
    one = await made(owner, ROOT, config={"model": "gpt-5-mini"})
    assert (one["kind"], one["status"], one["is_default"]) == ("ai", "active", True)
    read = await owner.get(f"{ROOT}/{one['id']}")
    assert read.json() == one
    changed = await owner.patch(f"{ROOT}/{one['id']}", json={"name": "Outro nome"})
    assert changed.json() == one | {"name": "Outro nome"}
    found = await default(world, "ai")
    assert found is not None
    assert found.values == {"model": "gpt-5-mini", "api_key": SECRET}
    renewed = await owner.patch(f"{ROOT}/{one['id']}", json={"secret": {"api_key": "sk-another"}})
    assert renewed.status_code == 200
    found = await default(world, "ai")
    assert found is not None
    assert found.values["api_key"] == "sk-another"
    assert "sk-another" not in repr(found)
    audit = await owner.get("/api/v1/admin/audit")
    actions = [e["action"] for e in audit.json()["items"]]
    assert actions == ["connection.updated", "connection.updated", "connection.created"]
    for text in (read.text, changed.text, renewed.text, audit.text, (await owner.get(ROOT)).text):
        assert SECRET not in text
        assert "sk-another" not in text
    assert (await owner.delete(f"{ROOT}/{one['id']}")).status_code == 204
    assert (await owner.get(f"{ROOT}/{one['id']}")).status_code == 404
    assert await default(world, "ai") is None


async def test_one_default_per_purpose(owner: httpx.AsyncClient, world: World) -> None:
    first = await made(owner, name="Primeira")
    second = await made(owner, name="Segunda", provider="anthropic")
    third = await made(owner, name="Terceira", provider="gemini", is_default=True)
    other = await owner.post(
        ROOT,
        json={
            "provider": "clicksign",
            "name": "ClickSign",
            "config": {"environment": "sandbox"},
            "secret": {"access_token": "clicksign-token"},
        },
        headers=key(),
    )
    assert other.json()["is_default"] is True, "another purpose has a default of its own"

    async def defaults() -> list[str]:
        return [c["name"] for c in (await owner.get(AI)).json() if c["is_default"]]

    assert await defaults() == ["Terceira"]
    await owner.patch(f"{AI}/{second['id']}", json={"is_default": True})
    assert await defaults() == ["Segunda"]
    found = await default(world, "ai")
    assert found is not None
    assert (found.provider, found.id) == ("anthropic", UUID(second["id"]))
    await owner.patch(f"{AI}/{second['id']}", json={"is_enabled": False})
    found = await default(world, "ai")
    assert found is not None
    assert found.name == "Primeira", "one that is switched off serves nobody"
    assert (await owner.delete(f"{AI}/{second['id']}")).status_code == 204
    assert await defaults() == ["Primeira"], "the oldest takes its place"
    assert {first["id"], third["id"]} == {c["id"] for c in (await owner.get(AI)).json()}


async def test_two_who_prefer_at_once_leave_one_default(
    owner: httpx.AsyncClient, world: World
) -> None:
    ids = [(await made(owner, name=f"Nome {n}"))["id"] for n in range(4)]
    answers = await asyncio.gather(
        *(owner.patch(f"{AI}/{i}", json={"is_default": True}) for i in ids)
    )
    assert {a.status_code for a in answers} == {200}
    assert sum(c["is_default"] for c in (await owner.get(AI)).json()) == 1


async def test_creating_again_with_the_same_key_creates_once(
    owner: httpx.AsyncClient, world: World
) -> None:
    again = key()
    answers = [await owner.post(AI, json=body(), headers=again) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(await content(world)) == 1


async def test_refusals_change_nothing(owner: httpx.AsyncClient, world: World) -> None:
    taken = await made(owner)
    other = await made(owner, name="Outra")
    before = await content(world)
    refused = [
        (await owner.post(ROOT, json=body(), headers=key()), 409, "connection-name-taken"),
        (
            await owner.patch(f"{ROOT}/{other['id']}", json={"name": taken["name"]}),
            409,
            "connection-name-taken",
        ),
        (
            await owner.post(ROOT, json=body(provider="fax"), headers=key()),
            404,
            "unknown-provider",
        ),
        (
            await owner.post(AI, json=body(provider="clicksign"), headers=key()),
            404,
            "unknown-provider",
        ),
        (
            await owner.post(ROOT, json=body(provider="google"), headers=key()),
            409,
            "connected-by-consent",
        ),
        (
            await owner.put("/api/v1/admin/connections/google", json={"config": {}, "secret": {}}),
            409,
            "connected-by-consent",
        ),
        (await owner.post(ROOT, json=body(secret={}), headers=key()), 422, "invalid-request"),
        (
            await owner.post(ROOT, json=body(config={"typo": "x"}), headers=key()),
            422,
            "invalid-request",
        ),
        (
            await owner.patch(f"{ROOT}/{other['id']}", json={"is_default": False}),
            422,
            "invalid-request",
        ),
    ]
    for answer, status, code in refused:
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert SECRET not in answer.text
    assert await content(world) == before


@pytest.mark.parametrize(
    "url", ["http://10.0.0.5/v1", "https://169.254.169.254/v1", "ftp://models.example/v1", "x"]
)
async def test_an_address_inside_is_refused(
    owner: httpx.AsyncClient, world: World, url: str
) -> None:
    asked = body(provider="openai-compatible", config={"base_url": url, "model": "m"})
    answer = await owner.post(ROOT, json=asked, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (422, "provider-url-refused")
    put = await owner.put(
        "/api/v1/admin/connections/openai-compatible",
        json={"config": {"base_url": url, "model": "m"}, "secret": {"api_key": SECRET}},
    )
    assert (put.status_code, put.json()["code"]) == (422, "provider-url-refused")
    assert await content(world) == []


async def test_a_stored_key_follows_to_no_other_address(
    owner: httpx.AsyncClient, world: World
) -> None:
    one = await made(
        owner,
        provider="openai-compatible",
        config={"base_url": "https://models.example/v1", "model": "m"},
    )
    before = await content(world)
    elsewhere = {"config": {"base_url": "https://collector.example/v1", "model": "m"}}
    for answer in (
        await owner.patch(f"{ROOT}/{one['id']}", json=elsewhere),
        await owner.put("/api/v1/admin/connections/openai-compatible", json=elsewhere),
    ):
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/body/secret"
    assert await content(world) == before
    moved = await owner.patch(
        f"{ROOT}/{one['id']}", json=elsewhere | {"secret": {"api_key": "key-of-that-place"}}
    )
    assert moved.json()["config"] == elsewhere["config"]


async def test_there_is_an_end_to_connections(owner: httpx.AsyncClient, world: World) -> None:
    async with world.work() as work:
        service = ConnectionService(work)
        for number in range(MOST):
            await service.add(PROVIDERS["openai"], f"n{number}", {}, {"api_key": SECRET})
    full = await owner.post(ROOT, json=body(), headers=key())
    assert (full.status_code, full.json()["code"]) == (409, "too-many-connections")
    assert len(await content(world)) == MOST


async def test_kinds_are_kept_apart(owner: httpx.AsyncClient, world: World) -> None:
    ai = await made(owner)
    put = await owner.put(
        "/api/v1/admin/connections/stripe",
        json={"config": {}, "secret": {"api_key": "sk_test_12345678"}},
    )
    stripe = put.json()["connection_id"]
    before = await content(world)
    for answer in (
        await owner.patch(f"{AI}/{stripe}", json={"is_enabled": False}),
        await owner.delete(f"{AI}/{stripe}"),
        await owner.post(f"{AI}/{stripe}/test"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "connection-not-found")
    assert await content(world) == before
    assert [c["id"] for c in (await owner.get(ROOT, params={"kind": "ai"})).json()] == [ai["id"]]
    only = await owner.get(ROOT, params={"provider": "stripe"})
    assert [c["id"] for c in only.json()] == [stripe]
    assert (await owner.get(ROOT, params={"provider": "fax"})).json() == []
    async with world.work() as work:
        service = ConnectionService(work)
        assert await service.usable(UUID(ai["id"]), "ai") is not None
        assert await service.usable(UUID(stripe), "ai") is None


async def test_strangers_and_grants(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    one = await made(owner)
    manager = await client_of(world, await world.member("manager"))
    agent = await client_of(world, await world.member("agent"))
    before = await content(world)
    for client, status in ((outsider, 404), (manager, 403)):
        for root in (ROOT, AI):
            path = f"{root}/{one['id']}"
            for answer in (
                await client.patch(path, json={"name": "Meu"}),
                await client.delete(path),
                await client.post(f"{path}/test"),
            ):
                assert answer.status_code == status, answer.text
    assert (await manager.post(ROOT, json=body(name="x"), headers=key())).status_code == 403
    assert (await manager.get(f"{ROOT}/{one['id']}")).status_code == 200
    assert (await outsider.get(f"{ROOT}/{one['id']}")).status_code == 404
    assert (await outsider.get(ROOT)).json() == []
    for path in (ROOT, AI, "/api/v1/integrations", "/api/v1/signature-providers"):
        assert (await agent.get(path)).status_code == 403
    assert await content(world) == before


async def test_the_registry_says_what_each_provider_needs(owner: httpx.AsyncClient) -> None:
    listed = {p["provider"]: p for p in (await owner.get(f"{ROOT}/providers")).json()}
    assert set(listed) == set(PROVIDERS)
    zoom = listed["zoom"]
    assert zoom["config_schema"]["required"] == ["account_id", "client_id"]
    assert zoom["secret_schema"]["required"] == ["client_secret"]
    assert {name for name, p in listed.items() if p["by_consent"]} == {
        "google",
        "microsoft",
        "hubspot",
    }
    signing = (await owner.get("/api/v1/signature-providers")).json()
    assert [p["provider"] for p in signing] == ["clicksign", "docusign"]
    one = await owner.get("/api/v1/signature-providers/docusign")
    assert one.json() == signing[1]
    assert (await owner.get("/api/v1/signature-providers/openai")).status_code == 404


async def test_what_is_told_counts_as_audit_once(owner: httpx.AsyncClient, world: World) -> None:
    one = await made(owner)
    await owner.delete(f"{ROOT}/{one['id']}")
    async with world.work() as work:
        told = await work.session.scalar(
            select(func.count()).where(AuditEntry.resource_id == UUID(one["id"]))
        )
    assert told == 2
