"""The audit trail: complete, filterable, and nobody's to change."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import httpx
import pytest

from app.core.clock import now
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf

AUDIT = "/api/v1/admin/audit"
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
