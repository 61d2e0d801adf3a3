"""Departments: names are unique, members are the tenant's, nothing is granted by them."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import func, select

from app.kernel.audit.models import AuditEntry
from app.kernel.departments.models import Department, DepartmentMember
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf

DEPARTMENTS = "/api/v1/admin/departments"


async def _make(client: httpx.AsyncClient, name: str = "Entregas", **other: Any) -> str:
    answer = await client.post(DEPARTMENTS, json={"name": name} | other)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def _count(world: World, model: type) -> int:
    async with world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(model)) or 0


async def _told(world: World) -> list[str]:
    async with world.work() as work:
        statement = select(AuditEntry.action).order_by(AuditEntry.id)
        return list((await work.session.scalars(statement)).all())


async def test_life_of_a_department(owner: httpx.AsyncClient, world: World) -> None:
    made = await _make(owner, description="Motoboys")
    url = f"{DEPARTMENTS}/{made}"
    found = (await owner.get(url)).json()
    assert (found["name"], found["description"], found["user_ids"]) == ("Entregas", "Motoboys", [])
    renamed = (await owner.patch(url, json={"name": "Retirada"})).json()
    assert (renamed["name"], renamed["description"]) == ("Retirada", "Motoboys")
    assert (await owner.patch(url, json={"description": None})).json()["description"] is None
    await owner.patch(url, json={"name": "Retirada"})
    other = await _make(owner, "Cozinha")
    assert [d["id"] for d in (await owner.get(DEPARTMENTS)).json()["items"]] == [other, made]
    assert (await owner.delete(url)).status_code == 204
    gone = await owner.get(url)
    assert (gone.status_code, gone.json()["code"]) == (404, "department-not-found")
    verbs = ["created", "updated", "updated", "created", "deleted"]
    assert await _told(world) == [f"department.{verb}" for verb in verbs]


async def test_members(owner: httpx.AsyncClient, world: World) -> None:
    url = f"{DEPARTMENTS}/{await _make(owner)}"
    people = [str((await world.member("agent")).id) for _ in range(3)]

    async def put(*ids: str) -> Any:
        answer = await owner.put(f"{url}/members", json={"user_ids": ids})
        assert answer.status_code == 200, answer.text
        return answer.json()["user_ids"]

    assert await put(people[0], people[1], people[0]) == people[:2]
    assert await put(people[2], people[1]) == people[1:]
    told = len(await _told(world))
    assert await put(people[1], people[2]) == people[1:]
    assert len(await _told(world)) == told, "nothing changed, nothing told"
    assert await put() == []
    await put(people[0])
    await owner.delete(url)
    assert await _count(world, DepartmentMember) == 0


async def test_strangers_are_no_members(
    owner: httpx.AsyncClient, world: World, stranger: World
) -> None:
    url = f"{DEPARTMENTS}/{await _make(owner)}/members"
    ids = [str(world.owner.id), str(stranger.owner.id), str(uuid4())]
    refused = await owner.put(url, json={"user_ids": ids})
    assert refused.status_code == 422
    pointers = [e["pointer"] for e in refused.json()["errors"]]
    assert pointers == ["/body/user_ids/1", "/body/user_ids/2"]
    assert await _count(world, DepartmentMember) == 0


async def test_names_are_unique_also_at_once(owner: httpx.AsyncClient, world: World) -> None:
    answers = await asyncio.gather(
        *(owner.post(DEPARTMENTS, json={"name": "Entregas"}) for _ in range(4))
    )
    assert sorted(a.status_code for a in answers) == [201, 409, 409, 409]
    url = f"{DEPARTMENTS}/{await _make(owner, 'Cozinha')}"
    taken = await owner.patch(url, json={"name": "Entregas"})
    assert (taken.status_code, taken.json()["code"]) == (409, "department-name-taken")
    assert (await owner.get(url)).json()["name"] == "Cozinha"
    assert await _count(world, Department) == 2


async def test_members_set_at_once_end_as_one_of_the_sets(
    owner: httpx.AsyncClient, world: World
) -> None:
    url = f"{DEPARTMENTS}/{await _make(owner)}/members"
    people = [str((await world.member("agent")).id) for _ in range(4)]
    sets = [people[:2], people[2:], [people[0], people[3]]]
    answers = await asyncio.gather(*(owner.put(url, json={"user_ids": s}) for s in sets))
    assert [a.status_code for a in answers] == [200] * 3
    async with world.work() as work:
        left = (await work.session.scalars(select(DepartmentMember.user_id))).all()
    assert {str(u) for u in left} in [set(s) for s in sets]


async def test_stranger_and_missing_grant(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    url = f"{DEPARTMENTS}/{await _make(owner)}"
    manager = await client_of(world, await world.member("manager"))
    assert (await manager.get(url)).status_code == 200
    for method, path, body in (
        ("GET", url, None),
        ("PATCH", url, {"name": "Outra"}),
        ("PUT", f"{url}/members", {"user_ids": []}),
        ("DELETE", url, None),
    ):
        answer = await outsider.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "department-not-found")
        if method != "GET":
            refused = await manager.request(method, path, json=body)
            assert (refused.status_code, refused.json()["code"]) == (403, "action-not-allowed")
    assert (await manager.post(DEPARTMENTS, json={"name": "X"})).status_code == 403
    agent = await client_of(world, await world.member("agent"))
    assert (await agent.get(DEPARTMENTS)).status_code == 403
    assert [d["name"] for d in (await owner.get(DEPARTMENTS)).json()["items"]] == ["Entregas"]


async def test_a_retry_with_the_same_key_makes_one(owner: httpx.AsyncClient, world: World) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    answers = [
        await owner.post(DEPARTMENTS, json={"name": "Entregas"}, headers=headers) for _ in range(2)
    ]
    assert answers[0].content == answers[1].content
    assert await _count(world, Department) == 1
