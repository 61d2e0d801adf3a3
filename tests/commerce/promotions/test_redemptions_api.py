"""Uses of campaigns: listed, counted per customer, given back exactly once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

import httpx

from app.commerce.orders.models import Order
from app.commerce.promotions.models import Promotion, PromotionRedemption
from app.commerce.promotions.repository import PromotionRepository
from app.kernel.contacts.models import Contact
from tests.commerce.promotions.test_promotions_api import BASE, create, row
from tests.factories.commerce import Shop, make_shop
from tests.factories.tenants import World


@dataclass(slots=True)
class Redeemed:
    contact_id: UUID
    orders: list[UUID]


async def redeem(shop: Shop, promotions: list[UUID], times: int) -> Redeemed:
    """Orders of one customer that redeemed each promotion for 300 and 200 of freight."""
    async with shop.world.work() as work:
        contact = Contact(name="Maria", phone="+5511987654321")
        work.session.add(contact)
        await work.session.flush()
        orders: list[UUID] = []
        for number in range(1, times + 1):
            order = Order(
                number=number,
                store_id=shop.store_id,
                contact_id=contact.id,
                customer_name="Maria",
                fulfilment="pickup",
                subtotal_cents=0,
                total_cents=0,
            )
            work.session.add(order)
            await work.session.flush()
            orders.append(order.id)
            for id in promotions:
                work.session.add(
                    PromotionRedemption(
                        promotion_id=id,
                        order_id=order.id,
                        contact_id=contact.id,
                        name="Promo",
                        amount_cents=300,
                        shipping_cents=200,
                    )
                )
                promotion = await work.session.get_one(Promotion, id)
                promotion.used_count += 1
                promotion.spent_cents += 500
        return Redeemed(contact.id, orders)


async def test_limits_may_not_fall_below_use(owner: httpx.AsyncClient, world: World) -> None:
    shop = await make_shop(world)
    made = await create(owner, usage_limit=10, budget_cents=10_000)
    await redeem(shop, [UUID(made["id"])], 3)
    path = f"{BASE}/{made['id']}"
    for fields in ({"usage_limit": 2}, {"budget_cents": 1499}):
        answer = await owner.patch(path, json=fields)
        assert (answer.status_code, answer.json()["code"]) == (409, "campaign-limit-below-use")
        assert (answer.json()["used_count"], answer.json()["spent_cents"]) == (3, 1500)
    kept = await row(world, made["id"])
    assert (kept.usage_limit, kept.budget_cents) == (10, 10_000)
    exactly = await owner.patch(path, json={"usage_limit": 3, "budget_cents": 1500})
    assert exactly.status_code == 200


async def test_redemptions_are_listed_newest_first(owner: httpx.AsyncClient, world: World) -> None:
    shop = await make_shop(world)
    made = await create(owner)
    used = await redeem(shop, [UUID(made["id"])], 3)
    first = await owner.get(f"{BASE}/{made['id']}/redemptions", params={"limit": 2})
    cursor = first.json()["next_cursor"]
    rest = await owner.get(f"{BASE}/{made['id']}/redemptions", params={"cursor": cursor})
    found = first.json()["items"] + rest.json()["items"]
    assert {r["order_id"] for r in found} == {str(o) for o in used.orders}
    assert [r["id"] for r in found] == sorted((r["id"] for r in found), reverse=True)
    assert {(r["amount_cents"], r["shipping_cents"], r["released_at"]) for r in found} == {
        (300, 200, None)
    }


async def test_release_gives_back_exactly_once(world: World) -> None:
    shop = await make_shop(world)
    ids = [await shop.promotion(), await shop.promotion(name="Outra")]
    used = await redeem(shop, ids, 2)

    async def release(order: UUID) -> int:
        async with world.work() as work:
            return await PromotionRepository(work.session).release(order)

    released = await asyncio.gather(*(release(used.orders[0]) for _ in range(6)))
    assert sorted(released) == [0, 0, 0, 0, 0, 2]
    for id in ids:
        kept = await row(world, id)
        assert (kept.used_count, kept.spent_cents) == (1, 500)
    assert await asyncio.gather(*(release(o) for o in used.orders)) == [0, 2]
    assert [(await row(world, id)).used_count for id in ids] == [0, 0]
