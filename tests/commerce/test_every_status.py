"""Every status of an order, by every channel that was set up for it (spec/conversations §8).

The table is the README's.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import httpx
import pytest

from app import wiring
from app.kernel.jobs.service import Worker
from app.kernel.work import Runtime
from app.main import Largo
from tests.factories.commerce import key, make_shop
from tests.factories.conversations import make_chat
from tests.factories.notices import NOTICES, browser, connect_bot, subscribe, vendors
from tests.factories.receiver import receiving
from tests.factories.tenants import World
from tests.kernel.event_listener import listening
from tests.sandbox.server import SandboxServer, http, sandbox, sandbox_url, until

__all__ = ["http", "sandbox", "sandbox_url"]

ADMIN = "/api/v1/admin/orders"
MOVES = ("confirmed", "preparing", "ready", "out_for_delivery", "delivered")
CHANGED, PLACED = "commerce.order_status_changed", "commerce.order_placed"
WITHDRAWN = "commerce.order_withdrawn"


def _counted(found: list[dict[str, Any]]) -> Counter[str]:
    return Counter(f["type"].removeprefix("commerce.") for f in found)


@pytest.mark.timeout(120)
async def test_every_status_reaches_every_channel(
    app: Largo, runtime: Runtime, world: World, owner: httpx.AsyncClient,
    shopper: httpx.AsyncClient, sandbox: SandboxServer,
) -> None:  # fmt: skip
    async with runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")  # what tests before left is not told here
    chat = await make_chat(world)
    await connect_bot(world)
    for fact, words in (("preparing", "No forno: {{order_number}}"), ("ready", "Embalado")):
        put = await owner.put(f"/api/v1/order-messages/{fact}", json={"text": words})
        assert put.status_code == 200, put.text
    await subscribe(owner, await browser(sandbox))
    wanted = {"kinds": {CHANGED: {"push": True, "in_app": True}}}
    assert (await owner.put(f"{NOTICES}/preferences", json=wanted)).is_success
    shop = await make_shop(world)
    pizza = await shop.product("Pizza", 5000)
    body = shop.delivery(pizza, customer={"name": "Ana Souza", "phone": chat.phone})
    urls = await vendors(sandbox) | {"whatsapp_graph_base_url": f"{sandbox.url}/graph"}
    here = replace(runtime, settings=runtime.settings.model_copy(update=urls))
    async with receiving() as hook, listening(app, world.owner.token, topics="orders") as live:
        made = await owner.post(
            "/api/v1/admin/webhooks", json={"url": hook.url, "events": ["*"]}, headers=key()
        )
        assert made.status_code == 201, made.text
        worker = Worker(here, wiring.JOBS)
        await worker.start()
        try:
            orders = [await _place(shopper, body) for _ in range(3)]
            for status in MOVES:
                await _move(owner, orders[0], status)
            cancel = await shopper.post(
                f"/api/v1/orders/{orders[1]['id']}/cancel",
                params={"token": orders[1]["tracking_token"]},
                json={"reason": "mudei de ideia"},
            )
            assert cancel.status_code == 200, cancel.text
            await _move(owner, orders[2], "rejected", reason="forno quebrado")

            async def told() -> bool:
                texts = await _texts(sandbox)
                pushed = await sandbox.requests(vendor="webpush", limit="500")
                return len(texts) >= 10 and len(pushed) >= 11 and len(hook.got) >= 11

            await until(told, 40)
            await live.until(lambda: len(live.of(CHANGED)) == 7)
        finally:
            await worker.stop()
    texts = await _texts(sandbox)
    by_number = Counter(found[1] for t in texts if (found := re.search(r"(?:nº|forno:) (\d)", t)))
    assert by_number == {"1": 5, "2": 2, "3": 2}, texts
    assert "Embalado" in texts
    assert any("Motivo: forno quebrado" in t for t in texts)
    assert len(texts) == 10, "three placed, five moves, one cancelled, one rejected"
    chats = [r["body"]["text"] for r in await sandbox.requests(vendor="telegram", limit="500")]
    assert Counter(t[0] for t in chats) == {"🔔": 3, "❌": 1}
    events = [json.loads(received.body) for received in hook.got]
    orders_told = {"order_placed": 3, "order_status_changed": 7, "order_withdrawn": 1}
    assert _counted(events) & Counter(orders_told) == Counter(orders_told)
    assert Counter(f.event for f in live.frames if f.event in (PLACED, CHANGED)) == {
        PLACED: 3,
        CHANGED: 7,
    }
    notices = (await owner.get(NOTICES, params={"limit": 50})).json()["items"]
    assert Counter(n["kind"] for n in notices) == {PLACED: 3, CHANGED: 7, WITHDRAWN: 1}
    assert "Pedido nº 1 saiu para entrega" in {n["title"] for n in notices}


async def _texts(sandbox: SandboxServer) -> list[str]:
    """What customers were written, as the vendor has it."""
    found = await sandbox.requests(vendor="whatsapp", limit="500")
    return [r["body"]["text"]["body"] for r in found if r["body"] and "text" in r["body"]]


async def _place(shopper: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await shopper.post("/api/v1/checkout", json=body, headers=key())
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _move(owner: httpx.AsyncClient, order: dict[str, Any], to: str, **more: str) -> None:
    url = f"{ADMIN}/{order['id']}/transitions"
    answer = await owner.post(url, json={"to": to} | more, headers=key())
    assert answer.status_code == 200, answer.text
