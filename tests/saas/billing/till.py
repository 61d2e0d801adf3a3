"""Drives a subscription's life at the sandbox, and brings its events to the app by hand."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import select, text

from app.core.ids import new_id
from app.kernel.inbox.jobs import PROCESS, process
from app.kernel.inbox.models import InboxMessage
from app.kernel.inbox.rules import signed
from app.kernel.jobs.service import JobContext, RetryLater
from app.kernel.work import Actor, unit_of_work
from app.main import Largo
from tests.factories.tenants import World
from tests.kernel.queue_probe import effects, system

WHSEC = "whsec_segredo_de_teste_do_stripe"
HMAC = "segredo-de-teste-dos-ganchos-de-cobranca"
Event = dict[str, Any]
CHANGED = "billing.subscription_changed"

_STATE = """
SELECT t.subscription_status, t.plan_code, t.modules, t.limits::text AS limits,
  a.customer_id, a.subscription_id, a.status, a.price_id, a.plan_code AS bought, a.is_cancelling,
  a.current_period_end, a.cancel_at, a.trial_ends_at,
  (SELECT json_agg(json_build_array(i.provider_id, i.status, i.due_cents, i.paid_cents,
    i.attempts, i.next_attempt_at) ORDER BY i.provider_id)::text
   FROM billing_invoices i WHERE i.account_id = t.id) AS invoices
FROM tenants t LEFT JOIN billing_accounts a ON a.id = t.id WHERE t.id = $1
"""


@asynccontextmanager
async def signed_in(app: Largo, world: World) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"X-Tenant": world.tenant.slug, "Authorization": f"Bearer {world.owner.token}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://largo.test", headers=headers
    ) as client:
        yield client


@dataclass(frozen=True)
class Till:
    app: Largo
    world: World
    owner: httpx.AsyncClient
    http: httpx.AsyncClient
    sandbox_url: str
    prices: tuple[str, ...]
    codes: tuple[str, ...]

    async def checkout(self, price: str | None = None, **headers: str) -> httpx.Response:
        body = {
            "price_id": price or self.prices[0],
            "success_url": "https://loja.example/ok?s={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://loja.example/planos",
        }
        return await self.owner.post("/api/v1/checkout/create-session", json=body, headers=headers)

    async def live(self, id_: str, step: str, **fields: str) -> list[Event]:
        """One turn of fate at Stripe; the events it tells, delivered to nobody."""
        answer = await self.http.post(f"{self.sandbox_url}/stripe/life/{id_}/{step}", json=fields)
        assert answer.status_code == 200, answer.text
        events: list[Event] = answer.json()["events"]
        return events

    async def subscribe(self, price: str | None = None) -> tuple[str, list[Event]]:
        """Check out and pay; the subscription's id, and the events nobody has heard yet."""
        page = await self.checkout(price)
        assert page.status_code == 200, page.text
        events = await self.live(page.json()["session_id"], "pay")
        return str(events[0]["data"]["object"]["id"]), events

    async def post(
        self, event: Event | bytes, *, secret: str = WHSEC, at: float | None = None
    ) -> httpx.Response:
        """Deliver as Stripe does."""
        body = event if isinstance(event, bytes) else json.dumps(event, indent=2).encode()
        signature = signed(secret, int(time.time() if at is None else at), body)
        return await self._post("/api/v1/webhooks/stripe", body, {"stripe-signature": signature})

    async def notice(
        self, kind: str, body: Event | bytes, *, secret: str = HMAC, at: float | None = None
    ) -> httpx.Response:
        """Deliver as another billing system does."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        signature = signed(secret, int(time.time() if at is None else at), raw)
        path = f"/api/v1/billing/webhook/{kind}"
        return await self._post(path, raw, {"x-signature": signature})

    async def process(self, event_id: str, *, delivery: int = 1) -> None:
        """What the worker does with a stored notice, now; RetryLater waits no longer here."""
        [row] = await self.messages(event_id)
        if row.tenant_id is None:
            return
        tenant = await self.app.runtime.tenants.by_id(row.tenant_id)
        runtime = self.app.runtime
        job = JobContext(
            runtime,
            lambda: unit_of_work(runtime, tenant, Actor("job", "tests")),
            tenant.id,
            {"message_id": str(row.id)},
            delivery,
        )
        try:
            await process(job)
        except RetryLater:
            await process(job)

    async def deliver(self, *events: Event) -> None:
        """Post and process, one after another."""
        for event in events:
            answer = await self.post(event)
            assert answer.status_code == 200, answer.text
            await self.process(event["id"])

    async def messages(self, event_id: str | None = None) -> list[InboxMessage]:
        async with self.app.runtime.database.system_session() as session:
            statement = select(InboxMessage).order_by(InboxMessage.id)
            if event_id is None:
                statement = statement.where(InboxMessage.tenant_id == self.world.tenant.id)
            else:
                statement = statement.where(InboxMessage.event_id == event_id)
            return list(await session.scalars(statement))

    async def state(self) -> dict[str, Any]:
        """Everything that payments decide about the tenant."""
        [row] = await system(self.app.runtime, _STATE, self.world.tenant.id)
        return row

    async def jobs(self) -> int:
        rows = await system(
            self.app.runtime,
            "SELECT convert_from(payload, 'UTF8') AS p FROM pgqueuer WHERE entrypoint = $1",
            PROCESS,
        )
        return sum(str(self.world.tenant.id) in row["p"] for row in rows)

    async def changes(self) -> list[tuple[str | None, str]]:
        return [(e["plan_code"], e["status"]) for e in await effects(self.world, CHANGED)]

    async def forget(self) -> None:
        """As if nothing of this tenant's payments had ever been heard of, but its customer."""
        async with self.app.runtime.database.system_session() as session:
            values = {"id": self.world.tenant.id}
            for statement in (
                "UPDATE billing_accounts SET subscription_id = NULL, status = NULL, "
                "price_id = NULL, plan_code = NULL, asked = 0, applied = 0, is_cancelling = false,"
                "current_period_end = NULL, trial_ends_at = NULL WHERE id = :id",
                "DELETE FROM billing_invoices WHERE account_id = :id",
                "DELETE FROM inbox_messages WHERE tenant_id = :id",
                "DELETE FROM inbox_receipts WHERE tenant_id = :id",
                "UPDATE tenants SET plan_code = NULL, modules = '{}', limits = '{}', "
                "subscription_status = 'trialing' WHERE id = :id",
            ):
                await session.execute(text(statement), values)
            await session.commit()

    async def _post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://largo.test") as nobody:
            return await nobody.post(path, content=body, headers=headers)


def made_up(type_: str, subject: Event, **fields: Any) -> Event:
    """An event that never happened at the sandbox."""
    return {
        "id": f"evt_{new_id().hex}",
        "object": "event",
        "type": type_,
        "livemode": False,
        "created": int(time.time()),
        "data": {"object": subject},
        **fields,
    }
