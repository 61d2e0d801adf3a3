"""The menus kept ready: nobody is shown an old price, and many readers cost one build."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest

from app.commerce.catalog import snapshot
from app.commerce.catalog.snapshot import MenuCache, menus
from app.core.settings import Settings
from app.main import create_app
from tests.commerce.catalog.storefront import ADMIN, URL, by_id, read_menu, ring
from tests.conftest import serving
from tests.factories.commerce import Shop


async def test_a_changed_price_is_in_the_next_answer_everywhere(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop, config: Settings
) -> None:
    product = await shop.product("Pizza", 1000)
    headers = {"X-Tenant": shop.world.tenant.slug}
    async with serving(create_app(config)) as twin:
        transport = httpx.ASGITransport(twin)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://largo.test", headers=headers
        ) as elsewhere:
            assert by_id(await read_menu(elsewhere))[product]["price_cents"] == 1000
            for price in (2000, 3000, 4000):
                assert by_id(await read_menu(shopper))[product]["price_cents"] == price - 1000
                await owner.patch(f"{ADMIN}/products/{product}", json={"price_cents": price})
                deadline = time.monotonic() + 0.1
                assert by_id(await read_menu(shopper))[product]["price_cents"] == price
                while by_id(await read_menu(elsewhere))[product]["price_cents"] != price:
                    assert time.monotonic() < deadline, "the other process heard nothing"
                    await asyncio.sleep(0.002)
            other, mine = menus(twin.runtime), menus(shop.world.runtime)
            assert other is not mine
            assert other.built == 4


async def test_every_change_of_the_catalogue_is_seen_at_once(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    product = await shop.product("Pizza")
    category = f"{ADMIN}/categories/{shop.category_id}"
    url = f"{ADMIN}/products/{product}"
    seen = [await read_menu(shopper)]

    async def differs(answer: httpx.Response) -> Any:
        assert answer.is_success, answer.text
        found = await read_menu(shopper)
        assert found != seen[-1]
        seen.append(found)
        return answer.json() if answer.content else None

    await differs(await owner.patch(category, json={"name": "Novo nome"}))
    await differs(await owner.patch(url, json={"description": "Nova"}))
    variant = await differs(
        await owner.post(f"{url}/variants", json={"name": "G", "price_cents": 9})
    )
    variant_url = f"{url}/variants/{variant['id']}"
    await differs(await owner.patch(variant_url, json={"price_cents": 8}))
    await differs(await owner.delete(variant_url))
    body = {"name": "Extras", "modifiers": [{"name": "Ovo"}]}
    group = (await owner.post(f"{ADMIN}/modifier-groups", json=body)).json()["id"]
    groups = f"{ADMIN}/modifier-groups/{group}"
    await differs(await owner.put(f"{url}/modifier-groups", json={"group_ids": [group]}))
    await differs(await owner.patch(groups, json={"max_choices": 5}))
    modifiers = {"modifiers": [{"name": "Bacon"}]}
    await differs(await owner.put(f"{groups}/modifiers", json=modifiers))
    await differs(await owner.delete(groups))
    await differs(await owner.put(f"{url}/stores/{shop.store_id}", json={"price_cents": 7}))
    await differs(await owner.delete(url))


async def test_fifty_readers_cost_one_build(
    shopper: httpx.AsyncClient, shop: Shop, cache: MenuCache
) -> None:
    await shop.product()
    await read_menu(shopper)
    await ring(shop.world)
    before = cache.built
    answers = await asyncio.gather(*(shopper.get(f"{URL}?store=centro") for _ in range(50)))
    assert {a.status_code for a in answers} == {200}
    assert len({a.headers["etag"] for a in answers}) == 1
    assert cache.built == before + 1


async def test_a_doorbell_during_a_build_makes_it_old(shop: Shop, cache: MenuCache) -> None:
    tenant = shop.world.tenant
    before = cache.built
    reading = asyncio.create_task(cache.get(tenant, b"centro"))
    for _ in range(3):
        await asyncio.sleep(0)  # until it reads
    shop.world.runtime.bus._tell(snapshot.TOPIC, str(tenant.id))
    assert not reading.done()
    await reading
    assert cache.peek(tenant, b"centro") is None, "what was read before the ring is not kept"
    await asyncio.gather(*(cache.get(tenant, b"centro") for _ in range(10)))
    assert cache.peek(tenant, b"centro") is not None
    assert cache.built == before + 2


async def test_a_storm_of_doorbells_builds_one_at_a_time(shop: Shop, cache: MenuCache) -> None:
    tenant = shop.world.tenant
    before, readers = cache.built, []
    for _ in range(40):
        readers += [asyncio.create_task(cache.get(tenant, b"centro")) for _ in range(2)]
        await asyncio.sleep(0)
        shop.world.runtime.bus._tell(snapshot.TOPIC, str(tenant.id))
    await asyncio.gather(*readers)
    assert cache.built <= before + 3
    await cache.get(tenant, b"centro")
    assert cache.peek(tenant, b"centro") is not None


async def test_readers_after_a_doorbell_never_get_what_was_read_before_it(
    shop: Shop, cache: MenuCache
) -> None:
    product = await shop.product("Pizza", 1)
    tenant = shop.world.tenant
    old = asyncio.create_task(cache.get(tenant, b"centro"))
    for price in range(2, 12):
        async with shop.world.work() as work:
            await (await work.raw()).execute(
                "UPDATE products SET price_cents = $1 WHERE id = $2", price, product
            )
            work.ring(snapshot.TOPIC)
        readers = [asyncio.create_task(cache.get(tenant, b"centro")) for _ in range(3)]
        await asyncio.sleep(0.001 * (price % 3))
        menu = await readers[0]
        body = menu.answer({})[2]
        assert b'"price_cents":%d,' % price in body
    await old


async def test_a_reader_who_leaves_does_not_stop_the_others(shop: Shop, cache: MenuCache) -> None:
    tenant = shop.world.tenant
    leaving = asyncio.create_task(cache.get(tenant, b"centro"))
    staying = asyncio.create_task(cache.get(tenant, b"centro"))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying is cache.peek(tenant, b"centro")


class _Clock:
    ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s


async def test_old_bytes_are_served_while_one_build_runs_behind(
    shopper: httpx.AsyncClient, shop: Shop, cache: MenuCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes whose ring was lost are found when the menu grows old."""
    clock = _Clock()
    monkeypatch.setattr(snapshot, "time", clock)
    product = await shop.product("Pizza", 1)

    async def price() -> int:
        found: int = by_id(await read_menu(shopper))[product]["price_cents"]
        return found

    async def set_price(cents: int) -> None:
        async with shop.world.work() as work:
            await (await work.raw()).execute("UPDATE products SET price_cents = $1", cents)

    assert await price() == 1
    await set_price(2)
    clock.ahead_s = 29
    assert await price() == 1, "nobody rang"
    clock.ahead_s = 31
    before = cache.built
    assert await asyncio.gather(*(price() for _ in range(10))) == [1] * 10
    for _ in range(200):
        await asyncio.sleep(0.005)
        if await price() == 2:
            break
    assert (await price(), cache.built) == (2, before + 1)
    await set_price(3)
    clock.ahead_s = 31 + 61
    assert await price() == 3, "too old to be shown even once"


async def test_a_build_takes_eight_statements_at_any_size(
    shopper: httpx.AsyncClient, shop: Shop, statements: list[str]
) -> None:
    counts = []
    for size in (1, 10):
        for number in range(size):
            product = await shop.product(f"P{number}")
            await shop.variant(product, "G", 1)
            await shop.group(product, {"Bacon": 1, "Ovo": 1})
        for path in (URL, f"{URL}/products"):
            await shopper.get(path, params={"store": "centro"})
            await ring(shop.world)
            statements.clear()
            await shopper.get(path, params={"store": "centro"})
            counts.append(len(statements))
    assert counts == [8, 9, 8, 9]
