"""What a customer is told of coupons and offers: in words, in their language."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.commerce.checkout.test_checkout import footprint
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

CHECK = "/api/v1/checkout/coupons"
PREVIEW = "/api/v1/checkout/preview"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
async def shop(world: World) -> Shop:
    shop = await make_shop(world, min_order_cents=2000)
    await shop.product("Calabresa", 4000)
    await shop.product("Guaraná", 750, stock=1)
    return shop


def cart(shop: Shop, *products: Any, **fields: Any) -> dict[str, Any]:
    body = shop.cart(*products, **fields)
    return {k: v for k, v in body.items() if k not in ("customer", "payment")}


async def ask(client: httpx.AsyncClient, url: str, body: Any, language: str = "") -> dict[str, Any]:
    headers = {"Accept-Language": language} if language else {}
    answer = await client.post(url, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("url", [CHECK, PREVIEW])
async def test_what_is_missing_is_said_in_the_readers_language(
    shopper: httpx.AsyncClient, shop: Shop, url: str
) -> None:
    await shop.promotion(kind="percent", value=1000, code="DEZ", min_subtotal_cents=5250)
    await shop.promotion(
        name="Frete por nossa conta", kind="free_shipping", value=0, min_subtotal_cents=5000
    )
    await shop.promotion(
        name="Leve 3", kind="buy_x_get_y", value=10_000, buy_quantity=2, get_quantity=1
    )
    await shop.promotion(name="Terça", kind="percent", value=1, ends_at=LONG_AGO)
    body = cart(shop, shop.products[0], coupons=["dez"])
    told = await ask(shopper, url, body, "en-GB, pt;q=0.5")
    refused = told["coupons" if url == CHECK else "coupons_not_applied"][0]
    assert (refused["code"], refused["reason"], refused["missing_cents"]) == (
        "DEZ",
        "below-minimum",
        1250,
    )
    assert refused["text"] == "Add R$ 12.50 to get 10% off."
    texts = [offer["text"] for offer in told["offers_within_reach"]]
    assert texts == ["Add R$ 10.00 to get free delivery.", "Add 2 items to get 3 and pay for 2."]
    for language in ("pt-BR,pt;q=0.9", "", "fr"):
        told = await ask(shopper, url, body, language)
        refused = told["coupons" if url == CHECK else "coupons_not_applied"][0]
        assert refused["text"] == "Faltam R$ 12,50 para ganhar 10% de desconto."
        assert [offer["text"] for offer in told["offers_within_reach"]] == [
            "Faltam R$ 10,00 para ganhar frete grátis.",
            "Faltam 2 itens para levar 3 e pagar 2.",
        ]
    assert [offer["name"] for offer in told["offers_within_reach"]] == [
        "Frete por nossa conta",
        "Leve 3",
    ]


async def test_a_refused_checkout_says_it_in_that_language_too(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    body = cart(shop, shop.products[0], coupons=["NADA"])
    placed = shop.cart(shop.products[0], coupons=["NADA"])
    english = key() | {"Accept-Language": "en"}
    refused = await shopper.post("/api/v1/checkout", json=placed, headers=english)
    assert refused.json()["coupons"][0]["text"] == "There is no coupon NADA."
    refused = await shopper.post("/api/v1/checkout", json=placed, headers=key())
    assert refused.json()["coupons"][0]["text"] == "Não encontramos o cupom NADA."
    told = await ask(shopper, PREVIEW, body, "en")
    assert told["coupons_not_applied"][0]["text"] == "There is no coupon NADA."


async def test_coupons_are_checked_before_the_cart_can_be_ordered(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    """Closed, below the minimum order, more than there is: the coupon is worth what it is worth."""
    await shop.promotion(kind="percent", value=1000, code="DEZ")
    await shop.change_store(hours=[])
    body = cart(shop, shop.products[1], coupons=["DEZ", "NADA"])
    body["items"][0]["quantity"] = 2
    before = await footprint(shop.world)
    refused = await shopper.post(PREVIEW, json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "store-closed")
    told = await ask(shopper, CHECK, body)
    assert (told["subtotal_cents"], told["discount_cents"], told["total_cents"]) == (
        1500,
        150,
        1350,
    )
    nothing = {"missing_cents": None, "missing_units": None}
    assert told["coupons"] == [
        {
            "code": "DEZ",
            "reason": None,
            "text": "R$ 1,50 de desconto.",
            "items_cents": 150,
            "shipping_cents": 0,
        }
        | nothing,
        {
            "code": "NADA",
            "reason": "unknown",
            "text": "Não encontramos o cupom NADA.",
            "items_cents": 0,
            "shipping_cents": 0,
        }
        | nothing,
    ]
    assert await footprint(shop.world) == before


async def test_what_cannot_be_priced_is_refused(
    shopper: httpx.AsyncClient, shop: Shop, stranger: World
) -> None:
    theirs = await make_shop(stranger, slug="longe")
    product = await theirs.product("Alheia", 100)
    for body, code in (
        (cart(shop, product), "items-unavailable"),
        (cart(shop, shop.products[0], store="longe"), "store-not-found"),
        (cart(shop, shop.products[0], fulfilment="delivery"), "address-required"),
        (cart(shop, shop.products[0], customer_phone="12345678"), "invalid-phone"),
    ):
        answer = await shopper.post(CHECK, json=body)
        assert answer.json()["code"] == code, answer.text
