"""Media to be sent: taken in once, copied to the vendor for each number that sends them.

The vendor forgets a copy after thirty days; whoever sends then makes another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast
from uuid import UUID

from app.contracts.gateways.whatsapp import WhatsAppAccount, WhatsAppGateway
from app.conversations.inbox.models import Message, MessageMedia
from app.conversations.media.models import MessageUpload
from app.conversations.media.problems import (
    UploadKindDiffers,
    UploadNotFound,
    UploadTooLarge,
    UploadUnsupported,
)
from app.conversations.media.repository import MediaRepository, UploadRepository
from app.conversations.media.rules import (
    COPY_LIFE,
    READERS,
    SORTS,
    MediaKind,
    allowed,
    found_kind,
    sendable_type,
)
from app.conversations.media.schemas import UploadRead
from app.conversations.numbers.service import NumberService
from app.core.clock import now
from app.kernel.files.intake import Incoming
from app.kernel.files.problems import FileTooLarge
from app.kernel.files.rules import HEAD_BYTES, clean_name
from app.kernel.files.schemas import FileRead
from app.kernel.files.service import FileService, content, store_file
from app.kernel.work import Runtime, Work, WorkFactory

_IN_MEMORY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Uncopied:
    """An upload that the vendor does not have yet, outside any transaction."""

    upload_id: UUID
    number_id: UUID
    gateway: WhatsAppGateway
    account: WhatsAppAccount
    name: str
    media_type: str
    key: str
    size: int


class UploadService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.uploads = UploadRepository(work.session)
        self.media = MediaRepository(work.session)
        self.files = FileService(work)

    async def get(self, upload_id: UUID) -> UploadRead:
        """One upload, with links that work now. Raises UploadNotFound."""
        return await self._shown(await self.uploads.get(upload_id))

    async def add(self, kind: str, media_type: str, name: str, file: FileRead) -> UploadRead:
        """Keep what was stored as something to send. Raises FileNotFound."""
        await self.files.keep(file.id)
        actor = self.work.actor
        row = await self.uploads.add(
            MessageUpload(
                kind=kind,
                stored_file_id=file.id,
                media_type=media_type,
                original_name=name,
                size_bytes=file.size_bytes,
                uploaded_by=actor.id if actor.kind == "user" else None,
                created_at=now(),
            )
        )
        self.work.record("message_upload.added", "message_upload", row.id, kind=kind)
        return await self._shown(row)

    async def attach(self, message: Message, upload_id: UUID) -> None:
        """Have a new message carry an upload. Raises UploadNotFound, UploadKindDiffers."""
        row = await self.uploads.get(upload_id, lock=True)
        if row.kind != message.kind:
            raise UploadKindDiffers(expected=row.kind)
        if message.kind == "document":
            message.content = {"filename": row.original_name} | message.content
        message.text = message.text or (row.original_name if row.kind == "document" else None)
        await self.media.add(
            MessageMedia(
                message_id=message.id,
                upload_id=row.id,
                stored_file_id=row.stored_file_id,
                media_type=row.media_type,
                original_name=row.original_name,
                size_bytes=row.size_bytes,
                state="ready",
            )
        )

    async def uncopied(self, upload_id: UUID, number_id: UUID) -> Uncopied | str:
        """The vendor's id of the upload for this number, or what has to be copied first.

        Raises UploadNotFound, FileNotFound, core.crypto.SecretUnreadable.
        """
        known = await self.uploads.copy(upload_id, number_id, now())
        if known is not None:
            return known
        numbers = NumberService(self.work)
        account = numbers.account(await numbers.get(number_id))
        return await self.sample(upload_id, number_id, account)

    async def sample(self, upload_id: UUID, number_id: UUID, account: WhatsAppAccount) -> Uncopied:
        """What is needed to send its bytes to the vendor. Raises UploadNotFound, FileNotFound."""
        row = await self.uploads.get(upload_id)
        file = await self.files.get(row.stored_file_id, (READERS,))
        return Uncopied(
            row.id, number_id, self.work.port(WhatsAppGateway), account, row.original_name,
            row.media_type, file.key, file.size_bytes,
        )  # fmt: skip

    async def copied(self, what: Uncopied, vendor_media_id: str) -> None:
        """The vendor has it."""
        until = now() + COPY_LIFE
        await self.uploads.copied(what.upload_id, what.number_id, vendor_media_id, until)

    async def carried_by(self, message_id: UUID) -> tuple[MessageMedia, Message] | None:
        """A message that waits with an upload; None when it carries none."""
        found = await self.media.find_of_message(message_id)
        if found is None or found[0].upload_id is None or found[1].status != "queued":
            return None
        return found

    async def _shown(self, row: MessageUpload) -> UploadRead:
        files = await self.files.linked({row.stored_file_id: row.original_name})
        file = files.get(row.stored_file_id)
        if file is None:
            raise UploadNotFound()
        return UploadRead(
            id=row.id,
            kind=row.kind,
            media_type=row.media_type,
            original_name=row.original_name,
            size_bytes=row.size_bytes,
            url=file.url,
            thumbnails=file.thumbnails,
            created_at=row.created_at,
        )


async def take_in(
    runtime: Runtime, works: WorkFactory, sort: MediaKind, source: BinaryIO, name: str
) -> UploadRead:
    """Keep a file to be sent as ``sort``.

    Raises UploadUnsupported, UploadTooLarge, ImageUnreadable, ImageTooLarge, LimitReached,
    FileBusy, StorageUnavailable.
    """
    source.seek(0)
    head = source.read(HEAD_BYTES)
    kind, name = found_kind(sort, head, None), clean_name(name)
    media_type = None if kind is None else sendable_type(sort, kind, name, head)
    if kind is None or media_type is None:
        raise UploadUnsupported(allowed=allowed(sort))
    most = SORTS[sort].most_bytes
    try:
        incoming = Incoming(source, name, media_type, kind)
        file = await store_file(runtime, works, incoming, "private", READERS)
    except FileTooLarge as error:
        raise UploadTooLarge(max_bytes=most) from error
    if sort == "image" and file.media_type not in allowed(sort):
        # Made anew it was too large for its own format.
        raise UploadTooLarge(max_bytes=most)
    async with works() as work:
        sent_as = file.media_type if sort == "image" else media_type
        return await UploadService(work).add(sort, sent_as, name, file)


async def carry(runtime: Runtime, works: WorkFactory, message_id: UUID) -> None:
    """See to it that the vendor has what a queued message carries, and that it says so.

    Raises the gateway failures; another try is safe after each. UploadNotFound, FileNotFound,
    StorageFailed.
    """
    async with works() as work:
        found = await UploadService(work).carried_by(message_id)
        if found is None or found[0].upload_id is None:
            return
        upload_id, number_id = found[0].upload_id, found[1].number_id
        known = await UploadService(work).uncopied(upload_id, number_id)
    if isinstance(known, Uncopied):
        async with bytes_of(runtime, known.key, known.size) as source:
            vendor_media_id = await known.gateway.upload(
                known.account, name=known.name, media_type=known.media_type, content=source
            )
    else:
        vendor_media_id = known
    async with works() as work:
        uploads = UploadService(work)
        if isinstance(known, Uncopied):
            await uploads.copied(known, vendor_media_id)
        found = await uploads.carried_by(message_id)
        if found is not None:
            media, message = found
            media.vendor_media_id = vendor_media_id
            message.content = message.content | {"id": vendor_media_id}


@asynccontextmanager
async def bytes_of(runtime: Runtime, key: str, size: int) -> AsyncIterator[BinaryIO]:
    """A stored file, in a temporary one that can be sent. Raises StorageFailed."""
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        async for piece in content(runtime, key, 0, size):
            await asyncio.to_thread(spool.write, piece)
        spool.seek(0)
        yield cast(BinaryIO, spool)
