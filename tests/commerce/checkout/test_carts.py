"""A cart becomes one order at most, whatever the keys of its checkouts are (spec/commerce §10)."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select

from app.commerce.inventory.models import StockLevel
from app.commerce.orders.models import Order
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

URL = "/api/v1/checkout"


@pytest.fixture
async def shop(world: World) -> Shop:
    return await make_shop(world)


async def _orders(shop: Shop) -> tuple[list[int], int]:
    async with shop.world.work() as work:
        numbers = await work.session.scalars(select(Order.number).order_by(Order.number))
        left = await work.session.scalar(select(func.sum(StockLevel.on_hand)))
        return list(numbers), left or 0


@pytest.mark.parametrize("is_known", [False, True], ids=["long way", "at once"])
async def test_a_cart_ordered_is_not_ordered_again(
    shopper: httpx.AsyncClient, shop: Shop, is_known: bool
) -> None:
    product = await shop.product(stock=50)
    if is_known:
        before = await shopper.post(URL, json=shop.cart(product), headers=key())
        assert before.status_code == 201, before.text
    cart = shop.cart(product, cart_id=str(uuid4()))
    first = await shopper.post(URL, json=cart, headers=key())
    assert first.status_code == 201, first.text
    so_far = await _orders(shop)
    again = await shopper.post(URL, json=cart | {"note": "por favor"}, headers=key())
    assert (again.status_code, again.json()["code"]) == (409, "cart-already-ordered")
    assert again.json()["order_number"] == first.json()["number"]
    assert await _orders(shop) == so_far, "a refusal writes nothing"
    other = await shopper.post(URL, json=cart | {"cart_id": str(uuid4())}, headers=key())
    assert other.status_code == 201


@pytest.mark.parametrize("coupons", [[], ["DEZVEZES"]], ids=["plain", "with a coupon"])
async def test_taps_with_keys_of_their_own_are_one_order(
    shopper: httpx.AsyncClient, shop: Shop, coupons: list[str]
) -> None:
    product = await shop.product(price_cents=5000, stock=50)
    await shop.promotion(code="DEZVEZES", kind="fixed", value=500, usage_limit=10)
    cart = shop.cart(product, cart_id=str(uuid4()), coupons=coupons)
    answers = await asyncio.gather(
        *(shopper.post(URL, json=cart, headers=key()) for _ in range(20))
    )
    assert Counter(a.status_code for a in answers) == {201: 1, 409: 19}
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"cart-already-ordered"}
    assert await _orders(shop) == ([1], 49)


async def test_the_last_one_is_told_of_its_order_not_of_the_stock(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    product = await shop.product(stock=1)
    cart = shop.cart(product, cart_id=str(uuid4()))
    answers = [await shopper.post(URL, json=cart, headers=key()) for _ in range(2)]
    assert [a.status_code for a in answers] == [201, 409]
    assert answers[1].json()["code"] == "cart-already-ordered"
