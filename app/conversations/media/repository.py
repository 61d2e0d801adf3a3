"""Queries over media, uploads and their copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from app.conversations.inbox.models import Message, MessageMedia
from app.conversations.media.models import MediaCleanup, MessageUpload, UploadCopy
from app.conversations.media.problems import MediaNotFound, UploadNotFound
from app.conversations.numbers.models import WhatsAppNumber
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.files.models import StoredFile

TENANTS = """
SELECT DISTINCT tenant_id FROM message_media UNION SELECT DISTINCT tenant_id FROM message_uploads
"""


@dataclass(frozen=True, slots=True)
class Held:
    """A ready medium and where its bytes should be."""

    media_id: UUID
    key: str


class MediaRepository(Repository[MessageMedia]):
    model = MessageMedia
    missing = MediaNotFound

    async def of_message(
        self, message_id: UUID, *, lock: bool = False
    ) -> tuple[MessageMedia, Message]:
        """Raises MediaNotFound."""
        found = await self._one(MessageMedia.message_id == message_id, lock=lock)
        if found is None:
            raise MediaNotFound()
        return found

    async def find_of_message(self, message_id: UUID) -> tuple[MessageMedia, Message] | None:
        return await self._one(MessageMedia.message_id == message_id, lock=False)

    async def with_message(
        self, media_id: UUID, *, lock: bool = False
    ) -> tuple[MessageMedia, Message] | None:
        return await self._one(MessageMedia.id == media_id, lock=lock)

    async def of_conversation(self, conversation_id: UUID, page: PageRequest) -> Page[MessageMedia]:
        mine = select(Message.id).where(Message.conversation_id == conversation_id)
        return await self.page(self.query().where(MessageMedia.message_id.in_(mine)), page)

    async def kinds(self, ids: Sequence[UUID]) -> dict[UUID, str]:
        """Each message's kind."""
        rows = await self.session.execute(
            select(Message.id, Message.kind).where(Message.id.in_(ids))
        )
        return {row.id: row.kind for row in rows}

    async def number(self, number_id: UUID) -> WhatsAppNumber | None:
        return await self.session.get(WhatsAppNumber, number_id)

    async def old(self, before: datetime, most: int) -> Sequence[MessageMedia]:
        """Ready media of messages from before that."""
        statement = (
            select(MessageMedia)
            .join(Message, Message.id == MessageMedia.message_id)
            .where(MessageMedia.state == "ready", Message.provider_at < before)
            .order_by(MessageMedia.id)
            .limit(most)
        )
        return (await self.session.scalars(statement)).all()

    async def forgotten(self, before: datetime, most: int) -> Sequence[MessageMedia]:
        """Pending for so long that no job can be left."""
        statement = (
            self.query()
            .where(MessageMedia.state == "pending", MessageMedia.tried_at < before)
            .order_by(MessageMedia.id)
            .limit(most)
        )
        return (await self.session.scalars(statement)).all()

    async def held(self, after: UUID | None, most: int) -> list[Held]:
        """Ready media by id."""
        statement = (
            select(MessageMedia.id, StoredFile.key)
            .join(StoredFile, StoredFile.id == MessageMedia.stored_file_id)
            .where(MessageMedia.state == "ready")
            .order_by(MessageMedia.id)
            .limit(most)
        )
        if after is not None:
            statement = statement.where(MessageMedia.id > after)
        return [Held(row.id, row.key) for row in await self.session.execute(statement)]

    async def _one(self, condition: object, *, lock: bool) -> tuple[MessageMedia, Message] | None:
        statement = (
            select(MessageMedia, Message)
            .join(Message, Message.id == MessageMedia.message_id)
            .where(condition)  # type: ignore[arg-type]
        )
        if lock:
            statement = statement.with_for_update(of=MessageMedia)
        row = (await self.session.execute(statement)).one_or_none()
        return None if row is None else (row[0], row[1])


class UploadRepository(Repository[MessageUpload]):
    model = MessageUpload
    missing = UploadNotFound

    async def copy(self, upload_id: UUID, number_id: UUID, at: datetime) -> str | None:
        """The vendor's id of a copy that still lives at that instant."""
        found: str | None = await self.session.scalar(
            select(UploadCopy.vendor_media_id).where(
                UploadCopy.upload_id == upload_id,
                UploadCopy.number_id == number_id,
                UploadCopy.expires_at > at,
            )
        )
        return found

    async def copied(
        self, upload_id: UUID, number_id: UUID, vendor_media_id: str, expires_at: datetime
    ) -> None:
        """Remember a copy in the place of an older one."""
        values = {"vendor_media_id": vendor_media_id, "expires_at": expires_at}
        statement = insert(UploadCopy).values(
            id=new_id(), upload_id=upload_id, number_id=number_id, **values
        )
        await self.session.execute(
            statement.on_conflict_do_update(
                index_elements=["tenant_id", "upload_id", "number_id"], set_=values
            )
        )

    async def unsent(self, before: datetime, most: int) -> Sequence[MessageUpload]:
        """Uploads from before that which no message carries."""
        sent = select(MessageMedia.id).where(MessageMedia.upload_id == MessageUpload.id)
        statement = (
            self.query()
            .where(MessageUpload.created_at < before, ~sent.exists())
            .order_by(MessageUpload.id)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        return (await self.session.scalars(statement)).all()

    async def expired_copies(self, at: datetime) -> Sequence[UUID]:
        found = select(UploadCopy.id).where(UploadCopy.expires_at <= at)
        return (await self.session.scalars(found)).all()

    async def forget_copies(self, at: datetime) -> None:
        await self.session.execute(delete(UploadCopy).where(UploadCopy.expires_at <= at))


class CleanupRepository(Repository[MediaCleanup]):
    model = MediaCleanup
