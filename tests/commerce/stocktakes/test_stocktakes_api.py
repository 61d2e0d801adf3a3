"""Counting a store while it sells."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core.ids import new_id
from tests.commerce.inventory.stocked import BASE, ledger
from tests.commerce.life.recount import broken, on_hand
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

COUNTS = f"{BASE}/counts"


@pytest.fixture
async def shop(world: World) -> Shop:
    shop = await make_shop(world)
    await shop.product("Guaraná", 700, stock=10)
    await shop.product("Água", 400, stock=6)
    return shop


async def opened(owner: httpx.AsyncClient, shop: Shop) -> str:
    body = {"store_id": str(shop.store_id), "note": "Balanço"}
    answer = await owner.post(COUNTS, json=body, headers=key())
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def enter(owner: httpx.AsyncClient, count: str, **seen: int) -> httpx.Response:
    lines = [{"item_id": item, "counted": counted} for item, counted in seen.items()]
    return await owner.put(f"{COUNTS}/{count}/lines", json={"lines": lines})


async def sell(shopper: httpx.AsyncClient, shop: Shop, product: UUID, quantity: int) -> None:
    items = [{"product_id": str(product), "quantity": quantity}]
    answer = await shopper.post("/api/v1/checkout", json=shop.cart(items=items), headers=key())
    assert answer.status_code == 201, answer.text


async def levels(shop: Shop) -> list[int]:
    found = await on_hand(shop.world)
    return [found[str(shop.store_id), str(item)] for item in shop.products]


async def lines(owner: httpx.AsyncClient, count: str, only: str) -> list[dict[str, Any]]:
    answer = await owner.get(f"{COUNTS}/{count}/lines", params={"only": only})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_sales_before_and_after_counting_change_no_difference(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    guarana, water = shop.products
    count = await opened(owner, shop)
    await sell(shopper, shop, guarana, 2)
    # Eight should be there; one is missing.
    entered = await enter(owner, count, **{str(guarana): 7})
    assert entered.json() == {
        "lines": 2, "counted": 1, "differing": 1, "surplus": 0, "missing": 1,
    }  # fmt: skip
    await sell(shopper, shop, guarana, 3)
    assert [line["item_name"] for line in await lines(owner, count, "uncounted")] == ["Água"]
    closed = await owner.post(f"{COUNTS}/{count}/close", headers=key())
    assert (closed.status_code, closed.json()["status"]) == (200, "closed")
    assert await levels(shop) == [4, 6], "ten less five sold less one missing; water as it was"
    (line,) = await lines(owner, count, "differing")
    said = ("opened_on_hand", "expected", "counted", "difference", "applied")
    assert [line[k] for k in said] == [10, 8, 7, -1, -1]
    assert await broken(shop.world) == {}
    assert str(water) not in {line["item_id"] for line in await lines(owner, count, "differing")}


async def test_a_loss_that_sales_took_already_ends_at_zero(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    water = shop.products[1]
    count = await opened(owner, shop)
    await enter(owner, count, **{str(water): 1})
    await sell(shopper, shop, water, 4)
    assert (await owner.post(f"{COUNTS}/{count}/close", headers=key())).status_code == 200
    assert await levels(shop) == [10, 0]
    (line,) = await lines(owner, count, "differing")
    assert (line["difference"], line["applied"]) == (-5, -2), "the report names what is owed"
    assert await broken(shop.world) == {}


async def test_an_item_entered_again_is_counted_anew(owner: httpx.AsyncClient, shop: Shop) -> None:
    guarana = str(shop.products[0])
    count = await opened(owner, shop)
    await enter(owner, count, **{guarana: 3})
    again = await enter(owner, count, **{guarana: 12})
    assert (again.json()["surplus"], again.json()["missing"]) == (2, 0)
    await owner.post(f"{COUNTS}/{count}/close", headers=key())
    assert await levels(shop) == [12, 6]


async def test_closing_twice_at_once_books_once(owner: httpx.AsyncClient, shop: Shop) -> None:
    count = await opened(owner, shop)
    await enter(owner, count, **{str(shop.products[0]): 4})
    answers = await asyncio.gather(
        *(owner.post(f"{COUNTS}/{count}/close", headers=key()) for _ in range(6))
    )
    assert sorted(a.status_code for a in answers) == [200, 409, 409, 409, 409, 409]
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"stock-count-ended"}
    assert await levels(shop) == [4, 6]


async def test_selling_while_counting_and_closing_at_once(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    guarana = shop.products[0]
    count = await opened(owner, shop)
    await enter(owner, count, **{str(guarana): 9})
    sales = [asyncio.create_task(sell(shopper, shop, guarana, 1)) for _ in range(5)]
    closing = await owner.post(f"{COUNTS}/{count}/close", headers=key())
    await asyncio.gather(*sales)
    assert closing.status_code == 200
    assert await levels(shop) == [10 - 1 - 5, 6]
    assert await broken(shop.world) == {}


async def test_refusals_change_nothing(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, shop: Shop, world: World
) -> None:
    before = await ledger(world)
    nowhere = await owner.post(COUNTS, json={"store_id": str(new_id())}, headers=key())
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "store-not-found")
    count = await opened(owner, shop)
    second = await owner.post(COUNTS, json={"store_id": str(shop.store_id)}, headers=key())
    assert (second.status_code, second.json()["code"]) == (409, "stock-count-open")
    nothing = await owner.post(f"{COUNTS}/{count}/close", headers=key())
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing-counted")
    untracked = str(await shop.product("Guardanapo", 1))
    odd = await enter(owner, count, **{untracked: 3, str(shop.products[0]): 1})
    assert (odd.status_code, odd.json()["items"]) == (409, [untracked])
    assert len(await lines(owner, count, "uncounted")) == 2, "all lines of a refusal are refused"
    theirs = await outsider.post(f"{COUNTS}/{count}/close", headers=key())
    assert (theirs.status_code, theirs.json()["code"]) == (404, "stock-count-not-found")
    given_up = await owner.post(f"{COUNTS}/{count}/cancel", headers=key())
    assert given_up.json()["status"] == "cancelled"
    late = await enter(owner, count, **{str(shop.products[0]): 1})
    assert (late.status_code, late.json()["code"]) == (409, "stock-count-ended")
    assert await ledger(world) == before
    assert [c["status"] for c in (await owner.get(COUNTS)).json()["items"]] == ["cancelled"]
    await opened(owner, shop)
