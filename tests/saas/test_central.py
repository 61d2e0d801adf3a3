"""The central console: tenants listed, put on plans, suspended, reactivated; heard everywhere."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select, text

from app.core.settings import Settings
from app.kernel.audit.models import AuditEntry
from app.kernel.tenants.service import ensure_tenant
from app.saas.plans.schemas import PlanRead
from app.worker import build_runtime, close_runtime
from tests.factories.tenants import World, make_world
from tests.saas.conftest import PLANS, TENANTS


async def _row(world: World) -> dict[str, Any]:
    async with world.runtime.database.system_session() as session:
        found = await session.execute(
            text("SELECT * FROM tenants WHERE id = :id"), {"id": world.tenant.id}
        )
        return dict(found.mappings().one())


async def _trail(world: World) -> list[tuple[str, Any, Any]]:
    async with world.work() as work:
        found = await work.session.execute(
            select(AuditEntry).where(AuditEntry.resource == "tenant").order_by(AuditEntry.id)
        )
        return [(a.action, a.resource_id, a.actor_id) for a in found.scalars()]


async def _apply(root: httpx.AsyncClient, world: World, code: str) -> httpx.Response:
    return await root.post(f"{TENANTS}/{world.tenant.id}/plan", json={"plan_code": code})


async def test_list_filters_and_pages(root: httpx.AsyncClient, platform: World) -> None:
    mark = f"Rede {uuid4().hex[:10]}_50%"
    worlds = [await make_world(platform.runtime) for _ in range(3)]
    for world in worlds:
        await ensure_tenant(platform.runtime, world.tenant.slug, name=f"{mark} filial")
    await ensure_tenant(
        platform.runtime, worlds[0].tenant.slug, status="suspended", plan_code="pro"
    )
    await ensure_tenant(platform.runtime, worlds[1].tenant.slug, subscription_status="unpaid")
    ids = [str(w.tenant.id) for w in worlds]

    async def found(**query: Any) -> list[str]:
        answer = await root.get(TENANTS, params={"query": mark.lower(), **query})
        assert answer.status_code == 200, answer.text
        return [t["id"] for t in answer.json()["items"]]

    assert await found() == ids[::-1], "newest first"
    assert await found(status="suspended") == ids[:1]
    assert await found(plan="pro") == ids[:1]
    assert await found(plan="free") == []
    assert await found(subscription_status="unpaid") == [ids[1]]
    assert await found(query=worlds[2].tenant.slug) == [ids[2]]
    assert await found(query=mark.replace("_", "x")) == [], "a wildcard is a letter"
    page = (await root.get(TENANTS, params={"query": mark, "limit": 2})).json()
    rest = await found(limit=2, cursor=page["next_cursor"])
    assert [t["id"] for t in page["items"]] + rest == ids[::-1]
    assert (await root.get(TENANTS, params={"status": "asleep"})).status_code == 422

    one = (await root.get(f"{TENANTS}/{ids[0]}")).json()
    assert (one["id"], one["plan_code"], one["status"]) == (ids[0], "pro", "suspended")


async def test_a_plan_gives_its_modules_and_limits_in_every_process(
    root: httpx.AsyncClient,
    owner: httpx.AsyncClient,
    world: World,
    platform: World,
    plan: PlanRead,
    config: Settings,
) -> None:
    other = build_runtime(config)
    await other.bus.start()
    try:
        before = await other.tenants.find("slug", world.tenant.slug)
        assert before is not None
        assert (before.plan_code, before.limits) == (None, {})
        assert (await owner.get("/api/v1/admin/stores")).status_code == 200
        answer = await _apply(root, world, plan.code)
        assert answer.status_code == 200
        assert answer.json()["plan_code"] == plan.code
        # Here at once, elsewhere with the doorbell.
        assert (await owner.get("/api/v1/admin/stores")).json()["code"] == "module-not-enabled"
        for _ in range(50):
            after = other.tenants.cached("slug", world.tenant.slug)
            if after is not before:
                break
            await asyncio.sleep(0.02)
        after = await other.tenants.find("slug", world.tenant.slug)
        assert after is not None
        assert (after.plan_code, after.limits) == (plan.code, {"users": 2, "documents": 7})
        assert after.modules == frozenset({"conversations"})
    finally:
        await close_runtime(other)
    [line] = await _trail(world)
    assert line == ("tenant.plan_applied", world.tenant.id, platform.owner.id)
    assert await _trail(platform) == [line], "the platform remembers, too"


async def test_a_changed_plan_reaches_tenants_when_applied_again(
    root: httpx.AsyncClient, world: World, plan: PlanRead
) -> None:
    await _apply(root, world, plan.code)
    assert (
        await root.patch(f"{PLANS}/{plan.code}", json={"limits": {"users": 5}})
    ).status_code == 200
    assert (await _row(world))["limits"] == {"users": 2, "documents": 7}
    await _apply(root, world, plan.code)
    assert (await _row(world))["limits"] == {"users": 5}


async def test_an_unpaid_tenant_has_a_plan_and_no_modules(
    root: httpx.AsyncClient, owner: httpx.AsyncClient, world: World
) -> None:
    await ensure_tenant(world.runtime, world.tenant.slug, subscription_status="unpaid")
    assert (await _apply(root, world, "enterprise")).status_code == 200
    assert (await owner.get("/api/v1/admin/stores")).json()["code"] == "module-not-enabled"
    await ensure_tenant(world.runtime, world.tenant.slug, subscription_status="active")
    assert (await owner.get("/api/v1/admin/stores")).status_code == 200


async def test_plans_that_cannot_be_applied(
    root: httpx.AsyncClient, world: World, plan: PlanRead
) -> None:
    await root.patch(f"{PLANS}/{plan.code}", json={"is_active": False})
    before = await _row(world)
    answer = await _apply(root, world, plan.code)
    assert (answer.status_code, answer.json()["code"]) == (409, "plan-not-offered")
    answer = await _apply(root, world, "no-such-plan")
    assert (answer.status_code, answer.json()["code"]) == (404, "plan-not-found")
    answer = await _apply(root, world, "Not A Code")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert await _row(world) == before
    assert await _trail(world) == []


async def test_suspend_and_reactivate(
    root: httpx.AsyncClient, owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    path = f"{TENANTS}/{world.tenant.id}"
    for _ in range(2):
        answer = await root.post(f"{path}/suspend", json={"reason": "Cobrança contestada"})
        assert (answer.status_code, answer.json()["status"]) == (200, "suspended")
    for client in (owner, shopper):
        refused = await client.get("/api/v1/stores")
        assert (refused.status_code, refused.json()["code"]) == (403, "tenant-suspended")
    for _ in range(2):
        answer = await root.post(f"{path}/reactivate")
        assert (answer.status_code, answer.json()["status"]) == (200, "active")
    assert (await owner.get("/api/v1/stores")).status_code == 200
    assert [action for action, _, _ in await _trail(world)] == [
        "tenant.suspended",
        "tenant.reactivated",
    ], "saying it again changes nothing"


async def test_the_platform_cannot_suspend_itself(root: httpx.AsyncClient, platform: World) -> None:
    before = await _row(platform)
    answer = await root.post(
        f"{TENANTS}/{platform.tenant.id}/suspend", json={"reason": "por engano"}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "platform-not-suspendable")
    assert await _row(platform) == before
    missing = await root.post(f"{TENANTS}/{platform.tenant.id}/suspend", json={"reason": " "})
    assert missing.status_code == 422


@pytest.mark.parametrize(
    ("method", "tail", "body"),
    [
        ("GET", "", None),
        ("POST", "/plan", {"plan_code": "pro"}),
        ("POST", "/suspend", {"reason": "não existe"}),
        ("POST", "/reactivate", None),
    ],
)
async def test_unknown_tenant_and_other_people(
    root: httpx.AsyncClient,
    owner: httpx.AsyncClient,
    world: World,
    method: str,
    tail: str,
    body: dict[str, str] | None,
) -> None:
    answer = await root.request(method, f"{TENANTS}/{uuid4()}{tail}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "tenant-not-found")
    before = await _row(world)
    answer = await owner.request(method, f"{TENANTS}/{world.tenant.id}{tail}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "system-admin-only")
    assert (await owner.get(TENANTS)).json()["code"] == "system-admin-only"
    assert await _row(world) == before
