"""The vendor's side of media: what it holds, and messages that bring it."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import httpx
from PIL import Image
from sqlalchemy import select

from app.conversations.inbox.models import Message, MessageMedia
from app.conversations.media import jobs
from app.conversations.media.rules import FETCH
from app.conversations.sending import jobs as sending
from app.core.clock import now
from app.core.ids import new_id
from app.kernel.files import jobs as files
from app.kernel.files.models import StoredFile
from app.kernel.jobs.service import Handler, Worker
from app.kernel.work import Runtime
from tests.factories.conversations import Chat
from tests.sandbox.server import SandboxServer, until

VOICE = b"OggS\x00\x02" + bytes(22) + b"OpusHead" + secrets.token_bytes(200_000)
PDF = b"%PDF-1.7\n" + b"conteudo " * 900
HEADERS = {"authorization": "Bearer EAAGtokenDoNumero"}


def photo(side: int = 700) -> bytes:
    out = BytesIO()
    Image.new("RGB", (side, side // 2), (secrets.randbelow(255), 80, 40)).save(out, "JPEG")
    return out.getvalue()


@dataclass
class Vendor:
    chat: Chat
    sandbox: SandboxServer
    runtime: Runtime

    async def holds(self, content: bytes, media_type: str) -> str:
        """The id under which the vendor has it."""
        answer = await self.sandbox.http.post(
            f"{self.sandbox.url}/graph/v23.0/1234567890/media",
            data={"messaging_product": "whatsapp", "type": media_type},
            files={"file": ("a", content, media_type)},
            headers=HEADERS,
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    async def brings(self, kind: str, content: bytes, media_type: str, **fields: Any) -> UUID:
        """A message of the contact's with a medium, and its job; the message's id."""
        media_id = await self.holds(content, media_type)
        values: dict[str, Any] = {
            "vendor_media_id": media_id,
            "media_type": media_type,
            "sha256": hashlib.sha256(content).hexdigest(),
            "expires_at": now() + timedelta(days=7),
        }
        return await self.owed(kind, **(values | fields))

    async def owed(self, kind: str, at: datetime | None = None, **fields: Any) -> UUID:
        async with self.chat.world.work() as work:
            message = Message(
                conversation_id=self.chat.id, number_id=self.chat.number_id,
                contact_id=self.chat.contact_id, direction="in", author="contact", kind=kind,
                status="received", wamid=f"wamid.{secrets.token_hex(12)}", provider_at=at or now(),
            )  # fmt: skip
            work.session.add(message)
            await work.session.flush()
            media = MessageMedia(id=new_id(), message_id=message.id, **fields)
            work.session.add(media)
            work.enqueue(FETCH, {"media_id": str(media.id)})
            return message.id

    async def row(self, message_id: UUID) -> MessageMedia:
        async with self.chat.world.work() as work:
            mine = MessageMedia.message_id == message_id
            return (await work.session.scalars(select(MessageMedia).where(mine))).one()

    async def files(self) -> list[StoredFile]:
        async with self.chat.world.work() as work:
            return list(await work.session.scalars(select(StoredFile).order_by(StoredFile.id)))

    async def settled(self, message_id: UUID, within_s: float = 20) -> MessageMedia:
        async def done() -> bool:
            return (await self.row(message_id)).state != "pending"

        await until(done, within_s)
        return await self.row(message_id)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        handlers: dict[str, Handler] = {
            jobs.FETCH: jobs.fetch,
            jobs.CLEAN: jobs.clean_up,
            sending.SEND: sending.send,
            files.CLEAN: files.clean,
            files.ERASE: files.erase,
        }
        worker = Worker(self.runtime, handlers)
        await worker.start()
        try:
            yield
        finally:
            await worker.stop()

    async def fetched(self, message_id: UUID) -> MessageMedia:
        async with self.working():
            return await self.settled(message_id)

    async def downloads(self) -> int:
        found = await self.sandbox.requests(vendor="whatsapp", limit="500")
        return sum(r["path"].endswith("/bytes") for r in found)


async def served(client: httpx.AsyncClient, url: str, **headers: str) -> httpx.Response:
    await asyncio.sleep(0)
    return await client.get(url, headers=headers)
