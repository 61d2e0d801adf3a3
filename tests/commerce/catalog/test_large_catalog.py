"""The search among 10,000 products: through its index, in time, best first, forgiving typos."""

from __future__ import annotations

import os
from time import perf_counter
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.commerce.catalog.repository import ProductRepository
from app.core.ids import new_id
from app.core.pagination import PageRequest
from app.kernel.work import Runtime
from tests.commerce.catalog.storefront import ADMIN, URL
from tests.factories.commerce import Shop
from tests.factories.tenants import World

_FILL = """
INSERT INTO products (id, category_id, name, slug, sku, price_cents)
SELECT gen_random_uuid(), :category, (ARRAY['Pizza', 'Esfiha', 'Suco', 'Bolo', 'Porção'])[n % 5 + 1]
  || ' ' || (ARRAY['Calabresa', 'Açaí', 'Maracujá', 'Queijo', 'Frango', 'Palmito', 'Ervilha'])
  [n % 7 + 1] || ' nº ' || n, 'produto-' || n, 'SKU-' || n, 1990
FROM generate_series(1, 10000) n
"""
QUERIES = (
    "acai", "pizza", "PORÇÃO DE", "maracuja 77", "calabreza", "pizza calabreza 77", "guarana",
    "sku-4711", "suco maracuja", "palmitto", "a", "nº 9",
)  # fmt: skip


@pytest.fixture
async def large(world: World, shop: Shop, runtime: Runtime) -> Shop:
    async with world.work() as work:
        await work.session.execute(text(_FILL), {"category": shop.category_id})
    async with runtime.database.system_driver() as driver:
        await driver.execute("ANALYZE products")
    return shop


async def found(client: httpx.AsyncClient, url: str, **query: Any) -> dict[str, Any]:
    answer = await client.get(url, params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_ten_thousand_products_are_searched_in_time_and_by_the_index(
    world: World, shopper: httpx.AsyncClient, owner: httpx.AsyncClient, large: Shop
) -> None:
    took: list[float] = []
    for url, client in ((f"{URL}/products", shopper), (f"{ADMIN}/products", owner)):
        for query in QUERIES:
            times: list[float] = []
            for _ in range(4):
                began = perf_counter()
                await found(client, url, query=query, limit=20)
                times.append(1000 * (perf_counter() - began))
            took.append(min(times))  # the best of four: others use this machine, too
    took.sort()
    p95, median = took[int(len(took) * 0.95)], took[len(took) // 2]
    print(f"search among 10,000 products: p95 {p95:.1f} ms, median {median:.1f} ms")
    # The figure is 50 ms on a machine of its own (STRICT_FIGURES=1); beside other tests this many.
    assert p95 <= (50 if os.environ.get("STRICT_FIGURES") else 400)
    for words in (["calabresa", "77"], ["calabreza"], ["sku-4711"]):
        async with world.work() as work:
            products = ProductRepository(work.session)
            page = await products.named(words, PageRequest(20), None, None)
            scans = await work.session.scalar(
                text("SELECT pg_stat_get_xact_numscans('products_search_idx'::regclass)")
            )
        assert page.items
        assert scans, f"{words} were found without the index"


async def test_pages_by_relevance_hold_each_product_once(
    owner: httpx.AsyncClient, large: Shop
) -> None:
    for query, expected in (("calabresa 77", 5), ("calabreza 77", 5)):
        whole = await found(owner, f"{ADMIN}/products", query=query, limit=100)
        everyone = [p["id"] for p in whole["items"]]
        assert len(everyone) >= expected
        pages: list[str] = []
        page: dict[str, Any] = {"next_cursor": ""}
        while page["next_cursor"] is not None:
            after = {"cursor": page["next_cursor"]} if pages else {}
            page = await found(owner, f"{ADMIN}/products", query=query, limit=7, **after)
            pages += [p["id"] for p in page["items"]]
        assert pages == everyone
        assert len(set(pages)) == len(pages)


async def test_typos_are_forgiven_and_the_best_comes_first(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    calabresa = str(await shop.product("Pizza Calabresa"))
    half = str(await shop.product("Meia pizza calabresa"))
    guarana = str(await shop.product("Guaraná Antarctica 2L"))
    acai = str(await shop.product("Açaí na tigela"))
    gone = await shop.product("Guarana diet")
    assert (await owner.delete(f"{ADMIN}/products/{gone}")).status_code == 204

    for query, expected in {
        "calabreza": {calabresa, half},
        "piza calabresa": {calabresa, half},
        "GURANA": {guarana},
        "guarana antartica": {guarana},
        "açai": {acai},
        "xis": set(),
        "lasanha": set(),
        "p%": set(),
    }.items():
        for client, url in ((shopper, f"{URL}/products"), (owner, f"{ADMIN}/products")):
            items = (await found(client, url, query=query))["items"]
            assert {p["id"] for p in items} == expected, query
    exact = (await found(shopper, f"{URL}/products", query="pizza calabresa"))["items"]
    assert [p["id"] for p in exact] == [calabresa, half], "the name itself before a part of one"


async def test_filters_and_strangers_bound_the_search(
    outsider: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    on = str(await shop.product("Esfiha de carne"))
    off = str(await shop.product("Esfiha de queijo", is_active=False))
    url = f"{ADMIN}/products"
    assert (await found(outsider, url, query="esfiha"))["items"] == []
    assert (await found(outsider, url, query="esfira"))["items"] == []
    both = {p["id"] for p in (await found(owner, url, query="esfira"))["items"]}
    assert both == {on, off}
    only = await found(owner, url, query="esfira", is_active=False)
    assert [p["id"] for p in only["items"]] == [off]
    there = await found(owner, url, query="esfira", category_id=str(shop.category_id))
    assert len(there["items"]) == 2
    assert (await found(owner, url, query="esfira", category_id=str(new_id())))["items"] == []
    assert (await found(owner, url, query="esfiha", cursor=str(new_id())))["items"] == []


async def test_whatever_is_typed_is_only_looked_for(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    await shop.product("Pizza")
    for query in (
        "'; DROP TABLE products",
        "%1$s %s %%L",
        "a\\",
        "$1 $6",
        "_____",
        "ﷺ" * 80,
    ):
        for client, url in ((shopper, f"{URL}/products"), (owner, f"{ADMIN}/products")):
            assert (await found(client, url, query=query))["items"] == [], query
