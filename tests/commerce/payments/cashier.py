"""Drives orders and their money: the customer, the staff, Stripe's side, and the jobs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import func, select, text

from app.commerce.inventory.models import StockLevel
from app.commerce.orders.models import Order
from app.commerce.payments import jobs
from app.commerce.payments.models import Payment, PaymentRefund
from app.kernel.inbox.jobs import PROCESS, process
from app.kernel.inbox.rules import signed
from app.kernel.jobs.service import Handler, JobContext
from app.kernel.work import Actor, unit_of_work
from app.main import Largo
from tests.factories.commerce import Shop, key
from tests.factories.tenants import World
from tests.kernel.queue_probe import effects, system
from tests.sandbox.server import SandboxServer

WHSEC = "whsec_da_loja_de_teste"
ADMIN = "/api/v1/admin"
HANDLERS: dict[str, Handler] = {
    jobs.REFUND: jobs.refund,
    jobs.CLOSE_INTENT: jobs.cancel_intent,
    PROCESS: process,
}
Event = dict[str, Any]


@dataclass(frozen=True)
class Cashier:
    app: Largo
    world: World
    shop: Shop
    owner: httpx.AsyncClient
    shopper: httpx.AsyncClient
    sandbox: SandboxServer

    async def order(self, method: str = "pix", **fields: Any) -> dict[str, Any]:
        """Place one order of 49.90."""
        cart = self.shop.cart(self.shop.products[0], payment={"method": method, **fields})
        answer = await self.shopper.post("/api/v1/checkout", json=cart, headers=key())
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def page(self, order: dict[str, Any]) -> dict[str, Any]:
        answer = await self.shopper.get(
            f"/api/v1/orders/{order['id']}/payment", params={"token": order["tracking_token"]}
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def intent(self, order: dict[str, Any], *, status: int = 200) -> dict[str, Any]:
        answer = await self.shopper.post(
            f"/api/v1/orders/{order['id']}/payment-intent",
            params={"token": order["tracking_token"]},
        )
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def intent_id(self, order: dict[str, Any]) -> str:
        """Begin to pay by card; the vendor's id of it."""
        return str((await self.intent(order))["client_secret"].partition("_secret_")[0])

    async def money(self, order: dict[str, Any]) -> dict[str, Any]:
        answer = await self.owner.get(f"{ADMIN}/orders/{order['id']}/payments")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def payment(self, order: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = (await self.money(order))["payments"][0]
        return found

    async def received(
        self, order: dict[str, Any], cents: int, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        payment = await self.payment(order)
        return await self.owner.post(
            f"{ADMIN}/orders/{order['id']}/payments/{payment['id']}/received",
            json={"received_cents": cents},
            headers=key() | (headers or {}),
        )

    async def refund(self, order: dict[str, Any], cents: int | None = None) -> httpx.Response:
        payment = await self.payment(order)
        body: dict[str, Any] = {"reason": "faltou um item"}
        return await self.owner.post(
            f"{ADMIN}/orders/{order['id']}/payments/{payment['id']}/refunds",
            json=body if cents is None else body | {"amount_cents": cents},
            headers=key(),
        )

    async def cancel(self, order: dict[str, Any]) -> httpx.Response:
        return await self.owner.post(
            f"{ADMIN}/orders/{order['id']}/transitions",
            json={"to": "cancelled", "reason": "sem massa"},
            headers=key(),
        )

    async def live(self, id_: str, step: str) -> list[Event]:
        """A turn of fate at Stripe; its events, delivered to nobody."""
        answer = await self.sandbox.http.post(f"{self.sandbox.url}/stripe/life/{id_}/{step}")
        assert answer.status_code == 200, answer.text
        events: list[Event] = answer.json()["events"]
        return events

    async def post(self, event: Event, secret: str = WHSEC) -> httpx.Response:
        body = json.dumps(event, indent=2).encode()
        headers = {"stripe-signature": signed(secret, int(time.time()), body)}
        return await self.shopper.post(
            f"/api/v1/webhooks/stripe/{self.world.tenant.slug}", content=body, headers=headers
        )

    async def deliver(self, *events: Event) -> None:
        """Post and process."""
        for event in events:
            answer = await self.post(event)
            assert answer.status_code == 200, answer.text
            await self.work_off()

    async def work_off(self, *names: str) -> int:
        """Run this tenant's queued jobs of money now, as a worker would; how many."""
        done = 0
        statement = (
            "DELETE FROM pgqueuer WHERE id IN (SELECT id FROM pgqueuer WHERE entrypoint = ANY ($1)"
            " AND convert_from(payload, 'UTF8') LIKE $2 ORDER BY id LIMIT 1)"
            " RETURNING entrypoint, convert_from(payload, 'UTF8') AS body"
        )
        wanted = list(names or HANDLERS)
        while rows := await system(
            self.app.runtime, statement, wanted, f"%{self.world.tenant.id}%"
        ):
            [row] = rows
            await HANDLERS[row["entrypoint"]](self.job(json.loads(row["body"])["payload"]))
            done += 1
        return done

    def job(self, payload: dict[str, Any], delivery: int = 1) -> JobContext:
        runtime, tenant = self.app.runtime, self.world.tenant
        actor = Actor("job", "tests")
        return JobContext(
            runtime, lambda: unit_of_work(runtime, tenant, actor), tenant.id, payload, delivery
        )

    async def age(self, order: dict[str, Any], minutes: int = 31) -> None:
        """As if it had been placed so long ago."""
        async with self.world.work() as work:
            await work.session.execute(
                text(
                    "UPDATE payments SET created_at = created_at - CAST(:a AS interval)"
                    " WHERE order_id = :o"
                ),
                {"a": timedelta(minutes=minutes), "o": UUID(order["id"])},
            )

    async def status(self, order: dict[str, Any]) -> str:
        async with self.world.work() as work:
            return (await work.session.get_one(Order, UUID(order["id"]))).status

    async def stock(self) -> int:
        async with self.world.work() as work:
            found = select(StockLevel.on_hand).where(StockLevel.item_id == self.shop.products[0])
            return int((await work.session.execute(found)).scalar_one())

    async def refunds(self, order: dict[str, Any]) -> list[tuple[int, str]]:
        return [(r["amount_cents"], r["status"]) for r in (await self.money(order))["refunds"]]

    async def told(self, action: str) -> int:
        return len(await effects(self.world, action))

    async def at_stripe(self, intent_id: str) -> dict[str, Any]:
        answer = await self.sandbox.http.get(
            f"{self.sandbox.url}/stripe/v1/payment_intents/{intent_id}",
            headers={"authorization": "Bearer sk_test_loja12345"},
        )
        found: dict[str, Any] = answer.json()
        return found

    async def rows(self) -> tuple[int, int]:
        """Payments and refunds there are."""
        async with self.world.work() as work:
            counts = [
                await work.session.scalar(select(func.count()).select_from(model))
                for model in (Payment, PaymentRefund)
            ]
        return int(counts[0] or 0), int(counts[1] or 0)
