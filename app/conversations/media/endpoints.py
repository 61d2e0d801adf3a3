"""HTTP for media: what messages brought, what is uploaded to be sent, the clean-up."""

from __future__ import annotations

from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from app.conversations.inbox.problems import ConversationNotFound
from app.conversations.media.cleaning import CleanupService
from app.conversations.media.handles import make_handle
from app.conversations.media.models import MediaCleanup
from app.conversations.media.problems import (
    HeaderNotPossible,
    MediaGone,
    MediaNotFound,
    MediaNotRetryable,
    UploadMissing,
    UploadNotFound,
    UploadTooLarge,
    UploadUnsupported,
)
from app.conversations.media.rules import SORTS, MediaKind
from app.conversations.media.schemas import (
    CleanupIn,
    CleanupRead,
    MediaRead,
    TemplateHandle,
    TemplateHandleIn,
    UploadRead,
)
from app.conversations.media.service import MediaService
from app.conversations.media.uploads import UploadService, take_in
from app.conversations.numbers.problems import (
    NumberNotFound,
    WhatsAppRefused,
    WhatsAppUnavailable,
    WhatsAppUncertain,
)
from app.core.forms import FormTooLarge, read_form
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.files.problems import (
    FileBusy,
    ImageAnimated,
    ImageTooLarge,
    ImageUnreadable,
    StorageUnavailable,
)
from app.kernel.idempotency import IdempotencyKeyReused, Idempotent, ReplayableRoute
from app.kernel.limits import LimitReached
from app.kernel.work import Works, runtime_of, service

router = APIRouter(prefix="/api/v1", tags=["conversations"], route_class=ReplayableRoute)
upload_router = APIRouter(prefix="/api/v1", tags=["conversations"])
Media = Annotated[MediaService, service(MediaService)]
Uploads = Annotated[UploadService, service(UploadService)]
Cleanups = Annotated[CleanupService, service(CleanupService)]
_READ = require_module("conversations", "messages:read")
_WRITE = require_module("conversations", "messages:write")
_MANAGE = require_module("conversations", "messages:manage")
_TEMPLATES = require_module("conversations", "templates:write")
_ENVELOPE_BYTES = 64 * 1024
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@router.get("/messages/{message_id}/media", dependencies=[_READ], responses=problems(MediaNotFound))
async def get_message_media(message_id: UUID, media: Media) -> MediaRead:
    """A message's medium: how far it is, and once it is ready where it is served."""
    return await media.get(message_id)


@router.post(
    "/messages/{message_id}/media-retries",
    status_code=202,
    dependencies=[_WRITE, Idempotent],
    responses=problems(MediaNotFound, MediaNotRetryable, MediaGone, IdempotencyKeyReused),
)
async def retry_message_media(message_id: UUID, media: Media) -> MediaRead:
    """Fetch a medium again that did not come; WhatsApp keeps it for seven days."""
    return await media.again(message_id)


@router.get(
    "/conversations/{conversation_id}/media",
    dependencies=[_READ],
    responses=problems(ConversationNotFound),
)
async def list_conversation_media(
    conversation_id: UUID, media: Media, page: Paging
) -> PageRead[MediaRead]:
    """All media of a conversation, newest first, with links that work now."""
    return await media.page(conversation_id, page)


@upload_router.post(
    "/message-uploads",
    status_code=201,
    dependencies=[_WRITE],
    responses=problems(
        UploadMissing, UploadUnsupported, UploadTooLarge, ImageUnreadable, ImageAnimated,
        ImageTooLarge, LimitReached, FileBusy, StorageUnavailable,
    ),
    openapi_extra=_FORM,
)  # fmt: skip
async def upload_for_message(request: Request, works: Works, kind: MediaKind) -> UploadRead:
    """Upload a file to send as this kind, once or often: name it as `upload_id` of a message.

    WhatsApp gets it when it is first sent. Images are made anew, without their metadata; the
    other kinds stay as they are. What is never sent is removed after some days.
    """
    file = await _received(request, kind)
    try:
        source = cast(Any, file.file)
        return await take_in(runtime_of(request), works, kind, source, file.filename or "")
    finally:
        await file.close()


@router.get(
    "/message-uploads/{upload_id}", dependencies=[_READ], responses=problems(UploadNotFound)
)
async def get_message_upload(upload_id: UUID, uploads: Uploads) -> UploadRead:
    """One upload, with links that work now."""
    return await uploads.get(upload_id)


@router.post(
    "/message-uploads/{upload_id}/template-handles",
    status_code=201,
    dependencies=[_TEMPLATES, Idempotent],
    responses=problems(
        UploadNotFound, HeaderNotPossible, NumberNotFound, WhatsAppRefused, WhatsAppUnavailable,
        WhatsAppUncertain, StorageUnavailable, IdempotencyKeyReused,
    ),
)  # fmt: skip
async def make_template_handle(
    upload_id: UUID, body: TemplateHandleIn, request: Request, works: Works
) -> TemplateHandle:
    """Hand an upload to WhatsApp as the sample of a template's header."""
    return await make_handle(runtime_of(request), works, upload_id, body.number_id)


@router.post(
    "/media-cleanups",
    status_code=202,
    response_model=CleanupRead,
    dependencies=[_MANAGE, Idempotent],
    responses=problems(IdempotencyKeyReused),
)
async def start_media_cleanup(body: CleanupIn, cleanups: Cleanups) -> MediaCleanup:
    """Look for old, unsent and broken media; a dry run only counts them. What a message, a
    product or anything else refers to is never removed."""
    return await cleanups.ask(body)


@router.get("/media-cleanups", dependencies=[_MANAGE])
async def list_media_cleanups(cleanups: Cleanups, page: Paging) -> PageRead[CleanupRead]:
    """Runs of the clean-up, newest first, with what they found."""
    return await cleanups.page(page)


async def _received(request: Request, kind: MediaKind) -> UploadFile:
    """The part named ``file``, spooled to disk. Raises UploadMissing, UploadTooLarge."""
    most = SORTS[kind].most_bytes
    try:
        form = await read_form(request, most_bytes=most + _ENVELOPE_BYTES, max_files=1)
    except FormTooLarge as error:
        raise UploadTooLarge(max_bytes=most) from error
    except MultiPartException as error:
        raise UploadMissing(error.message) from error
    found = form.get("file")
    if not isinstance(found, UploadFile):
        await form.close()
        raise UploadMissing()
    return found
