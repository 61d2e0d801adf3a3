"""Insights over HTTP: an order counts at once, an old one's change corrects its day, CSV, gates."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select

from app.commerce.insights.models import InsightCell, InsightChange, InsightProgress
from app.commerce.insights.schemas import Report
from app.commerce.insights.service import Asked, InsightService, queue_rolling
from app.commerce.orders.models import Order
from app.core.clock import now
from app.main import Largo
from tests.commerce.insights.test_exactness import rolled
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

URL = "/api/v1/admin/insights"


@pytest.fixture
async def shop(world: World) -> Shop:
    made = await make_shop(world)
    await made.product("Calabresa", 4000, stock=100)
    await made.product("=Portuguesa", 5000)
    return made


async def order(shop: Shop, shopper: httpx.AsyncClient, phone: str = "11987654321") -> UUID:
    cart = shop.cart(*shop.products, customer={"name": "Maria", "phone": phone})
    placed = await shopper.post("/api/v1/checkout", json=cart, headers=key())
    assert placed.status_code == 201, placed.text
    return UUID(placed.json()["id"])


async def backdate(world: World, order_id: UUID, days: int) -> datetime:
    at = now() - timedelta(days=days)
    async with world.work() as work:
        row = await work.session.get_one(Order, order_id)
        row.placed_at = at
    return at


async def read(owner: httpx.AsyncClient, **params: Any) -> dict[str, Any]:
    answer = await owner.get(URL, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def count(world: World, model: type[InsightCell | InsightChange | InsightProgress]) -> int:
    async with world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(model)) or 0


async def test_a_checkout_counts_at_once_and_notes_nothing(
    world: World, shop: Shop, shopper: httpx.AsyncClient, owner: httpx.AsyncClient
) -> None:
    await order(shop, shopper)
    await order(shop, shopper)
    found = await read(owner)
    current = found["current"]
    assert (current["orders"], current["revenue_cents"]) == (2, 18_000)
    assert (current["new_customers"], current["returning_orders"]) == (1, 1)
    assert current["average_ticket_cents"] == 9000
    assert [(p["label"], p["quantity"]) for p in found["products"]] == [
        ("=Portuguesa", 2),
        ("Calabresa", 2),
    ]
    assert sum(day["orders"] for day in found["series"]) == 2
    assert len(found["series"]) == 30
    assert found["hours"][0]["orders"] + sum(h["orders"] for h in found["hours"][1:]) == 2
    assert await count(world, InsightChange) == 0


async def test_a_late_cancel_corrects_its_own_day(
    world: World, shop: Shop, shopper: httpx.AsyncClient, owner: httpx.AsyncClient
) -> None:
    old, newer = await order(shop, shopper), await order(shop, shopper)
    at = await backdate(world, old, 40)
    await backdate(world, newer, 10)
    await rolled(world)
    day = {"since": str(at.date() - timedelta(days=1)), "until": str(at.date())}
    before = await read(owner, **day)
    assert (before["current"]["orders"], before["current"]["new_customers"]) == (1, 1)
    cells = await count(world, InsightCell)
    moved = await owner.post(
        f"/api/v1/admin/orders/{old}/transitions",
        json={"to": "cancelled", "reason": "devolvido"},
        headers=key(),
    )
    assert moved.status_code == 200, moved.text
    assert await count(world, InsightChange) > 0

    async def check() -> None:
        month = await read(owner, **day)
        assert month["current"]["orders"] == 0
        assert month["current"]["revenue_cents"] == 0
        assert month["current"]["cancelled"] == 1
        assert month["cancellations"][0]["label"] == "devolvido"
        # The customer's second order is the first now: a day that nobody touched moves, too.
        assert (await read(owner))["current"]["new_customers"] == 1

    await check()
    await rolled(world)
    assert await count(world, InsightChange) == 0
    assert await count(world, InsightCell) != cells
    await check()


async def test_the_beat_finds_who_waits_and_nobody_else(
    app: Largo, world: World, shop: Shop, stranger: World
) -> None:
    async def queued(tenant: World) -> int:
        async with app.runtime.database.system_driver() as driver:
            prefix = f'%"{tenant.tenant.id}"%'
            found: int = await driver.fetchval(
                "SELECT count(*) FROM pgqueuer WHERE entrypoint = 'commerce.insights.roll_up' "
                "AND convert_from(payload, 'UTF8') LIKE $1",
                prefix,
            )
            return found

    app.runtime.caches.pop("insights.next", None)
    await queue_rolling(app.runtime)
    assert await queued(world) == 1
    assert await queued(stranger) == 0
    await queue_rolling(app.runtime)
    assert await queued(world) == 1


async def test_jobs_at_once_count_nothing_twice(
    world: World, shop: Shop, shopper: httpx.AsyncClient, owner: httpx.AsyncClient
) -> None:
    for n in range(4):
        await backdate(world, await order(shop, shopper, f"1198765432{n}"), 10 + n)
    await asyncio.gather(*(rolled(world) for _ in range(4)))
    found = (await read(owner))["current"]
    assert (found["orders"], found["revenue_cents"], found["new_customers"]) == (4, 36_000, 4)


@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.03])
async def test_a_job_killed_in_the_middle_leaves_the_answer_right(
    app: Largo,
    world: World,
    shop: Shop,
    shopper: httpx.AsyncClient,
    owner: httpx.AsyncClient,
    delay_s: float,
) -> None:
    """The server drops its connection, as it does when the process dies."""
    for n in range(2):
        await backdate(world, await order(shop, shopper, f"1198765432{n}"), 10 + n)
    expected = (await read(owner))["current"]
    assert expected["orders"] == 2

    async def job() -> None:
        async with world.work() as work:
            pid.set_result(await (await work.raw()).fetchval("SELECT pg_backend_pid()"))
            await InsightService(work).roll_up()

    pid: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(job())
    backend = await pid
    await asyncio.sleep(delay_s)
    async with app.runtime.database.system_driver() as driver:
        await driver.execute("SELECT pg_terminate_backend($1)", backend)
    await asyncio.gather(running, return_exceptions=True)
    # Whoever was quicker than the blow gave a dead connection back to the pool.
    await app.runtime.database.tenant_engine.dispose()
    assert (await read(owner))["current"] == expected
    await rolled(world)
    assert await count(world, InsightCell) > 0
    assert (await read(owner))["current"] == expected


async def test_an_answer_takes_as_many_statements_whatever_there_is(
    world: World, shop: Shop, shopper: httpx.AsyncClient
) -> None:
    async def statements() -> int:
        heard: list[str] = []
        async with world.work() as work:
            driver = await work.raw()

            def hear(query: Any) -> None:
                heard.append(query.query)

            driver.add_query_logger(hear)
            try:
                await InsightService(work).summary(Asked())
            finally:
                driver.remove_query_logger(hear)
        return len(heard)

    empty = await statements()
    await make_shop(world, slug="norte")
    for n in range(3):
        await backdate(world, await order(shop, shopper), 20 * n)
    await rolled(world)
    await backdate(world, await order(shop, shopper), 5)
    assert await statements() == empty == 3


@pytest.mark.parametrize("report", [*Report])
async def test_every_report_goes_out_as_csv(
    shop: Shop, shopper: httpx.AsyncClient, owner: httpx.AsyncClient, report: Report
) -> None:
    await order(shop, shopper)
    answer = await owner.get(f"{URL}/export", params={"report": report.value, "grain": "month"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    assert report.value in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    if report is Report.SALES:
        assert sum(int(row["revenue_cents"]) for row in rows) == 9000
    if report is Report.CUSTOMERS:
        assert sum(int(row["new_customers"]) for row in rows) == 1
    if report is Report.PRODUCTS:
        assert [row["label"] for row in rows] == ["'=Portuguesa", "Calabresa"]
    if report in (Report.HOURS, Report.PAYMENTS, Report.FULFILMENTS, Report.SOURCES):
        assert [(row["orders"], row["amount_cents"]) for row in rows] == [("1", "9000")]


async def test_wrong_periods_and_other_peoples_stores(
    world: World, shop: Shop, stranger: World, owner: httpx.AsyncClient
) -> None:
    for params in (
        {"since": "2026-05-02", "until": "2026-05-01"},
        {"since": "2010-01-01", "until": "2020-01-01"},
    ):
        answer = await owner.get(URL, params=params)
        assert (answer.status_code, answer.json()["code"]) == (422, "insight-period-invalid")
    theirs = await make_shop(stranger)
    answer = await owner.get(URL, params={"store_id": str(theirs.store_id)})
    assert (answer.status_code, answer.json()["code"]) == (404, "store-not-found")


async def test_a_rebuild_believes_nothing_and_is_not_for_readers(
    app: Largo, world: World, shop: Shop, shopper: httpx.AsyncClient, owner: httpx.AsyncClient
) -> None:
    await backdate(world, await order(shop, shopper), 10)
    await rolled(world)
    before = await count(world, InsightProgress)
    viewer = await world.member("viewer")
    refused = await owner.post(
        f"{URL}/rebuild", headers={**key(), "Authorization": f"Bearer {viewer.token}"}
    )
    assert refused.status_code == 403
    assert await count(world, InsightProgress) == before == 1
    expected = (await read(owner))["current"]
    done = await owner.post(f"{URL}/rebuild", headers=key())
    assert (done.status_code, done.json()) == (202, {"queued": True})
    assert await count(world, InsightProgress) == 0
    assert (await read(owner))["current"] == expected
    await rolled(world)
    assert (await read(owner))["current"] == expected
