"""A message's medium: what is owed of it, what came, who may see it, trying again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.contracts.conversations import MediaChanged
from app.contracts.gateways.whatsapp import WhatsAppAccount, WhatsAppGateway
from app.conversations.inbox.models import Message, MessageMedia
from app.conversations.inbox.service import InboxService
from app.conversations.media.problems import MediaGone, MediaNotRetryable
from app.conversations.media.repository import MediaRepository
from app.conversations.media.rules import FETCH, REASONS, SORTS, State
from app.conversations.media.schemas import MediaRead
from app.conversations.numbers.service import NumberService
from app.core.clock import now
from app.core.crypto import SecretUnreadable
from app.core.pagination import PageRead, PageRequest
from app.kernel.files.schemas import FileRead
from app.kernel.files.service import FileService
from app.kernel.work import Work

_RETRYABLE = ("failed", "too_large", "invalid", "expired")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A medium that is ours to fetch now, outside any transaction."""

    media_id: UUID
    gateway: WhatsAppGateway
    account: WhatsAppAccount
    vendor_media_id: str
    sort: str
    media_type: str | None
    sha256: str | None
    name: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended when no file came of it; ``reason`` is one of ``REASONS``."""

    state: State
    reason: str
    detail: str | None = None


class MediaService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.media = MediaRepository(work.session)
        self.files = FileService(work)

    async def begin(self, media_id: UUID) -> Wanted | None:
        """Count a try and say what is to be fetched; None when nothing is (any more)."""
        found = await self.media.with_message(media_id, lock=True)
        if found is None or found[0].state != "pending" or found[1].kind not in SORTS:
            return None
        row, message = found
        row.attempts, row.tried_at = row.attempts + 1, now()
        if row.expires_at is not None and row.expires_at <= now():
            self._end(row, message, Ending("expired", "gone"))
            return None
        number = await self.media.number(message.number_id)
        if number is None or not number.is_active or row.vendor_media_id is None:
            self._end(row, message, Ending("failed", "number-inactive"))
            return None
        try:
            account = NumberService(self.work).account(number)
        except SecretUnreadable:
            self._end(row, message, Ending("failed", "token-refused"))
            return None
        return Wanted(
            row.id, self.work.port(WhatsAppGateway), account, row.vendor_media_id,
            message.kind, row.media_type, row.sha256, row.original_name, row.attempts,
        )  # fmt: skip

    async def ready(self, media_id: UUID, file: FileRead) -> None:
        """Its bytes are stored. Raises FileNotFound when they were removed meanwhile."""
        found = await self.media.with_message(media_id, lock=True)
        if found is None or found[0].state != "pending":
            return
        row, message = found
        row.stored_file_id = (await self.files.keep(file.id)).id
        row.size_bytes = file.size_bytes
        row.state, row.reason, row.error = "ready", None, None
        self._tell(row, message)

    async def ended(self, media_id: UUID, ending: Ending) -> None:
        """There is no file, and why."""
        found = await self.media.with_message(media_id, lock=True)
        if found is not None and found[0].state == "pending":
            self._end(*found, ending)

    async def lost(self, media_id: UUID, ending: Ending) -> None:
        """Its bytes were found missing."""
        found = await self.media.with_message(media_id, lock=True)
        if found is not None and found[0].state == "ready":
            found[0].stored_file_id = None
            self._end(*found, ending)

    async def get(self, message_id: UUID) -> MediaRead:
        """A message's medium, with links that work now. Raises MediaNotFound."""
        row, message = await self.media.of_message(message_id)
        return (await self._read([row], {message.id: message.kind}))[0]

    async def page(self, conversation_id: UUID, page: PageRequest) -> PageRead[MediaRead]:
        """All media of a conversation, newest first. Raises ConversationNotFound."""
        await InboxService(self.work).get(conversation_id)
        found = await self.media.of_conversation(conversation_id, page)
        kinds = await self.media.kinds([row.message_id for row in found.items])
        return PageRead[MediaRead](
            items=await self._read(found.items, kinds), next_cursor=found.next_cursor
        )

    async def again(self, message_id: UUID) -> MediaRead:
        """Fetch it once more. Raises MediaNotFound, MediaNotRetryable, MediaGone."""
        row, message = await self.media.of_message(message_id, lock=True)
        if row.state not in _RETRYABLE or row.vendor_media_id is None:
            raise MediaNotRetryable(media_state=row.state)
        if row.expires_at is not None and row.expires_at <= now():
            raise MediaGone()
        row.state, row.reason, row.error, row.attempts = "pending", None, None, 0
        row.tried_at = now()
        self.work.enqueue(FETCH, {"media_id": str(row.id)}, dedupe_key=f"{row.id}:{row.tried_at}")
        self._tell(row, message)
        return (await self._read([row], {message.id: message.kind}))[0]

    async def _read(self, rows: Sequence[MessageMedia], kinds: dict[UUID, str]) -> list[MediaRead]:
        names = {r.stored_file_id: r.original_name for r in rows if r.stored_file_id is not None}
        files = await self.files.linked(names)
        return [_shown(row, kinds[row.message_id], files) for row in rows]

    def _end(self, row: MessageMedia, message: Message, ending: Ending) -> None:
        row.state, row.reason, row.error = ending.state, ending.reason, ending.detail
        self._tell(row, message)

    def _tell(self, row: MessageMedia, message: Message) -> None:
        self.work.publish(
            MediaChanged(
                conversation_id=message.conversation_id,
                message_id=message.id,
                state=row.state,
                reason=row.reason,
            )
        )


def _shown(row: MessageMedia, kind: str, files: dict[UUID, FileRead]) -> MediaRead:
    file = files.get(row.stored_file_id) if row.stored_file_id is not None else None
    is_bare = file is None or file.media_type == "application/octet-stream"
    return MediaRead(
        id=row.id,
        message_id=row.message_id,
        kind=kind,
        state=row.state,
        reason=row.reason,
        detail=REASONS.get(row.reason or ""),
        media_type=row.media_type if is_bare or file is None else file.media_type,
        original_name=row.original_name,
        size_bytes=row.size_bytes,
        url=None if file is None else file.url,
        thumbnails={} if file is None else file.thumbnails,
        expires_at=row.expires_at,
        created_at=row.created_at,
    )
