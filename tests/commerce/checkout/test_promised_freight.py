"""A signed quote is a promise: kept for its delivery and its half hour, and for nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from app.commerce.orders.models import Order
from app.commerce.shipping import service as shipping
from app.commerce.shipping.models import ShippingRule
from tests.factories.commerce import PAULISTA, Shop, key, make_shop
from tests.factories.tenants import World


@pytest.fixture
async def shop(world: World) -> Shop:
    return await make_shop(world)


async def quoted(client: httpx.AsyncClient, shop: Shop, district: str = "Bela Vista") -> str:
    body = {"store": shop.store_slug, "postal_code": PAULISTA["postal_code"], "district": district}
    answer = await client.post("/api/v1/shipping/quote", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["fee_cents"] == 700
    token: str = answer.json()["quote"]
    return token


async def raise_fee(shop: Shop) -> None:
    async with shop.world.work() as work:
        await work.session.execute(update(ShippingRule).values(fee_cents=1900))


async def order(client: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
    return await client.post("/api/v1/checkout", json=body, headers=key())


async def orders(shop: Shop) -> int:
    async with shop.world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(Order)) or 0


@pytest.mark.parametrize("district", ["Bela Vista", "bela  vistá", "BELA VISTA"])
async def test_the_promised_fee_is_kept_when_the_rule_rises(
    shopper: httpx.AsyncClient, shop: Shop, district: str
) -> None:
    product = await shop.product(price_cents=5000)
    quote = await quoted(shopper, shop, district)
    await raise_fee(shop)
    kept = await order(shopper, shop.delivery(product, quote=quote))
    assert (kept.status_code, kept.json().get("shipping_cents")) == (201, 700), kept.text
    without = await order(shopper, shop.delivery(product))
    assert without.json()["shipping_cents"] == 1900


@pytest.mark.parametrize(
    "elsewhere", [{"postal_code": "05422-010"}, {"district": "Pinheiros"}], ids=["CEP", "district"]
)
async def test_a_quote_for_elsewhere_is_refused_with_the_new_fee(
    shopper: httpx.AsyncClient, shop: Shop, elsewhere: dict[str, str]
) -> None:
    product = await shop.product()
    body = shop.delivery(product, quote=await quoted(shopper, shop))
    answer = await order(shopper, body | {"address": {**PAULISTA, **elsewhere}})
    assert (answer.status_code, answer.json()["code"]) == (409, "shipping-changed")
    assert answer.json()["breakdown"]["shipping_cents"] == 700
    assert await orders(shop) == 0


async def test_an_old_or_foreign_quote_is_refused(
    shopper: httpx.AsyncClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = await shop.product()
    other = await make_shop(shop.world, slug="norte")
    foreign = await quoted(shopper, other)
    monkeypatch.setattr(shipping, "QUOTE_LIFE", timedelta(seconds=-1))
    expired = await quoted(shopper, shop)
    for quote in (foreign, expired):
        answer = await order(shopper, shop.delivery(product, quote=quote))
        assert (answer.status_code, answer.json()["code"]) == (409, "shipping-changed")
    assert await orders(shop) == 0
