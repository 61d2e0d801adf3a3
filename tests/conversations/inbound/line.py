"""A WhatsApp number of a tenant, seen from the vendor: signs, delivers, waits for the workers."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import orjson
from sqlalchemy import select

from app.conversations.inbound.intake import signed
from app.conversations.inbound.jobs import FOLLOW_MERGE, follow_merge
from app.conversations.inbox.models import Conversation, Message
from app.conversations.numbers.models import WhatsAppNumber
from app.core.ids import new_id
from app.kernel.inbox.jobs import PROCESS, process
from app.kernel.inbox.models import InboxMessage
from app.kernel.jobs.service import JobContext
from app.kernel.tenancy import TOPIC as TENANTS
from tests.factories.tenants import World

BEGAN = 1_780_000_000
"""The vendor's clock in these tests, in unix seconds."""
URL = "/api/v1/webhooks/whatsapp"


def digits(count: int) -> str:
    return str(secrets.randbelow(9 * 10 ** (count - 1)) + 10 ** (count - 1))


@dataclass
class Line:
    """What the vendor knows of one number."""

    world: World
    id: UUID
    phone_number_id: str
    waba_id: str
    secret: str
    old_secret: str
    verify_token: str
    person: str = field(default_factory=lambda: "55119" + digits(8))
    _seconds: int = BEGAN

    def next_second(self) -> int:
        self._seconds += 1
        return self._seconds

    def message(self, type_: str = "text", at: int | None = None, **fields: Any) -> dict[str, Any]:
        found = {"from": self.person, "id": f"wamid.{secrets.token_hex(8)}", "type": type_}
        if type_ == "text" and "text" not in fields:
            fields["text"] = {"body": "Oi, vocês abrem hoje?"}
        return found | {"timestamp": str(at or self.next_second())} | fields

    def status(self, wamid: str, status: str, at: int | None = None, **fields: Any) -> Any:
        at = at or self.next_second()
        who = {"recipient_id": self.person, "timestamp": str(at)}
        return {"id": wamid, "status": status} | who | fields

    def value(self, **lists: list[Any]) -> dict[str, Any]:
        return {
            "messaging_product": "whatsapp",
            "metadata": {
                "display_phone_number": "551130000000",
                "phone_number_id": self.phone_number_id,
            },
            "contacts": [{"profile": {"name": "Maria da Silva"}, "wa_id": self.person}],
            **lists,
        }

    def change(self, field_: str = "messages", **lists: list[Any]) -> dict[str, Any]:
        return {"field": field_, "value": self.value(**lists)}

    def entry(self, *changes: dict[str, Any]) -> dict[str, Any]:
        return {"id": self.waba_id, "changes": list(changes)}

    async def deliver(self, client: httpx.AsyncClient, *changes: dict[str, Any]) -> None:
        """One signed POST, which must be taken."""
        answer = await post(client, envelope(self.entry(*changes)), self.secret)
        assert answer.status_code == 200, answer.text

    async def tell(self, client: httpx.AsyncClient, *messages: dict[str, Any]) -> None:
        """Deliver messages and have them processed."""
        await self.deliver(client, self.change(messages=list(messages)))
        await drain(self.world)

    async def messages(self) -> list[Message]:
        """Every message, as the timeline has them."""
        async with self.world.work() as work:
            order = (Message.provider_at, Message.id)
            return list((await work.session.scalars(select(Message).order_by(*order))).all())

    async def stored(self, wamid: str) -> Message:
        [found] = [m for m in await self.messages() if m.wamid == wamid]
        return found

    async def conversations(self) -> list[Conversation]:
        async with self.world.work() as work:
            rows = await work.session.scalars(select(Conversation).order_by(Conversation.id))
            return list(rows.all())


def envelope(*entries: dict[str, Any]) -> bytes:
    return orjson.dumps({"object": "whatsapp_business_account", "entry": list(entries)})


async def post(
    client: httpx.AsyncClient, body: bytes, secret: str, *, slug: str | None = None
) -> httpx.Response:
    headers = {"X-Hub-Signature-256": signed(secret, body), "Content-Type": "application/json"}
    return await client.post(f"{URL}/{slug}" if slug else URL, content=body, headers=headers)


async def make_line(world: World, *, waba_id: str | None = None, secret: str | None = None) -> Line:
    """A number with its route, as the number's own slice makes them."""
    line = Line(
        world, new_id(), digits(15), waba_id or digits(15),
        secret or secrets.token_hex(16),
        secrets.token_hex(16), secrets.token_urlsafe(12),
    )  # fmt: skip
    runtime, context = world.runtime, f"whatsapp_numbers:{world.tenant.id}:{line.id}"
    async with world.work() as work:
        work.session.add(
            WhatsAppNumber(
                id=line.id,
                name="Loja",
                waba_id=line.waba_id,
                phone_number_id=line.phone_number_id,
                display_phone="+551130000000",
                token=runtime.vault.encrypt("token", context),
                app_secret=runtime.vault.encrypt(line.secret, context),
                app_secret_previous=runtime.vault.encrypt(line.old_secret, context),
                verify_token=runtime.vault.encrypt(line.verify_token, context),
            )
        )
        work.ring(TENANTS)
    return line


async def deliveries(world: World) -> list[InboxMessage]:
    """What is stored for a tenant, oldest first."""
    query = select(InboxMessage).where(
        InboxMessage.provider == "whatsapp", InboxMessage.tenant_id == world.tenant.id
    )
    async with world.runtime.database.system_session() as session:
        return list((await session.scalars(query.order_by(InboxMessage.id))).all())


async def of_nobody(world: World, body: bytes) -> list[InboxMessage]:
    """What is stored of a body, and not for anybody."""
    digest = hashlib.sha256(body).hexdigest()
    query = select(InboxMessage).where(
        InboxMessage.event_id.startswith(digest), InboxMessage.tenant_id.is_(None)
    )
    async with world.runtime.database.system_session() as session:
        return list((await session.scalars(query)).all())


async def drain(world: World, *, at_once: int = 1, tries: int = 6) -> None:
    """Run this tenant's queued deliveries and merges, as workers do: what fails comes again."""
    runtime = world.runtime
    places = asyncio.Semaphore(at_once)

    async def run(job_id: int, entrypoint: str, payload: bytes) -> None:
        job = JobContext(runtime, world.work, world.tenant.id, orjson.loads(payload)["payload"], 1)
        async with places:
            for left in reversed(range(tries)):
                try:
                    await (process if entrypoint == PROCESS else follow_merge)(job)
                    break
                except Exception:
                    if not left:
                        raise
        async with runtime.database.system_driver() as driver:
            await driver.execute("DELETE FROM pgqueuer WHERE id = $1", job_id)

    while True:
        async with runtime.database.system_driver() as driver:
            jobs = await driver.fetch(
                "SELECT id, entrypoint, payload FROM pgqueuer WHERE entrypoint = ANY($1) "
                "AND convert_from(payload, 'UTF8')::json->>'tenant_id' = $2 ORDER BY id",
                [PROCESS, FOLLOW_MERGE],
                str(world.tenant.id),
            )
        if not jobs:
            return
        await asyncio.gather(*(run(*job) for job in jobs))
