"""Usage: counters are exact, periods are the tenant's months, refusals name the plan that helps."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from app.kernel.limits import LimitReached
from app.kernel.tenants.service import ensure_tenant
from app.kernel.usage import service as usage
from app.kernel.usage.models import UsageCounter
from app.kernel.usage.service import UsageService
from tests.factories.stores import ADMIN, a_store
from tests.factories.tenants import World

USAGE = "/api/v1/usage"


async def _limited(world: World, **limits: int) -> World:
    tenant = await ensure_tenant(world.runtime, world.tenant.slug, limits=limits)
    return replace(world, tenant=tenant)


async def _take(world: World, metric: str, n: int = 1) -> int:
    async with world.work() as work:
        return await UsageService(work).take(metric, n)


async def _counters(world: World) -> dict[tuple[str, str], int]:
    async with world.work() as work:
        rows = (await work.session.execute(select(UsageCounter))).scalars()
        return {(row.metric, row.period): row.used for row in rows}


async def test_a_hundred_at_once_take_exactly_ten(world: World) -> None:
    world = await _limited(world, workflows=10)
    answers = await asyncio.gather(
        *(_take(world, "workflows") for _ in range(100)), return_exceptions=True
    )
    taken = [a for a in answers if isinstance(a, int)]
    assert sorted(taken) == list(range(1, 11))
    refused = [a for a in answers if isinstance(a, LimitReached)]
    assert len(refused) == 90
    assert {(r.extra["allowed"], r.extra["used"]) for r in refused} == {(10, 10)}
    assert await _counters(world) == {("workflows", "total"): 10}


async def test_many_at_once_all_or_nothing(world: World) -> None:
    world = await _limited(world, documents=10)
    assert await _take(world, "documents", 8) == 8
    with pytest.raises(LimitReached) as refused:
        await _take(world, "documents", 3)
    assert refused.value.extra["used"] == 8
    assert await _take(world, "documents", 2) == 10
    world = await _limited(world, workflows=0)
    with pytest.raises(LimitReached) as refused:
        await _take(world, "workflows")
    assert (refused.value.extra["allowed"], refused.value.extra["used"]) == (0, 0)
    assert list((await _counters(world)).values()) == [10]


async def test_without_a_limit_it_is_counted_all_the_same(world: World, stranger: World) -> None:
    assert await _take(world, "whatsapp_numbers", 5) == 5
    assert await _take(stranger, "whatsapp_numbers") == 1, "everybody counts for themselves"


async def test_what_is_undone_was_not_used(world: World) -> None:
    async def fails() -> None:
        async with world.work() as work:
            await UsageService(work).take("documents")
            raise RuntimeError("the document was not made")

    with pytest.raises(RuntimeError):
        await fails()
    assert await _counters(world) == {}


async def test_a_month_ends_where_the_tenant_lives(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await _limited(world, documents=1)
    # 02:59 UTC on the first is still the evening of the thirtieth in São Paulo.
    monkeypatch.setattr(usage, "now", lambda: datetime(2026, 12, 1, 2, 59, tzinfo=UTC))
    await _take(world, "documents")
    with pytest.raises(LimitReached):
        await _take(world, "documents")
    monkeypatch.setattr(usage, "now", lambda: datetime(2026, 12, 1, 3, 0, tzinfo=UTC))
    assert await _take(world, "documents") == 1
    assert await _counters(world) == {("documents", "2026-11"): 1, ("documents", "2026-12"): 1}


async def test_giving_back_makes_room(world: World) -> None:
    world = await _limited(world, workflows=2)
    await _take(world, "workflows", 2)
    async with world.work() as work:
        await UsageService(work).give_back("workflows")
    assert await _take(world, "workflows") == 2
    async with world.work() as work:
        await UsageService(work).give_back("workflows", 99)
    assert await _counters(world) == {("workflows", "total"): 0}, "never below nothing"
    async with world.work() as work:
        for wrong in ("documents", "users"):
            with pytest.raises(ValueError, match="not given back"):
                await UsageService(work).give_back(wrong)
        with pytest.raises(ValueError, match="their own rows"):
            await UsageService(work).take("users")
        with pytest.raises(ValueError, match="upwards"):
            await UsageService(work).take("workflows", 0)
        with pytest.raises(KeyError):
            await UsageService(work).take("unicorns")


async def test_a_refusal_names_the_cheapest_plan_that_lifts_it(world: World) -> None:
    world = await _limited(world, documents=50)
    await _take(world, "documents", 50)
    with pytest.raises(LimitReached) as refused:
        await _take(world, "documents")
    extra = refused.value.extra
    assert (extra["limit"], extra["allowed"], extra["used"]) == ("documents", 50, 50)
    assert extra["upgrade"] == {
        "code": "pro",
        "name": "Pro",
        "price_cents": 14900,
        "currency": "BRL",
        "interval": "month",
        "allowed": 200,
    }
    assert "The plan Pro allows 200." in str(refused.value.detail)
    with pytest.raises(LimitReached) as refused:
        await _take(world, "documents", 451)
    assert refused.value.extra["upgrade"]["code"] == "enterprise"
    assert "any number" in str(refused.value.detail)


async def test_users_and_stores_name_it_too(owner: httpx.AsyncClient, world: World) -> None:
    await _limited(world, users=1, stores=1)
    person: dict[str, Any] = {
        "email": "nova@example.com",
        "name": "Nova",
        "role": "agent",
        "password": "forno-a-lenha-2026",
    }
    refused = (await owner.post("/api/v1/admin/users", json=person)).json()
    assert (refused["code"], refused["limit"], refused["used"]) == ("limit-reached", "users", 1)
    assert (refused["upgrade"]["code"], refused["upgrade"]["allowed"]) == ("starter", 3)
    assert (await owner.post(ADMIN, json=a_store())).status_code == 201
    refused = (await owner.post(ADMIN, json=a_store(name="Segunda"))).json()
    assert (refused["code"], refused["limit"], refused["used"]) == ("limit-reached", "stores", 1)
    assert (refused["upgrade"]["code"], refused["upgrade"]["allowed"]) == ("pro", 3)


async def test_usage_is_shown_to_every_member(
    owner: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    shopper: httpx.AsyncClient,
    world: World,
) -> None:
    await ensure_tenant(
        world.runtime, world.tenant.slug, plan_code="pro", limits={"users": 10, "documents": 200}
    )
    assert (await owner.post(ADMIN, json=a_store())).status_code == 201
    await _take(world, "documents", 3)
    viewer = await world.member("viewer")
    shown = await anonymous.get(USAGE, headers={"Authorization": f"Bearer {viewer.token}"})
    assert shown.status_code == 200
    body = shown.json()
    assert body["plan"] == "pro"
    items = {i["limit"]: (i["allowed"], i["used"]) for i in body["items"]}
    assert items == {
        "users": (10, 2),
        "stores": (None, 1),
        "documents": (200, 3),
        "workflows": (None, 0),
        "whatsapp_numbers": (None, 0),
        "storage_bytes": (None, 0),
    }
    months = {i["limit"]: i["period"] for i in body["items"]}
    assert len(months.pop("documents")) == len("2026-11")
    assert set(months.values()) == {"total"}
    assert (await shopper.get(USAGE)).json()["code"] == "unauthenticated"
