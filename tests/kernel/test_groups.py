"""Groups: what they grant, to whom, and that it counts at once."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import func, select

from app.kernel.groups.models import Group, GroupMember
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf

GROUPS = "/api/v1/admin/groups"
ROLES = "/api/v1/admin/users"


async def _make(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post(GROUPS, json={"name": "Balcão"} | body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _counts(world: World) -> tuple[int, int]:
    async with world.work() as work:
        groups = await work.session.scalar(select(func.count()).select_from(Group))
        members = await work.session.scalar(select(func.count()).select_from(GroupMember))
    return groups or 0, members or 0


async def test_create_read_change_delete(owner: httpx.AsyncClient, world: World) -> None:
    made = await _make(owner, grants=["commerce.orders:read", "commerce.orders:read"])
    assert made["grants"] == ["commerce.orders:read"]
    assert made["user_ids"] == []
    url = f"{GROUPS}/{made['id']}"
    assert (await owner.get(url)).json() == made
    renamed = await owner.patch(url, json={"name": "Cozinha"})
    assert renamed.json() == made | {"name": "Cozinha"}
    assert [g["id"] for g in (await owner.get(GROUPS)).json()["items"]] == [made["id"]]
    member = await world.member("agent")
    filled = await owner.put(f"{url}/members", json={"user_ids": [str(member.id)]})
    assert filled.json()["user_ids"] == [str(member.id)]
    assert (await owner.delete(url)).status_code == 204
    assert (await owner.get(url)).json()["code"] == "group-not-found"
    assert await _counts(world) == (0, 0)


async def test_unknown_grants_are_pointed_at(owner: httpx.AsyncClient, world: World) -> None:
    grants = ["commerce.orders:read", "commerce.orders:fly", "nothing", "*"]
    answer = await owner.post(GROUPS, json={"name": "Balcão", "grants": grants})
    assert answer.status_code == 422
    pointers = [e["pointer"] for e in answer.json()["errors"]]
    assert pointers == ["/body/grants/1", "/body/grants/2", "/body/grants/3"]
    assert await _counts(world) == (0, 0)


async def test_name_taken(owner: httpx.AsyncClient, world: World) -> None:
    await _make(owner)
    again = await owner.post(GROUPS, json={"name": " Balcão "})
    assert (again.status_code, again.json()["code"]) == (409, "group-name-taken")
    other = await _make(owner, name="Cozinha")
    renamed = await owner.patch(f"{GROUPS}/{other['id']}", json={"name": "Balcão"})
    assert renamed.json()["code"] == "group-name-taken"
    assert (await owner.get(f"{GROUPS}/{other['id']}")).json()["name"] == "Cozinha"
    assert await _counts(world) == (2, 0)


async def test_members_must_be_of_this_tenant(
    owner: httpx.AsyncClient, world: World, stranger: World
) -> None:
    made = await _make(owner)
    member = await world.member("agent")
    ids = [str(member.id), str(stranger.owner.id), str(uuid4())]
    answer = await owner.put(f"{GROUPS}/{made['id']}/members", json={"user_ids": ids})
    assert answer.status_code == 422
    pointers = [e["pointer"] for e in answer.json()["errors"]]
    assert pointers == ["/body/user_ids/1", "/body/user_ids/2"]
    assert await _counts(world) == (1, 0)


async def test_members_are_replaced(owner: httpx.AsyncClient, world: World) -> None:
    url = f"{GROUPS}/{(await _make(owner))['id']}/members"
    one, two, three = [str((await world.member("agent")).id) for _ in range(3)]
    await owner.put(url, json={"user_ids": [one, two]})
    answer = await owner.put(url, json={"user_ids": [two, three, three]})
    assert answer.json()["user_ids"] == [two, three]
    assert (await owner.put(url, json={"user_ids": []})).json()["user_ids"] == []
    assert await _counts(world) == (1, 0)


async def test_concurrent_replacements_leave_one_of_the_sets(
    owner: httpx.AsyncClient, world: World
) -> None:
    url = f"{GROUPS}/{(await _make(owner))['id']}/members"
    one, two, three = [str((await world.member("agent")).id) for _ in range(3)]
    sets = [[one], [two, three], [one, three], []] * 2
    answers = await asyncio.gather(*(owner.put(url, json={"user_ids": s}) for s in sets))
    assert {a.status_code for a in answers} == {200}
    left = (await owner.get(url.removesuffix("/members"))).json()["user_ids"]
    assert sorted(left) in [sorted(s) for s in sets]


async def test_grants_count_at_the_next_request_and_go_as_fast(
    owner: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    member = await world.member("agent")
    client = await client_of(world, member)
    made = await _make(owner, grants=["platform.users:read"])
    url = f"{GROUPS}/{made['id']}"
    assert (await client.get(ROLES)).status_code == 403
    await owner.put(f"{url}/members", json={"user_ids": [str(member.id)]})
    await asyncio.sleep(0.05)
    assert (await client.get(ROLES)).status_code == 200
    await owner.patch(url, json={"grants": []})
    await asyncio.sleep(0.05)
    assert (await client.get(ROLES)).status_code == 403
    await owner.patch(url, json={"grants": ["platform.users:read"]})
    await asyncio.sleep(0.05)
    assert (await client.get(ROLES)).status_code == 200
    await owner.delete(url)
    await asyncio.sleep(0.05)
    assert (await client.get(ROLES)).status_code == 403


async def test_nobody_grants_more_than_they_have(
    owner: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    member = await world.member("agent")
    keeper = await _make(owner, name="RH", grants=["platform.groups:write"])
    await owner.put(f"{GROUPS}/{keeper['id']}/members", json={"user_ids": [str(member.id)]})
    strong = await _make(owner, name="Fortes", grants=["platform.users:write"])
    await asyncio.sleep(0.05)
    client = await client_of(world, member)
    beyond = {"grants": ["platform.groups:write", "platform.users:write"]}
    for answer in (
        await client.post(GROUPS, json={"name": "Minha"} | beyond),
        await client.patch(f"{GROUPS}/{keeper['id']}", json=beyond),
        await client.put(f"{GROUPS}/{strong['id']}/members", json={"user_ids": [str(member.id)]}),
    ):
        assert answer.status_code == 403
        assert answer.json()["code"] == "grant-beyond-yours"
        assert answer.json()["grants"] == ["platform.users:write"]
    assert await _counts(world) == (2, 1)
    assert (await client.post(GROUPS, json={"name": "Vazia"})).status_code == 201


async def test_grants_and_strangers(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    made = await _make(owner, grants=["commerce.orders:read"])
    url = f"{GROUPS}/{made['id']}"
    agent = await client_of(world, await world.member("agent"))
    manager = await client_of(world, await world.member("manager"))
    assert (await agent.get(GROUPS)).status_code == 403
    assert (await agent.get(url)).status_code == 403
    assert (await manager.post(GROUPS, json={"name": "Outra"})).status_code == 403
    for client, status in ((manager, 403), (outsider, 404)):
        assert (await client.patch(url, json={"name": "Outra"})).status_code == status
        assert (await client.put(f"{url}/members", json={"user_ids": []})).status_code == status
        assert (await client.delete(url)).status_code == status
    assert (await outsider.get(url)).status_code == 404
    assert (await outsider.get(GROUPS)).json()["items"] == []
    assert (await owner.get(url)).json() == made
