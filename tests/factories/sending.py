"""Workers that send, messages that wait, and what became of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import select

from app.conversations.inbox.models import Message
from app.conversations.numbers.models import WhatsAppNumber
from app.conversations.sending import jobs
from app.conversations.sending.schemas import MessageIn
from app.conversations.sending.service import Author, SendingService
from app.kernel.jobs.service import Handler, Worker
from app.kernel.work import Runtime
from tests.factories.conversations import Chat
from tests.factories.tenants import World

_HANDLERS: dict[str, Handler] = {jobs.SEND: jobs.send, jobs.MARK_READ: jobs.mark_read}
_BODY: TypeAdapter[MessageIn] = TypeAdapter(MessageIn)
USER = Author("user")
CAMPAIGN = Author("campaign", None, "marketing")


@asynccontextmanager
async def workers(runtime: Runtime, count: int = 1) -> AsyncIterator[None]:
    """So many of them, each with what a process of its own has of pace and limits."""
    async with AsyncExitStack() as stack:
        for _ in range(count):
            own = replace(runtime, caches={})
            worker = Worker(own, _HANDLERS)
            await worker.start()
            stack.push_async_callback(worker.stop)
        yield


async def owe(chat: Chat, body: dict[str, Any], author: Author = USER) -> UUID:
    """Queue a message as that author."""
    async with chat.world.work() as work:
        message = await SendingService(work).queue(chat.id, _BODY.validate_python(body), author)
        return message.id


def template(name: str) -> dict[str, Any]:
    return {"type": "template", "name": name, "language": "pt_BR"}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


async def standing(chats: Iterable[Chat]) -> list[str]:
    """Every message's state, in the order of the chats."""
    return [m.status for chat in chats for m in await chat.messages() if m.direction == "out"]


async def number_of(world: World, number_id: UUID) -> WhatsAppNumber:
    async with world.work() as work:
        found = await work.session.scalars(
            select(WhatsAppNumber).where(WhatsAppNumber.id == number_id)
        )
        return found.one()


async def message(world: World, message_id: UUID) -> Message:
    async with world.work() as work:
        return (await work.session.scalars(select(Message).where(Message.id == message_id))).one()


async def hurry(world: World) -> None:
    """Let every job that waits for its time look again now."""
    async with world.runtime.database.system_driver() as driver:
        await driver.execute("UPDATE pgqueuer SET execute_after = now() WHERE status = 'queued'")
