"""The server is killed with SIGKILL under load: what it acknowledged is there, once and whole."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import orjson
import pytest
from sqlalchemy import select, text

from app.commerce.orders.models import Order
from app.kernel.connections.schemas import ConnectionPut
from app.kernel.connections.service import ConnectionService
from app.kernel.telling import NOTICE_FAN_OUT
from tests.factories.commerce import Shop, make_shop
from tests.factories.tenants import World
from tests.faults.server import ServerProcess

KILLS, CLIENTS = 5, 12


@pytest.fixture
async def server(environment: dict[str, str]) -> AsyncIterator[ServerProcess]:
    process = ServerProcess(environment)
    await process.start()
    yield process
    process.kill()


class Buyers:
    """Clients that order without pause; one in three never retries what was cut off."""

    def __init__(self, server: ServerProcess, shop: Shop) -> None:
        self.server, self.shop = server, shop
        self.acknowledged: dict[str, str] = {}
        self.unsure: set[str] = set()
        self.stopped = False
        self.statuses: Counter[int] = Counter()

    async def run(self, number: int) -> None:
        async with httpx.AsyncClient(base_url=self.server.url, timeout=10) as client:
            while not self.stopped:
                await self._buy(client, secrets.token_hex(16), retries=number % 3 != 0)

    async def _buy(self, client: httpx.AsyncClient, key: str, *, retries: bool) -> None:
        body = self.shop.delivery(*random.sample(self.shop.products, 2))
        headers = {"X-Tenant": self.shop.world.tenant.slug, "Idempotency-Key": key}
        while not self.stopped:
            try:
                answer = await client.post("/api/v1/checkout", json=body, headers=headers)
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
                if retries:
                    continue
                self.unsure.add(key)
                return
            self.statuses[answer.status_code] += 1
            if answer.status_code == 201:
                self.acknowledged[key] = answer.json()["id"]
            return
        self.unsure.add(key)


_WHOLE = """
SELECT o.id, o.total_cents,
  (SELECT count(*) FROM order_items i WHERE i.order_id = o.id) AS items,
  (SELECT sum(total_cents) FROM order_items i WHERE i.order_id = o.id) AS items_cents,
  (SELECT count(*) FROM payments p WHERE p.order_id = o.id AND p.amount_cents = o.total_cents)
    AS payments,
  (SELECT count(*) FROM deliveries d WHERE d.order_id = o.id) AS deliveries,
  (SELECT count(*) FROM stock_movements m WHERE m.order_id = o.id AND m.kind = 'sale')
    AS movements,
  (SELECT count(*) FROM order_status_changes h WHERE h.order_id = o.id) AS history,
  (SELECT count(*) FROM audit_entries a WHERE a.resource_id = o.id) AS audited,
  (SELECT count(*) FROM stream_events s WHERE s.data->>'order_id' = o.id::text) AS streamed
FROM orders o
"""


async def test_acknowledged_orders_survive_sigkill(server: ServerProcess, world: World) -> None:
    shop = await make_shop(world)
    for n in range(6):
        await shop.product(f"Produto {n}", 1000 + n, stock=100_000)
    async with world.work() as work:  # the job is queued; it would find nobody
        telegram = ConnectionPut(
            config={"chat_id": "-1001"}, secret={"bot_token": "7001:AAH"}, is_enabled=False
        )
        await ConnectionService(work).put("telegram", telegram)
    buyers = Buyers(server, shop)
    crowd = [asyncio.create_task(buyers.run(n)) for n in range(CLIENTS)]
    for _ in range(KILLS):
        await asyncio.sleep(random.uniform(0.4, 1.2))
        server.kill()
        await server.start()
    await asyncio.sleep(0.5)
    buyers.stopped = True
    await asyncio.gather(*crowd)

    assert set(buyers.statuses) == {201}, buyers.statuses
    async with world.work() as work:
        rows = (await work.session.execute(text(_WHOLE))).mappings().all()
        numbers = (await work.session.scalars(select(Order.number).order_by(Order.number))).all()
        kept = await work.session.execute(
            text("SELECT key, convert_from(body, 'UTF8') FROM idempotency_records")
        )
        stored: dict[str, str] = {row[0]: row[1] for row in kept}
        gap = await work.session.scalar(
            text(
                "SELECT count(*) FROM stock_levels l WHERE on_hand <> (SELECT sum(quantity) "
                "FROM stock_movements m WHERE m.item_id = l.item_id)"
            )
        )
    present = {str(row["id"]) for row in rows}
    acknowledged = set(buyers.acknowledged.values())
    print(
        f"\nSIGKILL x{KILLS}: {len(acknowledged)} acknowledged, {len(rows)} present, "
        f"{len(buyers.unsure)} of unknown outcome"
    )
    assert len(acknowledged) > 50, "the load must be real"
    assert len(acknowledged) == len(buyers.acknowledged), "one order per key"
    assert acknowledged <= present, "an acknowledged order is lost"
    assert len(present - acknowledged) <= len(buyers.unsure)
    assert list(numbers) == list(range(1, len(rows) + 1))
    assert gap == 0
    for row in rows:
        parts = {name: row[name] for name in ("items", "payments", "deliveries", "movements")}
        assert parts == {"items": 2, "payments": 1, "deliveries": 1, "movements": 2}, row
        assert (row["history"], row["audited"], row["streamed"]) == (1, 1, 1), row
        assert row["items_cents"] + 700 == row["total_cents"]
    for key, order_id in buyers.acknowledged.items():
        assert orjson.loads(stored[key])["id"] == order_id
    await _one_job_each(world, present)


async def _one_job_each(world: World, present: set[str]) -> None:
    """Every order has its notification jobs, each once, and no job speaks of another order."""
    wanted = [
        name
        for event, names in world.runtime.subscribers.items()
        if event.name == "commerce.order_placed"
        for name in names
    ]
    assert wanted, "somebody is told of a placed order"
    wanted.append(NOTICE_FAN_OUT)
    async with world.runtime.database.system_driver() as driver:
        queued = await driver.fetch(
            "SELECT entrypoint, convert_from(payload, 'UTF8') AS payload FROM pgqueuer "
            "WHERE convert_from(payload, 'UTF8')::json->>'tenant_id' = $1",
            str(world.tenant.id),
        )
    found = Counter((row["entrypoint"], _order(row["payload"])) for row in queued)
    assert found == Counter({(name, order): 1 for name in wanted for order in present})


def _order(body: str) -> str:
    payload = orjson.loads(body)["payload"]
    found: str = payload.get("data", payload)["order_id"]
    return found
