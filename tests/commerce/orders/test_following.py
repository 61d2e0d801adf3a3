"""Following an order live: its own events alone, resumed after a break, for its token alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy.pool import QueuePool

from app.commerce.orders.live import tell
from app.commerce.orders.tracking import tracking_token
from app.core.ids import new_id
from app.kernel.realtime.guests import PER_THING
from app.main import Largo
from tests.commerce.orders.test_orders_api import move, place
from tests.factories.commerce import Shop, make_shop
from tests.factories.tenants import World
from tests.kernel.event_listener import Listener, opened


@pytest.fixture
async def shop(world: World) -> Shop:
    return await make_shop(world)


@asynccontextmanager
async def following(
    app: Largo, world: World, order_id: str, token: str, last: str | None = None
) -> AsyncIterator[Listener]:
    path = f"/api/v1/orders/{order_id}/events"
    who = {"x-tenant": world.tenant.slug}
    async with opened(app, path, who, {"token": token}, last) as listener:
        yield listener


def follow(app: Largo, world: World, placed: dict[str, Any], last: str | None = None) -> Any:
    return following(app, world, placed["id"], placed["tracking_token"], last)


def checked_out(app: Largo) -> int:
    pools = [e.pool for e in (app.runtime.database.tenant_engine,)]
    return sum(p.checkedout() for p in pools if isinstance(p, QueuePool))


async def test_only_its_own_events_and_resumed_after_a_break(
    app: Largo, shopper: httpx.AsyncClient, owner: httpx.AsyncClient, world: World, shop: Shop
) -> None:
    mine, other = await place(shopper, shop), await place(shopper, shop)
    async with follow(app, world, mine) as listener:
        await listener.until(lambda: bool(listener.of("hello")))
        assert listener.headers["content-type"].startswith("text/event-stream")
        assert checked_out(app) == 0, "a guest who waits holds no connection"
        await move(owner, other["id"], "confirmed")
        await move(owner, mine["id"], "confirmed")
        await listener.until(lambda: bool(listener.of("status")))
        (told,) = listener.of("status")
        assert told.data == {"status": "confirmed", "before": "pending"}
        assert other["id"].encode() not in b"".join(str(f).encode() for f in listener.frames)
    await move(owner, mine["id"], "preparing")
    await move(owner, other["id"], "preparing")
    await move(owner, mine["id"], "ready")
    async with follow(app, world, mine, str(told.id)) as again:
        await again.until(lambda: len(again.of("status")) == 2)
        assert [f.data["status"] for f in again.of("status")] == ["preparing", "ready"]
        await owner.patch(f"/api/v1/admin/orders/{mine['id']}", json={"note": "x"})
        await move(owner, mine["id"], "out_for_delivery")
        await again.until(lambda: len(again.of("status")) == 3)
        assert again.of("changed") == [], "a refused edit tells nothing"


async def test_a_cursor_that_is_not_known_is_told_to_read_anew(
    app: Largo, shopper: httpx.AsyncClient, world: World, shop: Shop
) -> None:
    placed = await place(shopper, shop)
    async with follow(app, world, placed, "999999999") as listener:
        await listener.until(lambda: bool(listener.of("resync")))


async def test_a_token_opens_one_order_of_one_shop(
    app: Largo, shopper: httpx.AsyncClient, world: World, stranger: World, shop: Shop
) -> None:
    mine, other = await place(shopper, shop), await place(shopper, shop)
    nobody = new_id()
    for shop_of, order_id, token in (
        (world, mine["id"], other["tracking_token"]),
        (world, mine["id"], "x" * 43),
        (stranger, mine["id"], mine["tracking_token"]),
        (world, str(nobody), tracking_token(app.runtime.tracking, nobody)),
    ):
        async with following(app, shop_of, order_id, token) as listener:
            assert listener.status == 404


async def test_streams_of_one_order_are_counted_and_given_back(
    app: Largo, shopper: httpx.AsyncClient, world: World, shop: Shop
) -> None:
    placed = await place(shopper, shop)
    for _ in range(2):
        seats = [follow(app, world, placed) for _ in range(PER_THING)]
        for seat in seats:
            assert (await seat.__aenter__()).status == 200
        async with follow(app, world, placed) as one_more:
            assert (one_more.status, one_more.headers["retry-after"]) == (429, "5")
        for seat in seats:
            await seat.__aexit__(None, None, None)


async def test_guessing_tokens_is_slowed_down_and_following_is_not(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    placed = await place(shopper, shop)
    url = f"/api/v1/orders/{placed['id']}"
    codes = [(await shopper.get(url, params={"token": f"{n:043d}"})).status_code for n in range(40)]
    assert codes[:30] == [404] * 30
    assert codes[-1] == 429
    assert (await shopper.get(placed["tracking_path"])).status_code == 200


async def test_the_customer_says_why(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    placed = await place(shopper, shop)
    answer = await shopper.post(
        f"/api/v1/orders/{placed['id']}/cancel",
        params={"token": placed["tracking_token"]},
        json={"why": "wrong-address", "reason": "errei o número"},
    )
    assert answer.json()["cancel_reason"] == "endereço errado: errei o número"


def test_staff_and_reasons_are_not_told() -> None:
    data = {"before": "pending", "after": "rejected", "reason": "sem entregador", "number": 7}
    assert tell("commerce.order_status_changed", data) == (
        "status",
        {"status": "rejected", "before": "pending"},
    )
    assert tell("commerce.order_placed", data) is None
