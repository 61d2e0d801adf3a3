"""The attacks of ACIDRain (Warszawski and Bailis, SIGMOD 2017) on a shop, by name.

Each sends at the same time what is harmless one after the other. The last place in a slot is in
``test_slots.py``.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from app.commerce.promotions.models import Promotion
from tests.commerce.life.recount import broken, on_hand, sold
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

URL = "/api/v1/checkout"
ORDERS = "/api/v1/admin/orders"


@pytest.fixture
async def shop(world: World) -> Shop:
    return await make_shop(world)


def buyer(number: int) -> dict[str, str]:
    return {"name": f"Cliente {number}", "phone": f"1197{number:07d}"}


async def at_once(client: httpx.AsyncClient, *bodies: dict[str, Any]) -> list[httpx.Response]:
    return await asyncio.gather(*(client.post(URL, json=b, headers=key()) for b in bodies))


def codes(answers: list[httpx.Response]) -> Counter[str]:
    return Counter("201" if a.is_success else a.json()["code"] for a in answers)


async def test_last_unit(shopper: httpx.AsyncClient, shop: Shop) -> None:
    last, other = await shop.product(stock=1), await shop.product("Suco", 900)
    carts = [shop.cart(last, *([other] if n % 2 else []), customer=buyer(n)) for n in range(16)]
    assert codes(await at_once(shopper, *carts)) == {"201": 1, "out-of-stock": 15}
    assert list((await on_hand(shop.world)).values()) == [0]
    assert await broken(shop.world) == {}


async def test_two_lines_on_one_item(shopper: httpx.AsyncClient, shop: Shop) -> None:
    product = await shop.product(stock=7)
    carts = [shop.cart(product, product, customer=buyer(n)) for n in range(10)]
    answers = await at_once(shopper, *carts)
    assert codes(answers) == {"201": 3, "out-of-stock": 7}
    assert list((await on_hand(shop.world)).values()) == [1]
    assert await broken(shop.world) == {}


async def test_voucher_limit_of_all_and_of_one(shopper: httpx.AsyncClient, shop: Shop) -> None:
    product = await shop.product(price_cents=5000)
    await shop.promotion(code="SETE", value=500, usage_limit=7, per_customer_limit=2)
    carts = [shop.cart(product, customer=buyer(n % 3), coupons=["SETE"]) for n in range(24)] + [
        shop.cart(product, customer=buyer(9), coupons=["SETE"]) for _ in range(6)
    ]
    assert codes(await at_once(shopper, *carts)) == {"201": 7, "coupon-not-applicable": 23}
    assert await broken(shop.world) == {}


async def test_voucher_budget(shopper: httpx.AsyncClient, shop: Shop) -> None:
    product = await shop.product(price_cents=5000)
    await shop.promotion(code="VERBA", value=700, budget_cents=2000)
    carts = [shop.cart(product, customer=buyer(n), coupons=["VERBA"]) for n in range(12)]
    answers = await at_once(shopper, *carts)
    given = sorted(a.json()["discount_cents"] for a in answers if a.is_success)
    assert given == [600, 700, 700], "the last one gets what is left, and nobody more"
    assert await broken(shop.world) == {}


async def test_double_tap(shopper: httpx.AsyncClient, shop: Shop) -> None:
    product = await shop.product(stock=5)
    body, tapped = shop.cart(product), key()
    answers = await asyncio.gather(
        *(shopper.post(URL, json=body, headers=tapped) for _ in range(8))
    )
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["id"] for a in answers}) == 1
    assert list((await sold(shop.world)).values()) == [1]
    assert await broken(shop.world) == {}


@pytest.mark.parametrize("turn", range(4))
async def test_cart_change_while_paying(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop, turn: int
) -> None:
    product = await shop.product(price_cents=3000, stock=5)
    placed = (await shopper.post(URL, json=shop.cart(product), headers=key())).json()
    url, asked = f"{ORDERS}/{placed['id']}", placed["total_cents"]
    payment = (await owner.get(f"{url}/payments")).json()["payments"][0]["id"]

    async def pay() -> httpx.Response:
        await asyncio.sleep(0.003 * turn)
        return await owner.post(
            f"{url}/payments/{payment}/received", json={"received_cents": asked}, headers=key()
        )

    more = {"add": [{"product_id": str(product), "quantity": 1}], "reason": "mais uma"}
    paid, edited = await asyncio.gather(pay(), owner.patch(url, json=more))
    assert paid.status_code in (200, 409), paid.text
    assert edited.status_code in (200, 409), edited.text
    assert paid.is_success or edited.is_success
    money = (await owner.get(f"{url}/payments")).json()
    total = asked + 3000 if edited.is_success else asked
    received = asked if paid.is_success else 0
    assert (money["total_cents"], money["due_cents"]) == (total, total - received)
    assert await broken(shop.world) == {}


async def test_price_change_between_preview_and_checkout(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    product = await shop.product(price_cents=3000)
    cart = shop.cart(product)
    asked = {k: v for k, v in cart.items() if k not in ("customer", "payment")}
    seen = (await shopper.post(f"{URL}/preview", json=asked)).json()["total_cents"]
    agreed = [cart | {"expected_total_cents": seen, "customer": buyer(n)} for n in range(20)]
    change = owner.patch(f"/api/v1/admin/catalog/products/{product}", json={"price_cents": 4000})
    before, changed = await asyncio.gather(at_once(shopper, *agreed), change)
    assert changed.is_success, changed.text
    assert set(codes(before)) <= {"201", "price-changed"}
    assert {a.json()["total_cents"] for a in before if a.is_success} <= {seen}
    after = await at_once(shopper, *agreed)
    assert codes(after) == {"price-changed": 20}, "nobody pays a price that is gone"
    assert {a.json()["breakdown"]["total_cents"] for a in after} == {4000}
    assert await broken(shop.world) == {}


async def test_a_limit_set_while_orders_wait_for_the_promotion(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    """What was unlimited when it was read is limited once its row is free: refused, no crash."""
    product = await shop.product(price_cents=5000)
    promotion = await shop.promotion(code="ABERTA", value=500, used_count=0)
    cart = shop.cart(product, coupons=["ABERTA"])
    assert (await shopper.post(URL, json=cart, headers=key())).status_code == 201
    await shop.change_store(preparation_minutes=31)  # prices moved on: the long way reads anew
    async with shop.world.work() as work:
        row = await work.session.get_one(Promotion, promotion, with_for_update=True)
        row.usage_limit = row.used_count
        await work.session.flush()
        buying = asyncio.create_task(
            at_once(shopper, *(cart | {"customer": buyer(n)} for n in range(3)))
        )
        await asyncio.sleep(0.25)
    assert codes(await buying) == {"coupon-not-applicable": 3}
    assert await broken(shop.world) == {}


async def test_what_takes_the_place_of_a_spent_promotion_keeps_its_limit(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    """Of two offers the better one runs out under the crowd; the other is once per person."""
    product = await shop.product(price_cents=5000)
    await shop.promotion(name="Melhor", value=900, usage_limit=1)
    await shop.promotion(name="Uma vez", value=400, per_customer_limit=1)
    carts = [shop.cart(product, customer=buyer(1)) for _ in range(12)]
    answers = await at_once(shopper, *carts)
    assert codes(answers) == {"201": 12}
    given = Counter(a.json()["discount_cents"] for a in answers)
    assert given == {900: 1, 400: 1, 0: 10}
    assert await broken(shop.world) == {}
