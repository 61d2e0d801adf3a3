"""The catalogue for agents: what the storefront sells, with ids that go into a checkout."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.commerce.ucp.contract import PRODUCT, PRODUCTS, check, check_session
from tests.commerce.ucp.platform import (
    BUYER,
    CATALOG,
    CHECKOUT,
    DELIVERY,
    LOOKUP,
    PICKUP,
    SEARCH,
    Platform,
    platform,
)
from tests.factories.commerce import Shop, make_shop
from tests.factories.tenants import World


async def asked(agent: Platform, path: str, **body: Any) -> dict[str, Any]:
    answer = await agent.ask("POST", f"{CATALOG}/{path}", body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def prices(found: dict[str, Any]) -> dict[str, int]:
    return {p["title"]: p["price_range"]["min"]["amount"] for p in found["products"]}


async def test_what_is_found_can_be_ordered(agent: Platform, shop: Shop) -> None:
    sizes = await shop.product("Calabresa especial", 3000, description="Com cebola roxa")
    small = await shop.variant(sizes, "broto", 3500)
    big = await shop.variant(sizes, "grande", 6500)
    found = await asked(agent, "search", query="calabreza")
    check(found, PRODUCTS)
    assert set(found["ucp"]["capabilities"]) == {SEARCH}
    assert prices(found) == {"Pizza calabresa": 4990, "Calabresa especial": 3500}
    special = next(p for p in found["products"] if p["id"] == str(sizes))
    assert special["description"] == {"plain": "Com cebola roxa"}
    assert special["price_range"]["max"] == {"amount": 6500, "currency": "BRL"}
    assert [v["id"] for v in special["variants"]] == [str(small), str(big)]
    ids = [v["id"] for p in found["products"] for v in p["variants"]]
    session = await agent.create(*((i, 1) for i in ids), buyer=BUYER, fulfillment=PICKUP)
    assert session["status"] == "ready_for_complete"
    charged = {line["item"]["id"]: line["item"]["price"] for line in session["line_items"]}
    told = {v["id"]: v["price"]["amount"] for p in found["products"] for v in p["variants"]}
    assert charged == told


async def test_pages_categories_and_prices(agent: Platform, shop: Shop) -> None:
    for number in range(5):
        await shop.product(f"Suco {number}", 1000 + number * 100)
    first = await asked(agent, "search", filters={}, pagination={"limit": 4})
    check(first, PRODUCTS)
    assert first["pagination"]["has_next_page"] is True
    cursor = first["pagination"]["cursor"]
    rest = await asked(agent, "search", filters={}, pagination={"limit": 4, "cursor": cursor})
    assert rest["pagination"] == {"has_next_page": False}
    assert len(prices(first) | prices(rest)) == 7
    category = {"categories": [str(shop.category_id)]}
    assert len((await asked(agent, "search", filters=category))["products"]) == 7
    assert not (await asked(agent, "search", filters={"categories": ["outra"]}))["products"]
    between = {"price": {"min": 1100, "max": 1200}}
    money = {"currency": "BRL"}
    some = await asked(agent, "search", query="suco", filters=between, context=money)
    assert prices(some) == {"Suco 1": 1100, "Suco 2": 1200}
    told = await asked(agent, "search", query="suco", filters=between)
    assert [m["code"] for m in told["messages"]] == ["price_filter_ignored"]
    assert len(told["products"]) == 5


async def test_identifiers_are_looked_up(agent: Platform, shop: Shop, stranger: World) -> None:
    theirs = await make_shop(stranger)
    foreign = str(await theirs.product("Alheia", 100))
    sizes = await shop.product("Pizza do chef", 3000, sku="CHEF")
    small = str(await shop.variant(sizes, "broto", 3500))
    big = str(await shop.variant(sizes, "grande", 6500))
    await shop.track(sizes, 5)
    found = await asked(agent, "lookup", ids=["CHEF", big, "GUA", foreign, "GUA"])
    check(found, PRODUCTS)
    assert set(found["ucp"]["capabilities"]) == {LOOKUP}
    assert [(m["code"], foreign in m["content"]) for m in found["messages"]] == [
        ("not_found", True)
    ]
    variants = {v["id"]: v["inputs"] for p in found["products"] for v in p["variants"]}
    assert variants == {
        small: [{"id": "CHEF", "match": "featured"}],
        big: [{"id": big, "match": "exact"}],
        str(shop.products[1]): [{"id": "GUA", "match": "exact"}],
    }
    many = await agent.ask("POST", f"{CATALOG}/lookup", {"ids": ["GUA"] * 51})
    assert (many.status_code, many.json()["code"]) == (400, "request_too_large")


async def test_one_product_is_told_whole(agent: Platform, shop: Shop) -> None:
    sizes = await shop.product("Pizza do chef", 3000)
    small = str(await shop.variant(sizes, "broto", 3500))
    big = str(await shop.variant(sizes, "grande", 6500))
    await shop.group(sizes, {"Borda": 500}, min_choices=1)
    for asked_for, order in ((str(sizes), [small, big]), (big, [big, small])):
        found = await asked(agent, "product", id=asked_for)
        check(found, PRODUCT)
        assert [v["id"] for v in found["product"]["variants"]] == order
        assert found["product"]["metadata"] == {"choices_required": True}
    none = await asked(agent, "product", id="NADA")
    assert none["ucp"]["status"] == "error"
    assert none["messages"][0]["code"] == "not_found"


async def test_what_is_sold_out_or_off_the_shelf_is_not_promised(
    agent: Platform, shop: Shop
) -> None:
    await shop.product("Última", 900, stock=0, sku="FIM")
    await shop.product("Fora", 900, is_active=False, sku="FORA")
    found = await asked(agent, "lookup", ids=["FIM", "FORA"])
    check(found, PRODUCTS)
    [only] = found["products"]
    assert only["variants"][0]["availability"] == {"available": False, "status": "out_of_stock"}
    assert [m["code"] for m in found["messages"]] == ["not_found"]


async def test_another_store_has_its_own_prices(
    agent: Platform, shop: Shop, owner: httpx.AsyncClient, world: World
) -> None:
    other = await make_shop(world, slug="bairro")
    path = f"/api/v1/admin/catalog/products/{shop.products[1]}/stores/{other.store_id}"
    answer = await owner.put(path, json={"price_cents": 950, "is_available": True})
    assert answer.is_success, answer.text
    here = await asked(agent, "search", query="guaraná")
    there = await asked(agent, "search", query="guaraná", context={"location": "bairro"})
    nowhere = await asked(agent, "search", query="guaraná", context={"location": "lua"})
    assert [prices(f)["Guaraná"] for f in (here, there, nowhere)] == [800, 950, 800]


async def test_prices_by_method_and_promotion_are_told_as_they_will_be_charged(
    agent: Platform, shop: Shop
) -> None:
    juice = await shop.product("Suco de uva", 1000, pickup_price_cents=900)
    await shop.promotion(name="Terça", kind="percent", value=1000)
    found = await asked(agent, "search", query="uva")
    check(found, PRODUCTS)
    [variant] = found["products"][0]["variants"]
    assert variant["metadata"] == {
        "promotional_price": {"amount": 900, "currency": "BRL"},
        "method_prices": {"pickup": {"amount": 900, "currency": "BRL"}},
    }
    sent = await agent.create((juice, 1), buyer=BUYER, fulfillment=DELIVERY)
    line = sent["line_items"][0]
    assert (line["item"]["price"], line["totals"][-1]["amount"]) == (1000, 900)
    picked = await agent.update(sent["id"], (juice, 1), buyer=BUYER, fulfillment=PICKUP)
    line = picked["line_items"][0]
    assert (line["item"]["price"], line["totals"][-1]["amount"]) == (900, 810)
    check_session(picked)


@pytest.mark.parametrize(
    ("path", "body"), [("search", {}), ("search", {"query": ""}), ("lookup", {"ids": []})]
)
async def test_who_asks_for_nothing_is_refused(
    agent: Platform, shop: Shop, path: str, body: dict[str, Any]
) -> None:
    answer = await agent.ask("POST", f"{CATALOG}/{path}", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")


async def test_only_who_speaks_of_a_catalogue_is_shown_it(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    async with platform(shopper, CHECKOUT, SEARCH) as some:
        assert (await asked(some, "search", query="guaraná"))["products"]
        for path, body in (("lookup", {"ids": ["GUA"]}), ("product", {"id": "GUA"})):
            refused = await asked(some, path, **body)
            assert refused["messages"][0]["code"] == "capabilities_incompatible"
