"""Killed at named points inside a checkout: the same request again is one order, whole."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy import func, select

from app.commerce.inventory.models import StockLevel, StockMovement
from app.commerce.orders.models import Order
from app.commerce.promotions.models import Promotion, PromotionRedemption
from tests.factories.commerce import key, make_shop
from tests.factories.tenants import World
from tests.faults.server import ServerProcess

URL = "/api/v1/checkout"


class Mortal(ServerProcess):
    application = "tests.faults.checkout_app:app"


@pytest.mark.parametrize("point", ["priced", "committed", "locked", "written", "kept"])
async def test_a_checkout_killed_inside_is_one_order_or_none(
    world: World, environment: dict[str, str], shopper: httpx.AsyncClient, point: str
) -> None:
    shop = await make_shop(world)
    product = await shop.product(price_cents=5000, stock=9)
    await shop.promotion(code="CINCO", kind="fixed", value=500, usage_limit=5)
    is_long = point in ("locked", "written", "kept")
    coupons = {"coupons": ["CINCO"]} if is_long else {}
    body, headers = shop.cart(product, **coupons), key()
    server = Mortal(environment, DIES_AT=point)
    await server.start()
    try:
        named = headers | {"X-Tenant": world.tenant.slug}
        async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
            if not is_long:  # the process learns the prices; the short way is taken from then on
                first = await client.post(URL, json=body, headers={**named, **key()})
                assert first.status_code == 201, first.text
            with pytest.raises(httpx.TransportError):
                await client.post(URL, json=body, headers=named)
    finally:
        server.kill()
    before = 0 if is_long else 1
    done = before + (point in ("committed", "kept"))
    assert await _books(world) == _expected(done, coupons=done if is_long else 0)
    answer = await shopper.post(URL, json=body, headers=headers)
    assert (answer.status_code, answer.json()["number"]) == (201, before + 1), answer.text
    assert await _books(world) == _expected(before + 1, coupons=int(is_long))
    another = await shopper.post(URL, json=body, headers=key())
    assert another.json()["number"] == before + 2


def _expected(orders: int, *, coupons: int) -> tuple[list[int], int, list[int], int]:
    return list(range(1, orders + 1)), 9 - orders, [-1] * orders, coupons


async def _books(world: World) -> tuple[list[int], int, list[int], int]:
    """Order numbers, what is left, what sales took, and how often the coupon was used."""
    async with world.work() as work:
        ask = work.session
        numbers = list(await ask.scalars(select(Order.number).order_by(Order.number)))
        left = (await ask.scalars(select(StockLevel.on_hand))).one()
        sales = list(
            await ask.scalars(select(StockMovement.quantity).where(StockMovement.kind == "sale"))
        )
        used = (await ask.scalars(select(Promotion.used_count))).one()
        redeemed = await ask.scalar(select(func.count()).select_from(PromotionRedemption))
    assert used == redeemed
    return numbers, left, sales, used
