"""What costs something else where it is delivered or picked up: menu, preview and checkout."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.commerce.catalog.storefront import ADMIN, by_id, read_menu
from tests.factories.commerce import PAULISTA, Shop, key

PRODUCTS = f"{ADMIN}/products"


async def previewed(shopper: httpx.AsyncClient, product: UUID, **item: Any) -> tuple[int, int]:
    """What one costs delivered and picked up."""
    found = []
    for fulfilment in ("delivery", "pickup"):
        cart = {
            "store": "centro", "fulfilment": fulfilment, "address": PAULISTA,
            "items": [{"product_id": str(product), "quantity": 1, **item}],
        }  # fmt: skip
        answer = await shopper.post("/api/v1/checkout/preview", json=cart)
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["subtotal_cents"])
    return found[0], found[1]


async def shown(shopper: httpx.AsyncClient, product: UUID) -> tuple[int, int]:
    """What the menu says of it."""
    found = by_id(await read_menu(shopper))[product]
    channels = found["channel_prices"]
    usual = {"price_cents": found["price_cents"]}
    return (
        channels.get("delivery", usual)["price_cents"],
        channels.get("pickup", usual)["price_cents"],
    )


@pytest.mark.parametrize(
    ("product", "store", "expected"),
    [
        ({}, {}, (5000, 5000)),
        ({"pickup_price_cents": 4500}, {}, (5000, 4500)),
        ({"delivery_price_cents": 0, "pickup_price_cents": 5000}, {}, (0, 5000)),
        ({"pickup_price_cents": 4500}, {"price_cents": 5200}, (5200, 5200)),
        ({"pickup_price_cents": 4500}, {"pickup_price_cents": 4400}, (5000, 4400)),
        (
            {"delivery_price_cents": 6000},
            {"price_cents": 5200, "pickup_price_cents": 4400},
            (5200, 4400),
        ),
    ],
)
async def test_the_most_particular_price_counts(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop, product: dict[str, int],
    store: dict[str, int], expected: tuple[int, int],
) -> None:  # fmt: skip
    pizza = await shop.product("Pizza", 5000)
    assert await previewed(shopper, pizza) == (5000, 5000)
    edited = await owner.patch(f"{PRODUCTS}/{pizza}", json=product)
    assert edited.json().items() >= product.items()
    if store:
        answer = await owner.put(f"{PRODUCTS}/{pizza}/stores/{shop.store_id}", json=store)
        assert answer.json().items() >= store.items()
    assert await shown(shopper, pizza) == expected
    assert await previewed(shopper, pizza) == expected


async def test_orders_are_charged_by_how_they_are_handed_over(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    pizza = await shop.product("Pizza", 5000)
    for price in (4500, 4200):  # the second one while the first is remembered
        body = {"pickup_price_cents": price}
        assert (await owner.patch(f"{PRODUCTS}/{pizza}", json=body)).is_success
        for cart, cents in ((shop.cart(pizza), price), (shop.delivery(pizza), 5000)):
            for _ in range(2):
                answer = await shopper.post("/api/v1/checkout", json=cart, headers=key())
                assert answer.status_code == 201, answer.text
                assert answer.json()["subtotal_cents"] == cents


async def test_variants_and_promotions(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    pizza = await shop.product("Pizza", 5000)
    body = {"name": "Broto", "price_cents": 3000, "pickup_price_cents": 2500}
    variant = await owner.post(f"{PRODUCTS}/{pizza}/variants", json=body, headers=key())
    assert variant.json()["pickup_price_cents"] == 2500
    assert await previewed(shopper, pizza, variant_id=variant.json()["id"]) == (3000, 2500)
    await shop.promotion(kind="percent", value=1000)
    [broto] = by_id(await read_menu(shopper))[pizza]["variants"]
    assert broto["promotional_cents"] == 2700
    assert broto["channel_prices"] == {"pickup": {"price_cents": 2500, "promotional_cents": 2250}}


async def test_edits_of_many_and_copies_take_them_along(
    owner: httpx.AsyncClient, shop: Shop
) -> None:
    pizza = await shop.product("Pizza", 5000, pickup_price_cents=4500)
    small = {"name": "Broto", "price_cents": 3000, "delivery_price_cents": 3500}
    await owner.post(f"{PRODUCTS}/{pizza}/variants", json=small, headers=key())
    store = {"delivery_price_cents": 5500}
    await owner.put(f"{PRODUCTS}/{pizza}/stores/{shop.store_id}", json=store)

    def prices(of: dict[str, Any]) -> tuple[int, int | None, int | None]:
        return of["price_cents"], of["delivery_price_cents"], of["pickup_price_cents"]

    async def edit(**price: Any) -> dict[str, Any]:
        body = {"product_ids": [str(pizza)], "price": price}
        assert (await owner.post(f"{PRODUCTS}/bulk", json=body, headers=key())).is_success
        found: dict[str, Any] = (await owner.get(f"{PRODUCTS}/{pizza}")).json()
        return found

    dearer = await edit(by="percent", value=1000)
    assert prices(dearer) == (5500, None, 4950)
    assert prices(dearer["variants"][0]) == (3300, 3850, None)
    assert prices(await edit(by="set", value=6000)) == (6000, None, 4950), "the usual one is set"
    copy = (await owner.post(f"{PRODUCTS}/{pizza}/duplicate", headers=key())).json()
    assert prices(copy) == (6000, None, 4950)
    assert prices(copy["variants"][0]) == (3300, 3850, None)
    assert [s["delivery_price_cents"] for s in copy["stores"]] == [5500]

    for wrong in (-1, "x"):
        body = {"pickup_price_cents": wrong}
        assert (await owner.patch(f"{PRODUCTS}/{pizza}", json=body)).status_code == 422
    cleared = await owner.patch(f"{PRODUCTS}/{pizza}", json={"pickup_price_cents": None})
    assert prices(cleared.json()) == (6000, None, None)
