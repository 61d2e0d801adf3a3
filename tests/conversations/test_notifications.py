"""Each fact is told once per channel, whatever happens to vendors, workers and events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from app import wiring
from app.contracts.commerce import OrderPlaced, OrderStatusChanged
from app.conversations.notifications.models import Notification
from app.conversations.notifications.rules import OrderFact
from app.conversations.notifications.schemas import NotificationChannel
from app.conversations.notifications.service import NotificationService
from app.kernel.connections.schemas import ConnectionPut
from app.kernel.connections.service import ConnectionService
from app.kernel.jobs.service import Worker
from app.kernel.work import Runtime
from app.main import Largo
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World, make_world
from tests.sandbox.server import SandboxServer, until

PHONE = "5511987654321"
CHAT = "-1001122334455"
PATH = "/api/v1/admin/notifications"


def pointed_at(runtime: Runtime, url: str) -> Runtime:
    """The same process, its vendors at ``url``."""
    vendors = {
        "whatsapp_graph_base_url": f"{url}/graph",
        "telegram_api_base_url": f"{url}/telegram",
    }
    return replace(runtime, settings=runtime.settings.model_copy(update=vendors))


@asynccontextmanager
async def working(runtime: Runtime) -> AsyncIterator[None]:
    worker = Worker(runtime, wiring.JOBS)
    await worker.start()
    try:
        yield
    finally:
        await worker.stop()


async def connect(world: World, *vendors: str) -> None:
    accounts = {
        "whatsapp": ({"phone_number_id": "109876543210987"}, {"access_token": "EAAGtokenOfShop"}),
        "telegram": ({"chat_id": CHAT}, {"bot_token": "7001234567:AAHtokenOfTheBot"}),
    }
    async with world.work() as work:
        for vendor in vendors:
            config, secret = accounts[vendor]
            await ConnectionService(work).put(
                vendor, ConnectionPut(config=config, secret=secret, is_enabled=True)
            )


@dataclass(slots=True)
class Placed:
    id: UUID
    number: int
    tracking: str


async def place(shop: Shop, shopper: httpx.AsyncClient) -> Placed:
    """An order through the real checkout."""
    pizza = await shop.product("Pizza calabresa", 123456)
    answer = await shopper.post("/api/v1/checkout", json=shop.cart(pizza), headers=key())
    assert answer.status_code == 201, answer.text
    found = answer.json()
    return Placed(UUID(found["id"]), found["number"], found["tracking_token"])


@pytest.fixture
async def shop(world: World) -> Shop:
    # Jobs that other tests left behind would be run here, and be counted by the sandbox.
    async with world.runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")
    return await make_shop(world, name="Bella Massa Centro")


@pytest.fixture
def runtime_here(runtime: Runtime, sandbox: SandboxServer) -> Runtime:
    return pointed_at(runtime, sandbox.url)


async def rows(world: World) -> Sequence[Notification]:
    async with world.work() as work:
        statement = select(Notification).order_by(Notification.channel, Notification.id)
        return (await work.session.scalars(statement)).all()


async def outcomes(world: World) -> list[tuple[str, str, int]]:
    return [(row.channel, row.state, row.attempts) for row in await rows(world)]


async def waiting_jobs(world: World) -> int:
    async with world.runtime.database.system_driver() as driver:
        found: int = await driver.fetchval(
            "SELECT count(*) FROM pgqueuer WHERE status <> 'failed' "
            "AND convert_from(payload, 'UTF8') LIKE '%' || $1 || '%'",
            str(world.tenant.id),
        )
    return found


async def all_done(world: World) -> None:
    """Until no job of this tenant is left."""

    async def done() -> bool:
        return await waiting_jobs(world) == 0

    await until(done, 15)


def event(order: Placed, shop: Shop) -> OrderPlaced:
    return OrderPlaced(
        order_id=order.id,
        number=order.number,
        store_id=shop.store_id,
        fulfilment="pickup",
        total_cents=123456,
    )


async def test_an_order_tells_the_customer_and_the_shop_once_each(
    shop: Shop, world: World, shopper: httpx.AsyncClient, runtime_here: Runtime,
    sandbox: SandboxServer,
) -> None:  # fmt: skip
    await connect(world, "whatsapp", "telegram")
    order = await place(shop, shopper)
    assert await sandbox.requests() == [], "nothing leaves inside the checkout"
    async with working(runtime_here):
        await all_done(world)
    [to_customer] = await sandbox.requests(vendor="whatsapp")
    [to_shop] = await sandbox.requests(vendor="telegram")
    telegram, whatsapp = await rows(world)
    assert to_customer["to"] == PHONE
    assert to_customer["preview"] == whatsapp.body
    assert f"pedido nº {order.number} em Bella Massa Centro" in whatsapp.body
    assert "• 1 x Pizza calabresa\nTotal: R$ 1.234,56" in whatsapp.body
    assert to_customer["body"]["biz_opaque_callback_data"] == str(whatsapp.id)
    assert (to_shop["to"], to_shop["preview"]) == (CHAT, telegram.body)
    for row, request in ((whatsapp, to_customer), (telegram, to_shop)):
        assert (row.state, row.attempts, row.error, row.order_id) == ("sent", 1, None, order.id)
        assert row.sent_at is not None
        assert row.provider_message_id
        assert row.provider_message_id in str(request["answer"])


async def test_the_same_event_twice_is_told_once(
    shop: Shop, world: World, shopper: httpx.AsyncClient, runtime_here: Runtime,
    sandbox: SandboxServer,
) -> None:  # fmt: skip
    await connect(world, "whatsapp", "telegram")
    order = await place(shop, shopper)
    async with world.work() as work:
        work.publish(event(order, shop))
    assert await waiting_jobs(world) == 4, "each event: the order's news, the staff's notice"
    async with working(runtime_here):
        await all_done(world)
        async with world.work() as work:
            work.publish(event(order, shop))
        await all_done(world)
    assert len(await sandbox.requests(vendor="whatsapp")) == 1
    assert len(await sandbox.requests(vendor="telegram")) == 1
    assert await outcomes(world) == [("telegram", "sent", 1), ("whatsapp", "sent", 1)]


async def test_status_changes_reach_the_customer_and_a_cancellation_the_shop(
    shop: Shop, world: World, shopper: httpx.AsyncClient, owner: httpx.AsyncClient,
    runtime_here: Runtime, sandbox: SandboxServer,
) -> None:  # fmt: skip
    await connect(world, "whatsapp", "telegram")
    order = await place(shop, shopper)
    moves: list[dict[str, str]] = [
        {"to": "confirmed"},
        {"to": "preparing"},
        {"to": "ready"},
        {"to": "cancelled", "reason": "forno quebrado"},
    ]
    async with working(runtime_here):
        await all_done(world)
        for move in moves:
            url = f"/api/v1/admin/orders/{order.id}/transitions"
            answer = await owner.post(url, json=move)
            assert answer.status_code == 200, answer.text
            await all_done(world)
    told = [r["preview"] for r in reversed(await sandbox.requests(vendor="whatsapp"))]
    assert [t.split("\n")[0].partition("! ")[2] for t in told] == [
        f"Recebemos o seu pedido nº {order.number} em Bella Massa Centro.",
        f"O seu pedido nº {order.number} foi confirmado por Bella Massa Centro.",
        f"O seu pedido nº {order.number} está pronto para retirada em Bella Massa Centro.",
        f"O seu pedido nº {order.number} foi cancelado.",
    ]
    assert told[-1].endswith("Motivo: forno quebrado")
    to_shop = [r["preview"].split("\n")[0] for r in await sandbox.requests(vendor="telegram")]
    assert [line[0] for line in to_shop] == ["❌", "🔔"]


async def test_a_vendor_that_comes_back_gets_the_message_once(
    shop: Shop, world: World, shopper: httpx.AsyncClient, runtime: Runtime,
    runtime_here: Runtime, sandbox: SandboxServer,
) -> None:  # fmt: skip
    await connect(world, "whatsapp", "telegram")
    await place(shop, shopper)

    async def tried() -> bool:
        return await outcomes(world) == [("telegram", "pending", 1), ("whatsapp", "pending", 1)]

    async with working(pointed_at(runtime, "http://127.0.0.1:1")):
        await until(tried)
    assert {row.error for row in await rows(world)} == {
        "telegram: ConnectError",
        "whatsapp: ConnectError",
    }
    async with working(runtime_here):
        await all_done(world)
    assert len(await sandbox.requests(vendor="whatsapp")) == 1
    assert len(await sandbox.requests(vendor="telegram")) == 1
    assert [row.state for row in await rows(world)] == ["sent", "sent"]
    assert [row.error for row in await rows(world)] == [None, None]


async def test_a_refusal_for_now_is_tried_again(
    shop: Shop, world: World, shopper: httpx.AsyncClient, runtime_here: Runtime,
    sandbox: SandboxServer,
) -> None:  # fmt: skip
    await connect(world, "whatsapp")
    await sandbox.put("whatsapp/knobs", error={"code": "131016", "times": 1})
    await place(shop, shopper)
    async with working(runtime_here):
        await all_done(world)
    accepted, refused = await sandbox.requests(vendor="whatsapp")
    assert (accepted["verdict"], refused["verdict"]) == ("accepted", "refused")
    assert await outcomes(world) == [("whatsapp", "sent", 2)]


@pytest.mark.parametrize("channel", ["whatsapp", "telegram"])
async def test_a_cut_connection_is_unknown_and_never_sent_again(
    channel: str, shop: Shop, world: World, shopper: httpx.AsyncClient, runtime_here: Runtime,
    sandbox: SandboxServer,
) -> None:  # fmt: skip
    await connect(world, channel)
    await sandbox.put(f"{channel}/knobs", drop_answer=1)
    order = await place(shop, shopper)
    async with working(runtime_here):
        await all_done(world)
        assert await outcomes(world) == [(channel, "unknown", 1)]
        async with world.work() as work:
            work.publish(event(order, shop))
        await all_done(world)
    [only] = await sandbox.requests()
    assert only["verdict"] == "answer dropped"
    assert await outcomes(world) == [(channel, "unknown", 1)]


async def test_a_worker_that_died_between_vendor_and_row_leaves_unknown_not_a_second_message(
    shop: Shop, world: World, shopper: httpx.AsyncClient, runtime_here: Runtime,
    sandbox: SandboxServer,
) -> None:  # fmt: skip
    await connect(world, "whatsapp")
    order = await place(shop, shopper)
    here = replace(world, runtime=runtime_here)
    async with here.work() as work:  # the first delivery's first Work, and then its end
        taken = await NotificationService(work).prepare(
            NotificationChannel.WHATSAPP, order.id, OrderFact("placed")
        )
    assert taken is not None
    assert await outcomes(world) == [("whatsapp", "sending", 1)]
    async with working(runtime_here):
        await all_done(world)
    assert await sandbox.requests() == []
    assert await outcomes(world) == [("whatsapp", "unknown", 1)]


@pytest.mark.parametrize(
    ("code", "error"),
    [("131026", "131026"), ("190", "190"), ("131049", "131049")],
    ids=["recipient", "credentials", "asks-for-a-day"],
)
async def test_a_refusal_for_good_fails_with_its_reason_and_is_not_repeated(
    code: str, error: str, shop: Shop, world: World, shopper: httpx.AsyncClient,
    runtime_here: Runtime, sandbox: SandboxServer,
) -> None:  # fmt: skip
    await connect(world, "whatsapp")
    await sandbox.put("whatsapp/knobs", error={"code": code, "times": 1})
    await place(shop, shopper)
    async with working(runtime_here):
        await all_done(world)
    [refused] = await sandbox.requests()
    assert refused["verdict"] == "refused"
    [row] = await rows(world)
    assert (row.state, row.attempts, row.sent_at) == ("failed", 1, None)
    assert row.error is not None
    assert error in row.error


async def test_without_a_connection_or_with_it_off_nothing_is_sent_or_owed(
    shop: Shop, world: World, shopper: httpx.AsyncClient, runtime_here: Runtime,
    sandbox: SandboxServer,
) -> None:  # fmt: skip
    await connect(world, "whatsapp")
    async with world.work() as work:
        config = {"phone_number_id": "109876543210987"}
        off = ConnectionPut(config=config, secret=None, is_enabled=False)
        await ConnectionService(work).put("whatsapp", off)
    await place(shop, shopper)
    assert await waiting_jobs(world) == 2
    async with working(runtime_here):
        await all_done(world)
    assert await sandbox.requests() == []
    assert await rows(world) == []


async def test_a_work_that_rolls_back_tells_nobody(
    shop: Shop, world: World, shopper: httpx.AsyncClient, runtime_here: Runtime,
    sandbox: SandboxServer,
) -> None:  # fmt: skip
    await connect(world, "whatsapp", "telegram")
    order = await place(shop, shopper)
    async with working(runtime_here):
        await all_done(world)
    before = await sandbox.requests()
    assert len(before) == 2

    class RolledBack(Exception):
        pass

    async def fail() -> None:
        async with world.work() as work:
            work.publish(changed)
            await work.finish()
            raise RolledBack

    changed = OrderStatusChanged(
        order_id=order.id, number=order.number, before="pending", after="confirmed"
    )
    async with working(runtime_here):
        with pytest.raises(RolledBack):
            await fail()
        assert await waiting_jobs(world) == 0
        assert await sandbox.requests() == before
        assert len(await rows(world)) == 2
        async with world.work() as work:  # the same Work, committed, is told
            work.publish(changed)
        await all_done(world)
    assert len(await sandbox.requests()) == len(before) + 1


async def test_the_list_filters_pages_and_stays_within_the_tenant(
    shop: Shop, world: World, shopper: httpx.AsyncClient, owner: httpx.AsyncClient,
    outsider: httpx.AsyncClient, runtime_here: Runtime, sandbox: SandboxServer,
) -> None:  # fmt: skip
    await connect(world, "whatsapp", "telegram")
    await sandbox.put("telegram/knobs", error={"code": "403", "times": 1})
    await place(shop, shopper)
    async with working(runtime_here):
        await all_done(world)
    everything = (await owner.get(PATH)).json()
    assert everything["next_cursor"] is None
    assert {(i["channel"], i["state"]) for i in everything["items"]} == {
        ("whatsapp", "sent"),
        ("telegram", "failed"),
    }
    first = (await owner.get(PATH, params={"limit": 1})).json()
    second = (await owner.get(PATH, params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert first["items"] + second["items"] == everything["items"]

    async def channels(**params: str) -> list[str]:
        answer = await owner.get(PATH, params=params)
        assert answer.status_code == 200, answer.text
        return [item["channel"] for item in answer.json()["items"]]

    assert await channels(state="failed") == ["telegram"]
    assert await channels(channel="whatsapp") == ["whatsapp"]
    assert await channels(channel="whatsapp", state="failed") == []
    assert (await owner.get(PATH, params={"state": "lost"})).status_code == 422
    assert (await outsider.get(PATH)).json() == {"items": [], "next_cursor": None}


async def test_the_list_is_for_members_of_a_tenant_with_conversations(
    app: Largo, runtime: Runtime, shopper: httpx.AsyncClient
) -> None:
    assert (await shopper.get(PATH)).status_code == 401
    bare = await make_world(runtime, modules=("commerce",))
    headers = {"X-Tenant": bare.tenant.slug, "Authorization": f"Bearer {bare.owner.token}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://largo.test") as client:
        refused: Any = await client.get(PATH, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "module-not-enabled")
