"""The platform over all its tenants: sums that agree with the rows, and nobody else's eyes."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from app.core.clock import now
from app.kernel.limits import LIMITS
from app.kernel.tenants.service import ensure_tenant
from app.kernel.usage.service import UsageService
from app.kernel.webhooks.models import WebhookEndpoint
from app.saas.overview.repository import COUNTED
from app.saas.overview.service import folded
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World, make_world
from tests.saas.conftest import TENANTS
from tests.saas.console import CENTRAL, trail

DASHBOARD = f"{CENTRAL}/dashboard"


async def _dashboard(root: httpx.AsyncClient) -> dict[str, Any]:
    answer = await root.get(DASHBOARD)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _order(shopper: httpx.AsyncClient, shop: Shop, product: UUID) -> dict[str, Any]:
    placed = await shopper.post("/api/v1/checkout", json=shop.cart(product), headers=key())
    assert placed.status_code == 201, placed.text
    found: dict[str, Any] = placed.json()
    return found


def _sales(dashboard: dict[str, Any]) -> dict[str, int]:
    found = [s for s in dashboard["sales"] if s["currency"] == "BRL"]
    names = ("today", "week", "month")
    empty = {f"{n}_{kind}": 0 for n in names for kind in ("orders", "cents")}
    return empty | {k: v for s in found for k, v in s.items() if k != "currency"}


async def test_sales_are_summed_over_tenants_and_days(
    root: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    shop = await make_shop(world)
    product = await shop.product("Pizza", 4000)
    before = _sales(await _dashboard(root))
    placed = [await _order(shopper, shop, product) for _ in range(4)]
    moved = {0: None, 1: timedelta(days=3), 2: timedelta(days=20), 3: None}
    async with world.work() as work:
        for at, ago in moved.items():
            if ago is None:
                continue
            # As an import keeps history: the id's time is the order's.
            await work.session.execute(
                text("UPDATE orders SET created_at = :at WHERE id = :id"),
                {"at": now() - ago, "id": UUID(placed[at]["id"])},
            )
        await work.session.execute(
            text("UPDATE orders SET status = 'cancelled' WHERE id = :id"),
            {"id": UUID(placed[3]["id"])},
        )
    after = _sales(await _dashboard(root))
    grown = {name: after[name] - before[name] for name in before}
    assert grown == {
        "today_orders": 1,
        "today_cents": 4000,
        "week_orders": 2,
        "week_cents": 8000,
        "month_orders": 3,
        "month_cents": 12000,
    }


async def test_tenants_are_counted(root: httpx.AsyncClient, platform: World) -> None:
    before = (await _dashboard(root))["tenants"]
    one, two = await make_world(platform.runtime), await make_world(platform.runtime)
    await ensure_tenant(platform.runtime, one.tenant.slug, plan_code="pro", status="suspended")
    await ensure_tenant(platform.runtime, two.tenant.slug, subscription_status="past_due")
    after = (await _dashboard(root))["tenants"]
    assert after["total"] - before["total"] == 2
    for kind, name in (
        ("by_status", "suspended"),
        ("by_status", "active"),
        ("by_plan", "pro"),
        ("by_plan", "none"),
        ("by_subscription", "past_due"),
        ("by_subscription", "active"),
    ):
        assert after[kind][name] - before[kind].get(name, 0) == 1, name
    assert sum(after["by_plan"].values()) == after["total"]


async def test_who_is_close_to_a_limit(root: httpx.AsyncClient, world: World) -> None:
    async def mine() -> dict[str, tuple[int, int]]:
        found = (await _dashboard(root))["close_to_limits"]
        own = [c for c in found if c["tenant_id"] == str(world.tenant.id)]
        return {c["limit"]: (c["used"], c["allowed"]) for c in own}

    await ensure_tenant(
        world.runtime, world.tenant.slug, limits={"users": 2, "documents": 10, "workflows": 3}
    )
    assert await mine() == {}
    await world.member("agent")
    async with world.work() as work:
        await UsageService(work).take("documents", 8)
        await UsageService(work).take("workflows", 2)
    assert await mine() == {"users": (2, 2), "documents": (8, 10)}
    body = {"limit_overrides": {"users": None, "documents": 100, "workflows": 2}}
    await root.patch(f"{TENANTS}/{world.tenant.id}", json=body)
    assert await mine() == {"workflows": (2, 2)}, "what was agreed beside the plan counts"


def test_every_counted_limit_is_counted() -> None:
    assert set(COUNTED) == {name for name, kind in LIMITS.items() if kind == "counted"}


async def test_jobs_of_all_tenants(root: httpx.AsyncClient, world: World, stranger: World) -> None:
    before = (await _dashboard(root))["health"]
    name = f"tests.overview.{secrets.token_hex(4)}"
    for tenant, times in ((world, 2), (stranger, 1)):
        async with tenant.work() as work:
            for _ in range(times):
                work.enqueue(name, {})
    async with world.runtime.database.system_session() as session:
        await session.execute(
            text(
                "UPDATE pgqueuer SET status = 'failed' WHERE entrypoint = :name "
                "AND payload LIKE :of"
            ),
            {"name": name, "of": f"%{stranger.tenant.id}%".encode()},
        )
        await session.commit()
    answer = await root.get(f"{CENTRAL}/jobs")
    assert answer.status_code == 200, answer.text
    mine = [i for i in answer.json()["items"] if i["entrypoint"] == name]
    assert [(i["tenant_id"], i["slug"], i["state"], i["jobs"]) for i in mine] == [
        (str(stranger.tenant.id), stranger.tenant.slug, "held", 1),
        (str(world.tenant.id), world.tenant.slug, "queued", 2),
    ]
    after = (await _dashboard(root))["health"]
    assert after["jobs_held"] - before["jobs_held"] == 1
    assert after["jobs_due"] - before["jobs_due"] == 2
    await _retry_one_held_job(root, world, stranger, name)
    async with world.runtime.database.system_session() as session:
        await session.execute(text("DELETE FROM pgqueuer WHERE entrypoint = :n"), {"n": name})
        await session.commit()


async def _retry_one_held_job(
    root: httpx.AsyncClient, world: World, stranger: World, name: str
) -> None:
    path = f"{TENANTS}/{stranger.tenant.id}/jobs"
    [held] = (await root.get(path, params={"state": "held"})).json()["items"]
    assert held["entrypoint"] == name
    elsewhere = await root.post(f"{TENANTS}/{world.tenant.id}/jobs/{held['id']}/retry")
    assert elsewhere.json()["code"] == "job-not-found", "only with the tenant whose job it is"
    assert (await root.get(path, params={"state": "held"})).json()["items"] == [held]
    assert (await root.post(f"{path}/{held['id']}/retry")).status_code == 204
    [again] = (await root.get(path)).json()["items"]
    assert (again["id"], again["state"]) == (held["id"], "queued")
    refused = await root.post(f"{path}/{held['id']}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "job-not-held")
    [told] = [line for line in await trail(stranger) if line.action == "job.retried"]
    assert (told.actor_kind, told.facts) == ("platform", {"job_id": held["id"]})


async def test_webhooks_of_all_tenants(
    root: httpx.AsyncClient, world: World, stranger: World
) -> None:
    before = (await _dashboard(root))["health"]

    async def endpoint(of: World, **fields: Any) -> None:
        async with of.work() as work:
            url = f"https://{of.tenant.slug}.example/segredo?token=x"
            work.session.add(WebhookEndpoint(url=url, events=["*"], secret="sealed", **fields))

    await endpoint(world, failing_since=now() - timedelta(hours=3))
    await endpoint(world)
    await endpoint(stranger, is_enabled=False, disabled_reason="gone")
    await endpoint(stranger, is_enabled=False, disabled_reason="manual")
    answer = await root.get(f"{CENTRAL}/webhooks")
    ours = {str(world.tenant.id), str(stranger.tenant.id)}
    found = [w for w in answer.json()["items"] if w["tenant_id"] in ours]
    assert [(w["host"], w["is_enabled"], w["disabled_reason"]) for w in found] == [
        (f"{world.tenant.slug}.example", True, None),
        (f"{stranger.tenant.slug}.example", False, "gone"),
    ]
    assert "segredo" not in answer.text, "the path of an address may be a secret"
    after = (await _dashboard(root))["health"]
    assert after["webhooks_failing"] - before["webhooks_failing"] == 1
    assert after["webhooks_disabled"] - before["webhooks_disabled"] == 1


async def test_impersonations_of_all_tenants(
    root: httpx.AsyncClient, world: World, stranger: World
) -> None:
    before = (await _dashboard(root))["health"]["impersonations"]
    made = []
    for tenant in (world, stranger):
        body = {"user_id": str(tenant.owner.id), "reason": "Chamado 4127: teste"}
        started = await root.post(f"{TENANTS}/{tenant.tenant.id}/impersonations", json=body)
        made.append(started.json()["impersonation"] | {"tenant_id": str(tenant.tenant.id)})
    path = f"{CENTRAL}/impersonations"
    first = (await root.get(path, params={"limit": 1})).json()
    second = (await root.get(path, params={"limit": 1, "cursor": first["next_cursor"]})).json()
    shown = [*second["items"], *first["items"]]
    assert [{k: i[k] for k in made[0]} for i in shown] == made
    assert [i["slug"] for i in shown] == [world.tenant.slug, stranger.tenant.slug]
    assert (await _dashboard(root))["health"]["impersonations"] - before == 2
    await root.delete(f"{TENANTS}/{world.tenant.id}/impersonations/{made[0]['id']}")
    going = (await root.get(path, params={"is_active": True, "limit": 1})).json()["items"]
    assert [i["id"] for i in going] == [made[1]["id"]]
    over = (await root.get(path, params={"is_active": False, "limit": 1})).json()["items"]
    assert [i["id"] for i in over] == [made[0]["id"]]
    assert over[0]["ended_at"] is not None


async def test_the_consoles_own_trail(
    root: httpx.AsyncClient, platform: World, world: World, stranger: World
) -> None:
    for tenant in (world, stranger):
        path = f"{TENANTS}/{tenant.tenant.id}"
        await root.patch(path, json={"name": f"Loja {tenant.tenant.slug}"})
    await root.post(f"{TENANTS}/{world.tenant.id}/suspend", json={"reason": "em análise"})
    async with platform.work() as work:
        work.record("product.created", "product", platform.owner.id)

    async def found(**query: Any) -> list[tuple[str, str]]:
        answer = await root.get(f"{CENTRAL}/audit", params=query)
        assert answer.status_code == 200, answer.text
        return [(e["action"], e["resource_id"]) for e in answer.json()["items"]]

    mine, theirs = str(world.tenant.id), str(stranger.tenant.id)
    suspended, updated = ("tenant.suspended", mine), ("tenant.updated", mine)
    assert await found() == [suspended, ("tenant.updated", theirs), updated]
    assert await found(tenant=mine) == [suspended, updated]
    assert await found(action="tenant.suspended") == [suspended]
    assert await found(actor=str(platform.owner.id), limit=1) == [suspended]
    assert await found(actor=str(world.owner.id)) == []
    assert await found(**{"from": (now() + timedelta(hours=1)).isoformat()}) == []
    # A second platform's console, or a tenant, reads nothing of it.
    other = await make_world(platform.runtime)
    assert not [x for x in await trail(other) if x.action.startswith("tenant.")]


def test_counts_are_folded() -> None:
    rows: list[dict[str, Any]] = [
        {"status": "active", "subscription_status": "active", "plan_code": "pro", "tenants": 2},
        {"status": "active", "subscription_status": "unpaid", "plan_code": None, "tenants": 3},
    ]
    counted = folded(rows)
    assert (counted.total, counted.by_status) == (5, {"active": 5})
    assert counted.by_subscription == {"active": 2, "unpaid": 3}
    assert counted.by_plan == {"pro": 2, "none": 3}
