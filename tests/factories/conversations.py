"""A WhatsApp number, somebody who wrote to it, and what the sandbox took for them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.conversations.inbox.models import Conversation, Message, MessageAttempt
from app.conversations.numbers.models import TOKEN, WhatsAppNumber
from app.conversations.templates.models import MessageTemplate
from app.core.clock import now
from app.core.ids import new_id
from app.kernel.contacts.service import ContactService
from app.kernel.tenancy import TOPIC as TENANTS
from app.kernel.work import Runtime
from tests.factories.tenants import World


@dataclass(frozen=True, slots=True)
class Chat:
    """A number and a conversation on it."""

    world: World
    number_id: UUID
    contact_id: UUID
    id: UUID
    phone: str

    async def messages(self) -> list[Message]:
        async with self.world.work() as work:
            mine = Message.conversation_id == self.id
            found = await work.session.scalars(select(Message).where(mine).order_by(Message.id))
            return list(found)

    async def attempts(self) -> list[MessageAttempt]:
        async with self.world.work() as work:
            statement = select(MessageAttempt).order_by(MessageAttempt.id)
            return list(await work.session.scalars(statement))

    async def row(self) -> Conversation:
        async with self.world.work() as work:
            found = await work.session.get(Conversation, self.id)
            assert found is not None
            return found


async def make_number(world: World, **fields: Any) -> UUID:
    number_id = new_id()
    sealed = world.runtime.vault.encrypt(
        "EAAGtokenDoNumero", *TOKEN.bound_to({"tenant_id": world.tenant.id, "id": number_id})
    )
    async with world.work() as work:
        work.session.add(
            WhatsAppNumber(
                id=number_id, name="Atendimento", waba_id="200000000000001",
                phone_number_id=str(secrets.randbelow(10**15) + 10**14),
                display_phone="+551140028922", token=sealed, app_secret="-", verify_token="-",
                **fields,
            )
        )  # fmt: skip
        work.ring(TENANTS)
    return number_id


async def make_contact(world: World, name: str = "Ana Souza") -> tuple[UUID, str]:
    phone = f"+55119{secrets.randbelow(10**8):08d}"
    async with world.work() as work:
        contact = await ContactService(work).upsert_by_phone(name, phone)
        return contact.id, phone


async def make_chat(
    world: World,
    *,
    number_id: UUID | None = None,
    name: str = "Ana Souza",
    wrote: timedelta | None = timedelta(minutes=5),
    **fields: Any,
) -> Chat:
    """A live conversation whose contact wrote so long ago, or never."""
    number = number_id or await make_number(world)
    contact_id, phone = await make_contact(world, name)
    at = now()
    async with world.work() as work:
        row = Conversation(
            contact_id=contact_id, number_id=number, last_message_at=at,
            last_inbound_at=None if wrote is None else at - wrote, **fields,
        )  # fmt: skip
        work.session.add(row)
        await work.session.flush()
        return Chat(world, number, contact_id, row.id, phone)


async def incoming(chat: Chat, text: str, at: datetime | None = None, **fields: Any) -> Message:
    """A message of the contact's, as if it had been delivered."""
    async with chat.world.work() as work:
        row = Message(
            conversation_id=chat.id, number_id=chat.number_id, contact_id=chat.contact_id,
            direction="in", author="contact", text=text, status="received",
            wamid=f"wamid.{secrets.token_hex(12)}", provider_at=at or now(),
            **{"kind": "text", **fields},
        )  # fmt: skip
        work.session.add(row)
        await work.session.flush()
        return row


async def make_template(world: World, name: str, **fields: Any) -> None:
    values: dict[str, Any] = {"category": "utility", "status": "approved", "language": "pt_BR"}
    values["components"] = [{"type": "BODY", "text": "Oi"}]
    async with world.work() as work:
        work.session.add(MessageTemplate(waba_id="200000000000001", name=name, **(values | fields)))


def at_sandbox(runtime: Runtime, url: str) -> Runtime:
    """The same process, WhatsApp at the sandbox."""
    vendors = {"whatsapp_graph_base_url": f"{url}/graph"}
    return replace(runtime, settings=runtime.settings.model_copy(update=vendors))
