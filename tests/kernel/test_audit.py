"""The audit trail: complete, filterable, and nobody's to change."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta

import asyncpg
import httpx
import pytest

from app.core.clock import now
from app.kernel.audit import service
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf

AUDIT = "/api/v1/admin/audit"
EXPORT, OWN = "/api/v1/admin/audit/export", "/api/v1/user/audit-logs"
GROUPS = "/api/v1/admin/groups"


async def test_filters_and_pages(owner: httpx.AsyncClient, world: World) -> None:
    start = now()
    ids = [(await owner.post(GROUPS, json={"name": f"G{i}"})).json()["id"] for i in range(3)]
    await owner.delete(f"{GROUPS}/{ids[0]}")

    async def found(**params: str) -> list[tuple[str, str]]:
        answer = await owner.get(AUDIT, params=params)
        assert answer.status_code == 200, answer.text
        return [(e["action"], e["resource_id"]) for e in answer.json()["items"]]

    created = [("group.created", i) for i in reversed(ids)]
    assert await found(action="group.created") == created
    assert await found(resource="group") == [("group.deleted", ids[0]), *created]
    assert await found(resource_id=ids[0]) == [("group.deleted", ids[0]), created[-1]]
    assert len(await found(actor_id=str(world.owner.id))) == 4
    assert await found(actor_id=ids[0]) == []
    later = (now() + timedelta(seconds=5)).isoformat()
    assert len(await found(**{"from": start.isoformat(), "to": later})) == 4
    assert await found(**{"from": later}) == []
    assert await found(to=(start - timedelta(hours=1)).isoformat()) == []

    first = (await owner.get(AUDIT, params={"limit": "3"})).json()
    rest = (await owner.get(AUDIT, params={"cursor": first["next_cursor"]})).json()
    assert len(first["items"]) == 3
    assert [e["resource_id"] for e in rest["items"]] == [ids[0]]
    assert rest["next_cursor"] is None


async def test_entry_says_who_from_where(owner: httpx.AsyncClient, world: World) -> None:
    made = await owner.post(
        GROUPS,
        json={"name": "Balcão", "grants": ["commerce.orders:read"]},
        headers={"X-Request-Id": "req-from-the-till-1", "User-Agent": "Till/7"},
    )
    entry = (await owner.get(AUDIT)).json()["items"][0]
    assert entry["actor_kind"] == "user"
    assert entry["actor_id"] == str(world.owner.id)
    assert entry["actor_name"] == world.owner.email
    assert entry["request_id"] == "req-from-the-till-1"
    assert entry["user_agent"] == "Till/7"
    assert entry["ip"] == "127.0.0.1"
    assert entry["resource_id"] == made.json()["id"]
    assert entry["facts"] == {"after": {"name": "Balcão", "grants": ["commerce.orders:read"]}}


async def test_bad_filters(owner: httpx.AsyncClient) -> None:
    for params in ({"from": "yesterday"}, {"from": "2026-01-01T00:00:00"}, {"actor_id": "me"}):
        assert (await owner.get(AUDIT, params=params)).status_code == 422


async def test_grant_and_stranger(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    made = (await owner.post(GROUPS, json={"name": "Balcão"})).json()
    agent = await client_of(world, await world.member("agent"))
    assert (await agent.get(AUDIT)).json()["code"] == "action-not-allowed"
    seen = (await outsider.get(AUDIT, params={"resource_id": made["id"]})).json()
    assert seen["items"] == []


async def test_own_part_of_the_trail(
    owner: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    await owner.post(GROUPS, json={"name": "Balcão"})
    agent = await client_of(world, await world.member("agent"))
    assert (await agent.get(OWN)).json()["items"] == []
    await agent.patch("/api/v1/user/profile", json={"name": "Marina"})
    await agent.put("/api/v1/user/status", json={"status": "away"})
    found = (await agent.get(OWN, params={"limit": "1"})).json()
    assert [e["action"] for e in found["items"]] == ["platform.agent_status_changed"]
    rest = (await agent.get(OWN, params={"cursor": found["next_cursor"]})).json()
    assert [e["action"] for e in rest["items"]] == ["user.profile_updated"]
    named = (await agent.get(OWN, params={"action": "user.profile_updated"})).json()
    assert named["items"] == rest["items"]
    later = (now() + timedelta(seconds=5)).isoformat()
    assert (await agent.get(OWN, params={"from": later})).json()["items"] == []
    mine = (await owner.get(OWN)).json()["items"]
    assert [e["action"] for e in mine] == ["group.created"]


def _table(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def test_export_holds_all_that_matches(
    owner: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_BATCH", 2)
    evil = {"User-Agent": '=HYPERLINK("https://evil.example")'}
    for name in ("A", 'B, "o balcão"', "C\nD", "E", "F"):
        await owner.post(GROUPS, json={"name": name}, headers=evil)
    rows = _table(await owner.get(EXPORT, params={"action": "group.created"}))
    names = [json.loads(row["facts"])["after"]["name"] for row in rows]
    assert names == ["F", "E", "C\nD", 'B, "o balcão"', "A"]
    assert {row["user_agent"] for row in rows} == {"'" + evil["User-Agent"]}
    assert {row["actor_id"] for row in rows} == {str(world.owner.id)}
    everything = _table(await owner.get(EXPORT))
    assert [row["action"] for row in everything[:2]] == ["audit.exported"] * 2
    assert len(everything) == 7
    later = (now() + timedelta(seconds=5)).isoformat()
    assert _table(await owner.get(EXPORT, params={"from": later})) == []


async def test_export_is_for_who_may_read_and_of_one_tenant(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    await owner.post(GROUPS, json={"name": "Balcão"})
    agent = await client_of(world, await world.member("agent"))
    assert (await agent.get(EXPORT)).json()["code"] == "action-not-allowed"
    assert (await owner.get(EXPORT, params={"from": "yesterday"})).status_code == 422
    assert [row["action"] for row in _table(await outsider.get(EXPORT))] == ["audit.exported"]
    trail = (await owner.get(AUDIT)).json()["items"]
    assert [e["action"] for e in trail] == ["group.created"], "a refused export is none"


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_entries SET actor_name = 'nobody'", "DELETE FROM audit_entries"],
)
async def test_not_even_the_owner_of_the_table_edits_the_trail(
    owner: httpx.AsyncClient, world: World, statement: str
) -> None:
    await owner.post(GROUPS, json={"name": "Balcão"})
    before = (await owner.get(AUDIT)).json()
    async with world.runtime.database.system_driver() as driver:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await driver.execute(f"{statement} WHERE tenant_id = $1", world.tenant.id)
    assert (await owner.get(AUDIT)).json() == before


@pytest.mark.parametrize(
    "table", ["audit_entries", "stock_movements", "order_status_changes", "stream_events"]
)
async def test_append_only_is_a_matter_of_grants(world: World, table: str) -> None:
    for statement in (
        f"UPDATE {table} SET created_at = now()",  # noqa: S608 - our own table names
        f"DELETE FROM {table}",  # noqa: S608 - our own table names
        f"TRUNCATE {table}",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with world.work() as work:
                await (await work.raw()).execute(statement)
