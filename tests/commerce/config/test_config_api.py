"""What a merchant switches during the day: pause, busy kitchen, and who hears of it."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy import select

from app.commerce.stores.models import Store
from app.core.clock import now
from app.kernel.realtime.models import StreamEvent
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

CONFIG = "/api/v1/admin/config"


@pytest.fixture
async def shop(world: World) -> Shop:
    shop = await make_shop(world)
    await shop.product("Calabresa", 4990, stock=100)
    return shop


async def buy(shopper: httpx.AsyncClient, shop: Shop) -> httpx.Response:
    body = shop.delivery(shop.products[0])
    return await shopper.post("/api/v1/checkout", json=body, headers=key())


async def test_a_pause_stops_the_very_next_order_and_ends_by_itself(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    for _ in range(2):  # the second one goes the short way
        assert (await buy(shopper, shop)).status_code == 201
    path = f"{CONFIG}/stores/{shop.store_id}/pause"
    paused = await owner.put(path, json={"minutes": 30, "reason": "Forno em manutenção"})
    assert paused.status_code == 200, paused.text
    until = paused.json()["paused_until"]
    refused = await buy(shopper, shop)
    assert refused.status_code == 409
    assert refused.json()["reasons"] == ["paused"]
    assert refused.json()["next_available_at"].replace("+00:00", "Z") == until
    quote = await shopper.post(
        "/api/v1/shipping/quote", json={"store": shop.store_slug, "postal_code": "01310-100"}
    )
    assert (quote.status_code, quote.json()["reasons"]) == (409, ["paused"])
    seen = (await shopper.get(f"/api/v1/stores/{shop.store_slug}")).json()
    assert seen["pause_reason"] == "Forno em manutenção"
    assert seen["availability"]["pickup"]["next_available_at"] == until
    await shop.change_store(paused_until=now())
    assert (await buy(shopper, shop)).status_code == 201
    (listed,) = (await owner.get(CONFIG)).json()["items"]
    assert (listed["paused_until"], listed["pause_reason"]) == (None, None)


async def test_a_pause_ended_early_is_told_on_the_live_stream(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    path = f"{CONFIG}/stores/{shop.store_id}/pause"
    await owner.put(path, json={"minutes": 5, "reason": "Fila na porta"})
    ended = await owner.delete(path)
    assert ended.json()["availability"]["delivery"]["open"] is True
    assert (await buy(shopper, shop)).status_code == 201
    async with shop.world.work() as work:
        told = (
            await work.session.scalars(
                select(StreamEvent.data)
                .where(StreamEvent.type == "commerce.store_operation_changed")
                .order_by(StreamEvent.seq)
            )
        ).all()
    assert [(t["change"], t["reason"]) for t in told] == [
        ("paused", "Fila na porta"),
        ("resumed", None),
    ]


async def test_a_busy_kitchen_promises_later_both_in_quote_and_order(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    before = (await buy(shopper, shop)).json()["eta_minutes"]
    path = f"{CONFIG}/stores/{shop.store_id}/busy"
    answer = await owner.put(path, json={"busy_minutes": 25})
    assert answer.json()["busy_minutes"] == 25
    assert (await buy(shopper, shop)).json()["eta_minutes"] == before + 25
    quote = await shopper.post(
        "/api/v1/shipping/quote", json={"store": shop.store_slug, "postal_code": "01310-100"}
    )
    assert quote.json()["eta_minutes"] == before + 25


async def test_wrong_pauses_and_strangers_change_nothing(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, shop: Shop
) -> None:
    path = f"{CONFIG}/stores/{shop.store_id}"
    assert (
        await owner.put(f"{path}/pause", json={"minutes": 0, "reason": "Sem motivo"})
    ).status_code == 422
    body = {"minutes": 5, "reason": "Não é sua"}
    assert (await outsider.put(f"{path}/pause", json=body)).status_code == 404
    assert (await outsider.put(f"{path}/busy", json={"busy_minutes": 5})).status_code == 404
    assert (await outsider.delete(f"{path}/pause")).status_code == 404
    async with shop.world.work() as work:
        store = await work.session.get_one(Store, shop.store_id)
        assert (store.paused_until, store.busy_minutes) == (None, 0)


async def test_hours_of_another_store_are_taken_over(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, shop: Shop
) -> None:
    hours = [{"weekday": 2, "opens": "11:00", "closes": "15:00"}]
    exceptions = [{"date": "2026-12-25", "intervals": []}]
    other = await make_shop(world, slug="outra", hours=hours, exceptions=exceptions)
    path = f"/api/v1/admin/stores/{shop.store_id}/copy-hours"
    body = {"store_id": str(other.store_id)}
    assert (await outsider.post(path, json=body)).status_code == 404
    copied = await owner.post(path, json=body)
    assert copied.status_code == 200, copied.text
    assert (copied.json()["hours"], copied.json()["exceptions"]) == (hours, exceptions)
