"""An order of a tenant that has nothing to tell by queues no job for it; connecting starts it."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx

from app.conversations.notifications.jobs import ORDER_NEWS
from app.core.settings import Settings
from app.kernel.telling import NOTICE_FAN_OUT, WEBHOOK_FAN_OUT
from app.worker import build_runtime, close_runtime
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World
from tests.factories.whatsapp import number_body

NUMBERS, TELEGRAM = "/api/v1/whatsapp/numbers", "/api/v1/admin/connections/telegram"


async def queued(world: World) -> Counter[str]:
    """The tenant's jobs since the last time, by name."""
    async with world.runtime.database.system_driver() as driver:
        rows = await driver.fetch(
            "DELETE FROM pgqueuer WHERE convert_from(payload, 'UTF8')::json->>'tenant_id' = $1 "
            "RETURNING entrypoint",
            str(world.tenant.id),
        )
    return Counter(row["entrypoint"] for row in rows)


async def order(shop: Shop, shopper: httpx.AsyncClient) -> Counter[str]:
    body = shop.delivery(shop.products[0])
    assert (await shopper.post("/api/v1/checkout", json=body, headers=key())).status_code == 201
    return await queued(shop.world)


async def test_an_order_queues_what_somebody_hears(
    world: World, shopper: httpx.AsyncClient, owner: httpx.AsyncClient
) -> None:
    shop = await make_shop(world)
    await shop.product("Pizza", 4990)
    silent = Counter({NOTICE_FAN_OUT: 1})
    assert await order(shop, shopper) == silent

    number = await owner.post(NUMBERS, json=number_body(), headers=key())
    assert await order(shop, shopper) == silent | Counter({ORDER_NEWS: 1})
    assert (await owner.delete(f"{NUMBERS}/{number.json()['id']}")).status_code == 204
    assert await order(shop, shopper) == silent

    telegram = {
        "config": {"chat_id": "-1001122334455"},
        "secret": {"bot_token": "7001234567:AAHtokenOfTheBot"},
    }
    assert (await owner.put(TELEGRAM, json=telegram)).status_code == 200
    hook = {"url": "https://erp.example/largo", "events": ["*"]}
    assert (await owner.post("/api/v1/admin/webhooks", json=hook)).status_code == 201
    await queued(world)
    everybody = Counter({NOTICE_FAN_OUT: 1, ORDER_NEWS: 1, WEBHOOK_FAN_OUT: 1})
    assert await order(shop, shopper) == everybody


async def test_another_process_hears_that_a_number_was_connected(
    config: Settings, world: World, owner: httpx.AsyncClient
) -> None:
    other = build_runtime(config)
    await other.bus.start()
    try:
        assert ORDER_NEWS in (await other.tenants.by_id(world.tenant.id)).unheard
        await owner.post(NUMBERS, json=number_body(), headers=key())
        await asyncio.sleep(0.2)
        tenant = await other.tenants.by_id(world.tenant.id)
        assert ORDER_NEWS not in tenant.unheard
    finally:
        await close_runtime(other)
