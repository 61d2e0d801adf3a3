"""One SKU names one living thing of a tenant, be it a product or a variant."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.commerce.catalog.storefront import ADMIN
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World


def _product(shop: Shop, name: str, sku: str | None) -> dict[str, Any]:
    return {"category_id": str(shop.category_id), "name": name, "price_cents": 100, "sku": sku}


async def _make(owner: httpx.AsyncClient, shop: Shop, name: str, sku: str | None) -> str:
    made = await owner.post(f"{ADMIN}/products", json=_product(shop, name, sku), headers=key())
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def _skus(shop: Shop) -> list[str]:
    async with shop.world.work() as work:
        rows = await work.session.execute(
            text(
                "SELECT sku FROM products WHERE deleted_at IS NULL AND sku IS NOT NULL UNION ALL "
                "SELECT sku FROM variants WHERE deleted_at IS NULL AND sku IS NOT NULL ORDER BY 1"
            )
        )
        return [row[0] for row in rows]


async def test_a_sku_is_taken_once_over_products_and_variants(
    owner: httpx.AsyncClient, shop: Shop
) -> None:
    first = await _make(owner, shop, "Pizza", "A")
    second = await _make(owner, shop, "Suco", None)
    one, other = f"{ADMIN}/products/{first}", f"{ADMIN}/products/{second}"
    size = {"name": "Grande", "price_cents": 200}
    variant = await owner.post(f"{one}/variants", json=size | {"sku": "G"}, headers=key())
    assert variant.status_code == 201
    sized = f"{one}/variants/{variant.json()['id']}"
    for answer in (
        await owner.post(f"{ADMIN}/products", json=_product(shop, "X", "A"), headers=key()),
        await owner.post(f"{ADMIN}/products", json=_product(shop, "X", "G"), headers=key()),
        await owner.patch(other, json={"sku": "A"}),
        await owner.patch(other, json={"sku": "G"}),
        await owner.post(f"{other}/variants", json=size | {"sku": "A"}, headers=key()),
        await owner.post(f"{other}/variants", json=size | {"sku": "G"}, headers=key()),
        await owner.patch(sized, json={"sku": "A"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "sku-taken"), answer.text
    assert await _skus(shop) == ["A", "G"]
    assert (await owner.patch(one, json={"sku": "A"})).status_code == 200, "its own"
    assert (await owner.patch(sized, json={"sku": "G", "price_cents": 1})).status_code == 200


async def test_what_is_deleted_gives_its_skus_back_and_may_want_them_again(
    owner: httpx.AsyncClient, shop: Shop
) -> None:
    product = await _make(owner, shop, "Pizza", "A")
    url = f"{ADMIN}/products/{product}"
    for sku in ("G", "P"):
        body = {"name": sku, "price_cents": 200, "sku": sku}
        made = await owner.post(f"{url}/variants", json=body, headers=key())
    await owner.delete(f"{url}/variants/{made.json()['id']}")
    assert (await owner.delete(url)).status_code == 204
    assert await _skus(shop) == []
    back = await owner.post(f"{url}/restore", json={}, headers=key())
    assert (back.status_code, [v["sku"] for v in back.json()["variants"]]) == (200, ["G"])
    await owner.delete(url)
    rival = await _make(owner, shop, "Outra", "G")
    refused = await owner.post(f"{url}/restore", json={}, headers=key())
    assert (refused.status_code, refused.json()["code"]) == (409, "sku-taken")
    assert (await owner.get(url)).status_code == 404
    await owner.patch(f"{ADMIN}/products/{rival}", json={"sku": None})
    assert (await owner.post(f"{url}/restore", json={}, headers=key())).status_code == 200
    assert await _skus(shop) == ["A", "G"]


@pytest.mark.parametrize("round_number", range(3))
async def test_of_two_who_take_a_sku_at_once_one_gets_it(
    owner: httpx.AsyncClient, shop: Shop, round_number: int
) -> None:
    url = f"{ADMIN}/products/{await _make(owner, shop, 'Pizza', None)}"
    size = {"name": "Grande", "price_cents": 200, "sku": "A"}
    answers = await asyncio.gather(
        owner.post(f"{url}/variants", json=size, headers=key()),
        owner.post(f"{ADMIN}/products", json=_product(shop, "X", "A"), headers=key()),
        owner.post(f"{ADMIN}/products", json=_product(shop, "Y", "A"), headers=key()),
    )
    assert sorted(a.status_code for a in answers) == [201, 409, 409]
    assert await _skus(shop) == ["A"]


async def test_tenants_do_not_see_each_others_skus(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, shop: Shop, stranger: World
) -> None:
    theirs = await make_shop(stranger)
    await _make(owner, shop, "Pizza", "A")
    await _make(outsider, theirs, "Pizza", "A")
