"""Orders of many tenants in one statement: each its own, and none pays for its neighbour."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, text

from app.commerce.checkout.group_commit import MOST, GroupCommit, group_commit
from app.commerce.inventory.models import StockLevel, StockMovement
from app.commerce.orders.models import Order
from app.commerce.promotions.models import PromotionRedemption
from app.contracts.commerce import OrderPlaced
from app.kernel.audit.models import AuditEntry
from app.kernel.contacts.models import Contact
from app.main import Largo
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import make_world

SHOPS = 5


@dataclass(frozen=True)
class Counter:
    """A shop and its public."""

    shop: Shop
    client: httpx.AsyncClient

    async def buy(self, *products: UUID, **fields: object) -> httpx.Response:
        body = self.shop.delivery(*(products or self.shop.products[:1]), **fields)
        return await self.client.post("/api/v1/checkout", json=body, headers=key())

    async def orders(self) -> list[int]:
        async with self.shop.world.work() as work:
            return list(await work.session.scalars(select(Order.number).order_by(Order.number)))


@pytest.fixture
async def counters(app: Largo) -> AsyncIterator[list[Counter]]:
    """Shops of different tenants, each remembered by the process."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(SHOPS):
            world = await make_world(app.runtime)
            shop = await make_shop(world)
            await shop.product("Calabresa", 4990, stock=100)
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app, raise_app_exceptions=False),
                base_url="http://largo.test",
                headers={"X-Tenant": world.tenant.slug},
            )
            found.append(Counter(shop, await stack.enter_async_context(client)))
        for counter in found:
            assert (await counter.buy()).status_code == 201
        yield found


@pytest.fixture
def group(app: Largo) -> GroupCommit:
    return group_commit(app.runtime)


async def test_orders_of_many_tenants_share_statements_and_nothing_else(
    counters: list[Counter], group: GroupCommit
) -> None:
    for counter in counters[::2]:
        await counter.shop.promotion(kind="percent", value=1000)
        assert (await counter.buy()).status_code == 201  # the new prices are remembered again
    before = group.statements
    each = 12
    answers = await asyncio.gather(
        *(
            c.buy(customer={"name": "Ana", "phone": f"1198{n:07d}"})
            for n in range(each)
            for c in counters
        )
    )
    assert {a.status_code for a in answers} == {201}
    assert group.statements - before < each * SHOPS / 2, "most went together"
    for n, counter in enumerate(counters):
        with_discount = n % 2 == 0
        first = each + (2 if with_discount else 1)
        assert await counter.orders() == list(range(1, first + 1))
        mine = {a.json()["id"] for a in answers[n::SHOPS]}
        async with counter.shop.world.work() as work:
            found = await work.session.scalars(select(Order.id).order_by(Order.id))
            assert mine <= {str(id_) for id_ in found}
            sold = await work.session.scalar(select(func.sum(StockMovement.quantity)))
            on_hand = await work.session.scalar(select(StockLevel.on_hand))
            told = await work.session.scalar(
                select(func.count()).where(AuditEntry.action == OrderPlaced.name)
            )
            used = await work.session.scalar(select(func.count(PromotionRedemption.id)))
        assert (on_hand, sold, told) == (100 - first, 100 - first, first)
        assert used == (each + 1 if with_discount else 0)


async def test_one_that_cannot_be_written_does_not_keep_the_others(
    counters: list[Counter], group: GroupCommit
) -> None:
    unlucky = counters[2]
    async with unlucky.shop.world.work() as work:
        await work.session.execute(text("UPDATE contacts SET is_blocked = true"))
    answers = await asyncio.gather(*(c.buy() for c in counters for _ in range(4)))
    codes = [a.status_code for a in answers]
    assert codes[8:12] == [403] * 4, codes
    assert set(codes[:8] + codes[12:]) == {201}
    assert await unlucky.orders() == [1], "and left no trace of it"
    async with unlucky.shop.world.work() as work:
        assert await work.session.scalar(select(StockLevel.on_hand)) == 99
    for counter in counters:
        if counter is not unlucky:
            assert await counter.orders() == [1, 2, 3, 4, 5]


async def test_whoever_waits_for_a_lock_waits_alone(
    counters: list[Counter], group: GroupCommit
) -> None:
    slow, *others = counters
    async with slow.shop.world.work() as work:
        await work.session.execute(text("UPDATE order_counters SET last_number = last_number"))
        held = [asyncio.create_task(slow.buy()) for _ in range(2)]
        await asyncio.sleep(0.05)
        began = time.perf_counter()
        answers = await asyncio.gather(*(c.buy() for c in others for _ in range(3)))
        took = time.perf_counter() - began
        assert {a.status_code for a in answers} == {201}
        assert not any(task.done() for task in held)
    assert [(await task).status_code for task in held] == [201, 201]
    print(f"\n{len(answers)} orders of others in {took * 1000:.0f} ms while one tenant was locked")
    assert took < 1.5, "they do not wait for the two seconds that a lock may take"
    assert await slow.orders() == [1, 2, 3]


async def test_twins_in_company_are_one_order(counters: list[Counter]) -> None:
    first = counters[0]
    body, headers = first.shop.delivery(first.shop.products[0]), key()
    twins = [first.client.post("/api/v1/checkout", json=body, headers=headers) for _ in range(6)]
    answers = await asyncio.gather(*twins, *(c.buy() for c in counters[1:] for _ in range(3)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.content for a in answers[:6]}) == 1
    assert await first.orders() == [1, 2]


async def test_a_lost_connection_loses_no_order(
    counters: list[Counter], group: GroupCommit, app: Largo
) -> None:
    """Whatever the statement did before its backend died, each buyer ends with one order."""

    async def cut() -> None:
        for _ in range(5):
            await asyncio.sleep(0.01)
            async with app.runtime.database.system_driver() as driver:
                await driver.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid IN ("
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                    "AND query LIKE 'SELECT place_orders%' AND state = 'active')"
                )

    answers, _ = await asyncio.gather(
        asyncio.gather(*(c.buy() for _ in range(2 * MOST) for c in counters)), cut()
    )
    good = [a.json() for a in answers if a.status_code == 201]
    assert len(good) == len(answers), [a.text for a in answers if a.status_code != 201][:1]
    for n, counter in enumerate(counters):
        numbers = sorted(a["number"] for a in good[n::SHOPS])
        assert numbers == list(range(2, 2 * MOST + 2)) == (await counter.orders())[1:]


async def test_a_known_customer_stays_one_person(counters: list[Counter]) -> None:
    answers = await asyncio.gather(*(c.buy() for c in counters for _ in range(5)))
    assert {a.status_code for a in answers} == {201}
    for counter in counters:
        async with counter.shop.world.work() as work:
            assert await work.session.scalar(select(func.count(Contact.id))) == 1
