"""People who are to be told: devices at the sandbox's push service, events, workers for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from app.contracts.commerce import OrderPlaced
from app.core.ids import new_id
from app.kernel.connections.schemas import ConnectionPut
from app.kernel.connections.service import ConnectionService
from app.kernel.jobs.service import Handler
from app.kernel.notifications import jobs
from app.kernel.notifications.models import Notice, NoticeDelivery
from app.kernel.work import Runtime
from tests.factories.tenants import World
from tests.kernel.queue_probe import system, working
from tests.sandbox.server import SandboxServer, until

NOTICES = "/api/v1/user/notices"
HANDLERS: dict[str, Handler] = {jobs.NOTICE_FAN_OUT: jobs.fan_out, jobs.DELIVER: jobs.deliver}
BOT = "7001234567:AAHtokenOfTheBot"


def order_placed(number: int = 7) -> OrderPlaced:
    return OrderPlaced(
        order_id=new_id(), number=number, store_id=new_id(), fulfilment="pickup", total_cents=4990
    )


async def vendors(sandbox: SandboxServer) -> dict[str, Any]:
    """Settings that point at the sandbox."""
    return {
        "telegram_api_base_url": f"{sandbox.url}/telegram",
        "smtp_host": "127.0.0.1",
        "smtp_port": await sandbox.smtp_port(),
        "smtp_from": "Largo <avisos@largo.example>",
        "smtp_tls": "none",
        "frontend_url": "https://painel.largo.example/",
    }


async def pointed_at(runtime: Runtime, sandbox: SandboxServer) -> Runtime:
    """The same process, its vendors played by the sandbox."""
    found = await vendors(sandbox)
    return replace(runtime, settings=runtime.settings.model_copy(update=found))


@asynccontextmanager
async def telling(runtime: Runtime, sandbox: SandboxServer) -> AsyncIterator[None]:
    """A worker that carries notices."""
    async with working(await pointed_at(runtime, sandbox), HANDLERS):
        yield


async def browser(sandbox: SandboxServer) -> dict[str, Any]:
    """A subscription of a browser that the sandbox plays."""
    answer = await sandbox.http.post(f"{sandbox.url}/webpush/subscriptions")
    found: dict[str, Any] = answer.json()
    return found


async def subscribe(client: httpx.AsyncClient, subscription: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(f"{NOTICES}/devices", json=subscription | {"label": "Balcão"})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def connect_bot(world: World) -> None:
    async with world.work() as work:
        body = ConnectionPut(config={"chat_id": "-100123"}, secret={"bot_token": BOT})
        await ConnectionService(work).put("telegram", body)


async def notices(world: World) -> list[Notice]:
    async with world.work() as work:
        return list(await work.session.scalars(select(Notice).order_by(Notice.id)))


async def outcomes(world: World) -> list[tuple[str, str, int]]:
    """Channel, state and attempts of every delivery."""
    async with world.work() as work:
        rows = await work.session.scalars(select(NoticeDelivery).order_by(NoticeDelivery.id))
        return sorted((row.channel, row.state, row.attempts) for row in rows)


async def waiting(world: World, *entrypoints: str) -> int:
    """Jobs of this tenant's notices that are still there."""
    rows = await system(
        world.runtime,
        "SELECT payload FROM pgqueuer WHERE entrypoint = ANY ($1::text[])",
        list(entrypoints or HANDLERS),
    )
    return sum(str(world.tenant.id).encode() in row["payload"] for row in rows)


async def all_told(world: World, timeout_s: float = 15) -> None:
    """Until no job of this tenant's notices is left."""

    async def done() -> bool:
        return not await waiting(world)

    await until(done, timeout_s)


def told_of(event_id: UUID, event: OrderPlaced) -> dict[str, Any]:
    """The payload of the job that gives a notice."""
    data = event.model_dump(mode="json")
    return {
        "event_id": str(event_id),
        "type": event.name,
        "at": "2026-11-22T12:00:00Z",
        "data": data,
    }
