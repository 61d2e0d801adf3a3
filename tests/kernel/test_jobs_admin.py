"""A tenant sees its own unfinished jobs and brings back the held ones; nobody else's."""

from __future__ import annotations

from typing import Any

import httpx

from app.core.ids import new_id
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf

JOBS = "/api/v1/admin/jobs"


async def _enqueue(world: World, *names: str, dedupe_key: str | None = None) -> None:
    async with world.work() as work:
        for name in names:
            work.enqueue(name, {"order_id": str(new_id())}, dedupe_key=dedupe_key)


async def _hold(world: World, job_id: int, error: str = "ValueError: no") -> None:
    """As the worker leaves a job that failed too often."""
    async with world.runtime.database.system_driver() as driver:
        await driver.execute("UPDATE pgqueuer SET status = 'failed' WHERE id = $1", job_id)
        await driver.execute(
            "INSERT INTO job_deliveries (id, job_id, tenant_id, entrypoint, deliveries, last_error)"
            " VALUES ($1, $2, $3, 'x', 8, $4)",
            new_id(),
            job_id,
            world.tenant.id,
            error,
        )


async def _items(client: httpx.AsyncClient, **params: str) -> list[dict[str, Any]]:
    answer = await client.get(JOBS, params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_list_by_state_and_page(owner: httpx.AsyncClient, world: World) -> None:
    await _enqueue(world, "tests.a", "tests.b", "tests.c")
    queued = await _items(owner)
    assert [(j["entrypoint"], j["state"], j["deliveries"]) for j in queued] == [
        ("tests.c", "queued", 0),
        ("tests.b", "queued", 0),
        ("tests.a", "queued", 0),
    ]
    assert "order_id" not in (await owner.get(JOBS)).text, "payloads are not shown"
    await _hold(world, queued[1]["id"])
    held = await _items(owner, state="held")
    assert [(j["id"], j["deliveries"], j["last_error"]) for j in held] == [
        (queued[1]["id"], 8, "ValueError: no")
    ]
    assert [j["entrypoint"] for j in await _items(owner, state="queued")] == ["tests.c", "tests.a"]
    assert await _items(owner, state="running") == []
    first = (await owner.get(JOBS, params={"limit": 2})).json()
    rest = (await owner.get(JOBS, params={"cursor": first["next_cursor"]})).json()
    assert len(first["items"]) == 2
    assert [j["entrypoint"] for j in rest["items"]] == ["tests.a"]
    assert rest["next_cursor"] is None
    assert (await owner.get(JOBS, params={"state": "lost"})).status_code == 422


async def test_retry_brings_a_held_job_back_as_new(owner: httpx.AsyncClient, world: World) -> None:
    await _enqueue(world, "tests.a")
    job = (await _items(owner))[0]
    await _hold(world, job["id"])
    assert (await owner.post(f"{JOBS}/{job['id']}/retry")).status_code == 204
    back = (await _items(owner))[0]
    assert (back["id"], back["state"], back["deliveries"]) == (job["id"], "queued", 0)
    assert back["last_error"] is None
    audit = (await owner.get("/api/v1/admin/audit", params={"action": "job.retried"})).json()
    assert [e["facts"] for e in audit["items"]] == [{"job_id": job["id"]}]

    again = await owner.post(f"{JOBS}/{job['id']}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "job-not-held")
    assert again.json()["state"] == "queued"


async def test_retry_beside_a_twin_queued_meanwhile(owner: httpx.AsyncClient, world: World) -> None:
    await _enqueue(world, "tests.a", dedupe_key="k")
    held = (await _items(owner))[0]
    await _hold(world, held["id"])
    await _enqueue(world, "tests.a", dedupe_key="k")
    assert (await owner.post(f"{JOBS}/{held['id']}/retry")).status_code == 204
    assert [j["state"] for j in await _items(owner)] == ["queued", "queued"]


async def test_strangers_and_grants(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    await _enqueue(world, "tests.a")
    job = (await _items(owner))[0]
    await _hold(world, job["id"])
    assert await _items(outsider) == []
    stolen = await outsider.post(f"{JOBS}/{job['id']}/retry")
    assert (stolen.status_code, stolen.json()["code"]) == (404, "job-not-found")
    agent = await client_of(world, await world.member("agent"))
    manager = await client_of(world, await world.member("manager"))
    assert (await agent.get(JOBS)).status_code == 403
    assert (await manager.get(JOBS)).status_code == 200
    assert (await manager.post(f"{JOBS}/{job['id']}/retry")).status_code == 403
    assert [j["state"] for j in await _items(owner)] == ["held"], "nothing changed"
    for wrong in ("0", "9" * 30, "abc"):
        assert (await owner.post(f"{JOBS}/{wrong}/retry")).status_code == 422
    missing = await owner.post(f"{JOBS}/{2**62}/retry")
    assert missing.json()["code"] == "job-not-found"
