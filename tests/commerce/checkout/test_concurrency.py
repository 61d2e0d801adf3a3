"""Checkout under real concurrency (after ACIDRain, SIGMOD 2017): nothing oversold, no 5xx."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise

import httpx
import pytest
from sqlalchemy import func, select

from app.commerce.inventory.models import StockLevel, StockMovement
from app.commerce.orders.models import Order
from app.commerce.promotions.models import Promotion, PromotionRedemption
from app.kernel.contacts.models import Contact
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

URL = "/api/v1/checkout"


@pytest.fixture
async def shop(world: World) -> Shop:
    return await make_shop(world)


def buyer(number: int) -> dict[str, str]:
    return {"name": f"Cliente {number}", "phone": f"1198{number:07d}"}


async def buy(client: httpx.AsyncClient, body: dict[str, object]) -> httpx.Response:
    return await client.post(URL, json=body, headers=key())


async def test_two_hundred_buyers_of_a_hundred(shopper: httpx.AsyncClient, shop: Shop) -> None:
    product = await shop.product("Última fornada", 3990, stock=100)
    answers = await asyncio.gather(
        *(buy(shopper, shop.cart(product, customer=buyer(n))) for n in range(200))
    )
    codes = Counter(a.status_code for a in answers)
    assert codes == {201: 100, 409: 100}, codes
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"out-of-stock"}
    async with shop.world.work() as work:
        numbers = (await work.session.scalars(select(Order.number).order_by(Order.number))).all()
        on_hand = await work.session.scalar(select(StockLevel.on_hand))
        ledger = await work.session.scalar(select(func.sum(StockMovement.quantity)))
        sales = await work.session.scalar(
            select(func.count()).where(StockMovement.kind == "sale", StockMovement.quantity == -1)
        )
    assert list(numbers) == list(range(1, 101)), "numbers are dense: a refusal burns none"
    assert (on_hand, ledger, sales) == (0, 0, 100)


async def test_carts_that_cross_do_not_deadlock(shopper: httpx.AsyncClient, shop: Shop) -> None:
    a, b, c = [await shop.product(f"Item {n}", 1000, stock=1000) for n in "abc"]
    carts = [(a, b, c), (c, b, a), (b, a, c), (c, a, b)] * 15
    answers = await asyncio.gather(
        *(buy(shopper, shop.cart(*cart, customer=buyer(n))) for n, cart in enumerate(carts))
    )
    assert {r.status_code for r in answers} == {201}
    async with shop.world.work() as work:
        levels = (await work.session.scalars(select(StockLevel.on_hand))).all()
    assert list(levels) == [1000 - 60] * 3


async def test_last_unit_asked_twice_in_one_cart(shopper: httpx.AsyncClient, shop: Shop) -> None:
    product = await shop.product(stock=1)
    answer = await buy(shopper, shop.cart(product, product))
    assert answer.status_code == 409
    async with shop.world.work() as work:
        assert await work.session.scalar(select(StockLevel.on_hand)) == 1


async def test_coupon_limit_holds(shopper: httpx.AsyncClient, shop: Shop) -> None:
    product = await shop.product(price_cents=5000)
    await shop.promotion(code="DEZVEZES", kind="fixed", value=500, usage_limit=10)
    answers = await asyncio.gather(
        *(
            buy(shopper, shop.cart(product, customer=buyer(n), coupons=["DEZVEZES"]))
            for n in range(40)
        )
    )
    assert Counter(a.status_code for a in answers) == {201: 10, 409: 30}
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"coupon-not-applicable"}
    async with shop.world.work() as work:
        promotion = (await work.session.scalars(select(Promotion))).one()
        redeemed = await work.session.scalar(select(func.count()).select_from(PromotionRedemption))
    assert (promotion.used_count, promotion.spent_cents, redeemed) == (10, 5000, 10)


async def test_first_order_offer_is_taken_once_per_person(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    product = await shop.product(price_cents=10_000)
    await shop.promotion(code="PRIMEIRO", kind="first_order", value=5000)
    one = shop.cart(product, customer=buyer(1), coupons=["PRIMEIRO"])
    answers = await asyncio.gather(*(buy(shopper, one) for _ in range(12)))
    assert Counter(a.status_code for a in answers) == {201: 1, 409: 11}


async def test_twins_of_one_key_are_one_order(shopper: httpx.AsyncClient, shop: Shop) -> None:
    product = await shop.product(stock=50)
    headers, body = key(), shop.cart(product)
    answers = await asyncio.gather(
        *(shopper.post(URL, json=body, headers=headers) for _ in range(20))
    )
    assert {a.status_code for a in answers} == {201}
    assert len({a.content for a in answers}) == 1
    async with shop.world.work() as work:
        assert await work.session.scalar(select(func.count()).select_from(Order)) == 1
        assert await work.session.scalar(select(StockLevel.on_hand)) == 49


async def test_one_person_ordering_at_once_is_one_contact(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    product = await shop.product()
    phones = ["(11) 98765-4321", "11 8765-4321", "+55 11 98765 4321", "011987654321"] * 5
    answers = await asyncio.gather(
        *(
            buy(shopper, shop.cart(product, customer={"name": "Ana Souza", "phone": p}))
            for p in phones
        )
    )
    assert {a.status_code for a in answers} == {201}
    async with shop.world.work() as work:
        assert (await work.session.scalars(select(Contact.phone))).all() == ["+5511987654321"]
        ids = (await work.session.scalars(select(Order.id).order_by(Order.number))).all()
    assert len(ids) == 20
    assert all(a != b for a, b in pairwise(ids))
