"""Attributes of a product are the merchant's own JSON; what no reader agrees on is refused."""

from __future__ import annotations

import httpx
import pytest

from tests.factories.commerce import make_shop
from tests.factories.tenants import World

URL = "/api/v1/admin/catalog/products"


@pytest.mark.parametrize(
    "number", ["1e132", "-3.7e132", str(2**64), '[1, {"a": 9007199254740993}]']
)
async def test_numbers_beyond_every_reader_are_refused(
    owner: httpx.AsyncClient, world: World, number: str
) -> None:
    shop = await make_shop(world)
    product = await shop.product()
    body = f'{{"attributes": {{"peso": {number}}}}}'
    answer = await owner.patch(
        f"{URL}/{product}", content=body, headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request"), answer.text
    assert (await owner.get(f"{URL}/{product}")).json()["attributes"] == {}


async def test_other_json_comes_back_as_it_came(owner: httpx.AsyncClient, world: World) -> None:
    shop = await make_shop(world)
    product = await shop.product()
    facts = {"peso_g": 1250, "largura": 12.5, "tags": ["a", None, True], "ficha": {"cor": "azul"}}
    answer = await owner.patch(f"{URL}/{product}", json={"attributes": facts})
    assert answer.status_code == 200, answer.text
    assert (await owner.get(f"{URL}/{product}")).json()["attributes"] == facts
