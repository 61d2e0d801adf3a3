"""Pre-order slots with room for so many orders: never more, given back once, never moved."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from app.commerce.checkout.prices import price_books
from app.commerce.orders.models import Order
from app.commerce.promotions.models import Promotion
from app.commerce.stores.models import PreorderSlot, SlotClaim
from app.kernel.work import Runtime
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

URL = "/api/v1/checkout"


@pytest.fixture
async def shop(world: World) -> Shop:
    shop = await make_shop(world, preorder_enabled=True, preorder_capacity=3)
    await shop.product("Bolo de fubá", 3500, stock=1000)
    return shop


async def slots(shopper: httpx.AsyncClient, shop: Shop) -> list[dict[str, Any]]:
    seen = (await shopper.get(f"/api/v1/stores/{shop.store_slug}")).json()
    found: list[dict[str, Any]] = seen["preorder_slots"]
    return found


async def buy(
    client: httpx.AsyncClient, shop: Shop, start: str | None, number: int = 0, **more: Any
) -> httpx.Response:
    who = {"name": f"Cliente {number}", "phone": f"1198{number:07d}"}
    body = shop.cart(shop.products[0], customer=who, scheduled_for=start, **more)
    return await client.post(URL, json=body, headers=key())


async def held(shop: Shop) -> list[tuple[int, int]]:
    """What each slot counts; the claims must say the same."""
    async with shop.world.work() as work:
        rows = (
            await work.session.scalars(select(PreorderSlot).order_by(PreorderSlot.starts_at))
        ).all()
        claims = (
            await work.session.execute(
                select(SlotClaim.slot_id, SlotClaim.channel, func.count()).group_by(
                    SlotClaim.slot_id, SlotClaim.channel
                )
            )
        ).all()
    counted = {(row.slot_id, row.channel): row[2] for row in claims}
    for row in rows:
        assert counted.get((row.id, "delivery"), 0) == row.delivery
        assert counted.get((row.id, "pickup"), 0) == row.pickup
    return [(row.delivery, row.pickup) for row in rows]


async def orders(shop: Shop) -> int:
    async with shop.world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(Order)) or 0


async def test_thirty_buyers_of_three_places(shopper: httpx.AsyncClient, shop: Shop) -> None:
    start = (await slots(shopper, shop))[0]["start"]
    answers = await asyncio.gather(*(buy(shopper, shop, start, n) for n in range(30)))
    assert Counter(a.status_code for a in answers) == {201: 3, 409: 27}
    following = (await slots(shopper, shop))[1]["start"]
    for refused in (a.json() for a in answers if a.status_code == 409):
        assert (refused["code"], refused["reasons"]) == ("store-closed", ["slot-full"])
        assert refused["next_slot_at"].replace("+00:00", "Z") == following
    assert await held(shop) == [(0, 3)]
    assert await orders(shop) == 3, "a refusal leaves no order"
    assert all(a.json()["scheduled_for"] == start for a in answers if a.status_code == 201)


async def test_slots_and_promotions_do_not_deadlock(shopper: httpx.AsyncClient, shop: Shop) -> None:
    """Promotion, slot, counter, stock: one order of locks, also for who cancels meanwhile."""
    promotion = await shop.promotion(usage_limit=4)
    await shop.change_store(preorder_capacity=8)
    first = (await slots(shopper, shop))[0]["start"]
    placed = [(await buy(shopper, shop, first, n)).json() for n in range(4)]

    async def cancel(order: dict[str, Any]) -> httpx.Response:
        path = f"/api/v1/orders/{order['id']}/cancel?token={order['tracking_token']}"
        return await shopper.post(path, json={"reason": "Mudei de ideia"}, headers=key())

    answers = await asyncio.gather(
        *(cancel(order) for order in placed),
        *(buy(shopper, shop, first, n) for n in range(10, 24)),
    )
    assert all(a.status_code < 500 for a in answers), [a.text for a in answers]
    assert [a.status_code for a in answers[:4]] == [200] * 4
    bought = sum(a.status_code == 201 for a in answers[4:])
    assert await held(shop) == [(0, bought)]
    assert bought <= 8
    async with shop.world.work() as work:
        row = await work.session.get_one(Promotion, promotion)
        assert row.used_count <= 4


async def test_a_full_slot_is_shown_as_full_and_refused_in_the_preview(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    first, second = [slot["start"] for slot in (await slots(shopper, shop))[:2]]
    for n in range(3):
        assert (await buy(shopper, shop, first, n)).status_code == 201
    shown = (await slots(shopper, shop))[:2]
    assert [slot["full_for"] for slot in shown] == [["delivery", "pickup"], []]
    listed = (await shopper.get("/api/v1/stores")).json()["items"][0]["preorder_slots"]
    assert listed[:2] == shown
    cart = {
        name: value
        for name, value in shop.cart(shop.products[0], scheduled_for=first).items()
        if name not in {"customer", "payment"}
    }
    preview = await shopper.post(f"{URL}/preview", json=cart)
    assert preview.status_code == 409
    assert preview.json()["reasons"] == ["slot-full"]
    assert preview.json()["next_slot_at"].replace("+00:00", "Z") == second
    assert await held(shop) == [(0, 3)]


async def test_a_cancellation_gives_the_place_back_once(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    start = (await slots(shopper, shop))[0]["start"]
    placed = [(await buy(shopper, shop, start, n)).json() for n in range(3)]
    path = f"/api/v1/admin/orders/{placed[0]['id']}/transitions"
    body = {"to": "rejected", "reason": "Sem forno"}
    answers = await asyncio.gather(*(owner.post(path, json=body, headers=key()) for _ in range(5)))
    assert sorted(a.status_code for a in answers) == [200, 409, 409, 409, 409]
    assert await held(shop) == [(0, 2)]
    assert (await buy(shopper, shop, start, 9)).status_code == 201
    assert (await buy(shopper, shop, start, 10)).status_code == 409
    assert await held(shop) == [(0, 3)]


async def test_a_limit_per_way_of_handing_over(shopper: httpx.AsyncClient, shop: Shop) -> None:
    await shop.change_store(preorder_capacity=None, preorder_pickup_capacity=1)
    start = (await slots(shopper, shop))[0]["start"]
    assert (await buy(shopper, shop, start, 1)).status_code == 201
    assert (await buy(shopper, shop, start, 2)).json()["reasons"] == ["slot-full"]
    assert (await slots(shopper, shop))[0]["full_for"] == ["pickup"]
    carried = shop.delivery(shop.products[0], scheduled_for=start)
    for _ in range(2):
        answer = await shopper.post(URL, json=carried, headers=key())
        assert answer.status_code == 201, answer.text
    assert await held(shop) == [(2, 1)]


async def test_changing_hours_and_capacity_loses_no_order(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    start = (await slots(shopper, shop))[4]["start"]
    placed = [(await buy(shopper, shop, start, n)).json() for n in range(3)]
    path = f"/api/v1/admin/stores/{shop.store_id}"
    smaller = await owner.patch(path, json={"preorder_capacity": 1, "preorder_slot_minutes": 45})
    assert smaller.status_code == 200, smaller.text
    assert await held(shop) == [(0, 3)]
    back = await owner.patch(path, json={"preorder_capacity": 4, "preorder_slot_minutes": 30})
    assert back.status_code == 200
    assert (await buy(shopper, shop, start, 8)).status_code == 201
    assert (await buy(shopper, shop, start, 9)).status_code == 409
    for order in placed:
        seen = await shopper.get(order["tracking_path"])
        assert seen.json()["scheduled_for"] == start, "a slot never moves by itself"


async def test_without_a_limit_orders_are_counted_for_the_day_one_is_set(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    await shop.change_store(preorder_capacity=None)
    start = (await slots(shopper, shop))[0]["start"]
    for n in range(5):
        assert (await buy(shopper, shop, start, n)).status_code == 201
    await shop.change_store(preorder_capacity=5)
    assert (await buy(shopper, shop, start, 6)).json()["reasons"] == ["slot-full"]


async def test_only_orders_for_now_go_the_short_way(
    shopper: httpx.AsyncClient, shop: Shop, runtime: Runtime
) -> None:
    books = price_books(runtime)
    start = (await slots(shopper, shop))[0]["start"]
    for n in range(2):  # the first one teaches
        assert (await buy(shopper, shop, None, n)).status_code == 201
    before = books.at_once
    assert (await buy(shopper, shop, start, 3)).status_code == 201
    assert books.at_once == before
    assert (await buy(shopper, shop, None, 4)).status_code == 201
    assert books.at_once == before + 1


async def test_an_answer_given_before_takes_no_second_place(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    start = (await slots(shopper, shop))[0]["start"]
    body, headers = shop.cart(shop.products[0], scheduled_for=start), key()
    answers = [await shopper.post(URL, json=body, headers=headers) for _ in range(3)]
    assert {a.json()["id"] for a in answers} == {answers[0].json()["id"]}
    assert await held(shop) == [(0, 1)]


async def test_payments_that_one_way_of_handing_over_does_not_take(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    await shop.change_store(delivery_payment_methods=["pix"])
    cash = {"payment": {"method": "cash"}}
    refused = await shopper.post(URL, json=shop.delivery(shop.products[0]) | cash, headers=key())
    assert refused.status_code == 409
    assert refused.json()["code"] == "payment-method-not-accepted"
    assert refused.json()["accepted"] == ["pix"]
    assert await orders(shop) == 0
    taken = await shopper.post(URL, json=shop.cart(shop.products[0]) | cash, headers=key())
    assert taken.status_code == 201


@pytest.mark.parametrize("start", ["2031-05-01T18:00:00", "2031-05-01T18:00:00Z", "amanhã"])
async def test_a_start_that_is_no_slot_takes_nothing(
    shopper: httpx.AsyncClient, shop: Shop, start: str
) -> None:
    refused = await buy(shopper, shop, start)
    assert refused.status_code in {409, 422}, refused.text
    assert await held(shop) == []
    assert await orders(shop) == 0
