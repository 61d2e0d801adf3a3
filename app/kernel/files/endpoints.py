"""HTTP for files: upload and removal by members, download by who knows the path or has a link."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from app.core.forms import FormTooLarge, read_form
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import held_grants, public, require_module
from app.kernel.files.intake import Incoming
from app.kernel.files.problems import (
    FileBusy,
    FileInUse,
    FileLinkExpired,
    FileNotFound,
    FileTooLarge,
    FileTypeMismatch,
    ImageAnimated,
    ImageTooLarge,
    ImageUnreadable,
    NoFileSent,
    RangeOutside,
    StorageUnavailable,
    UnsupportedFile,
)
from app.kernel.files.rules import LARGEST_BYTES, Span, asked_span
from app.kernel.files.schemas import FileRead, Visibility
from app.kernel.files.service import FileService, Served, content, served, store_file
from app.kernel.limits import LimitReached
from app.kernel.work import Works, runtime_of, service

router = APIRouter(tags=["files"])
Files = Annotated[FileService, service(FileService)]
_ENVELOPE_BYTES = 64 * 1024
"""What boundaries and part headers may add to the file itself."""
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


@router.post(
    "/api/v1/admin/files",
    status_code=201,
    response_model=FileRead,
    dependencies=[require_module("platform", "files:write")],
    responses=problems(
        NoFileSent,
        UnsupportedFile,
        FileTypeMismatch,
        ImageUnreadable,
        ImageAnimated,
        FileTooLarge,
        ImageTooLarge,
        LimitReached,
        FileBusy,
        StorageUnavailable,
    ),
    openapi_extra=_FORM,
)
async def upload_file(
    request: Request, works: Works, visibility: Visibility = "public"
) -> FileRead:
    """Upload an image, video or PDF; the same content again answers the same file.

    An image is decoded and made anew: upright, at most 2560 pixels wide or high, without its
    metadata (where it was taken, by which camera). `visibility=private` is for documents that
    only members may read: their links are signed and end after 15 minutes. A file that nothing
    refers to is removed after some days. Needs no Idempotency-Key: the content's hash is one.
    """
    upload = await _receive(request)
    try:
        incoming = Incoming(upload.file, upload.filename or "", upload.content_type)
        return await store_file(runtime_of(request), works, incoming, visibility)
    finally:
        await upload.close()


@router.get("/api/v1/admin/files", dependencies=[require_module("platform", "files:read")])
async def list_files(request: Request, files: Files, page: Paging) -> PageRead[FileRead]:
    """Files, newest first, each with links that work now; of chats for those who may read them."""
    return await files.page(page, held_grants(request))


@router.get(
    "/api/v1/admin/files/{file_id}",
    dependencies=[require_module("platform", "files:read")],
    responses=problems(FileNotFound),
)
async def show_file(request: Request, file_id: UUID, files: Files) -> FileRead:
    """One file; of a private one, this is where a new link comes from."""
    return await files.get(file_id, held_grants(request))


@router.delete(
    "/api/v1/admin/files/{file_id}",
    status_code=204,
    dependencies=[require_module("platform", "files:write")],
    responses=problems(FileNotFound, FileInUse),
)
async def delete_file(request: Request, file_id: UUID, files: Files) -> None:
    """Remove a file that nothing refers to; its bytes follow within seconds."""
    await files.delete(file_id, held_grants(request))


@router.get(
    "/media/{key:path}",
    dependencies=[public()],
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": {"application/octet-stream": {}}},
        206: {"description": "The part that Range asks for."},
        304: {"description": "What the client holds is what there is."},
        **problems(FileNotFound, FileLinkExpired, RangeOutside, StorageUnavailable),
    },
)
async def download_file(
    request: Request,
    key: str,
    expires: int | None = None,
    signature: str | None = None,
    name: Annotated[str | None, Query(max_length=240, description="Part of a signed link.")] = None,
) -> Response:
    """An uploaded file: public to whoever knows its path, private by a signed link.

    The path holds the SHA-256 of the content, which nobody guesses; it never changes, so it may
    be kept for ever. Bytes pass through here from S3, too, instead of by links that S3 signs: one
    set of headers that keeps browsers strict, one kind of link, and a bucket closed to the world.
    """
    runtime = runtime_of(request)
    found = await served(runtime, key, expires, signature, name)
    request.scope["meta"].content = "file"
    etag = f'"{PurePosixPath(key).stem}"'
    headers = _strict(found, etag)
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if not found.kind.inline or (name and found.fresh_s is not None):
        headers["Content-Disposition"] = _disposition(found, key, name)
    span = _span(request, found.size, etag)
    if span is not None:
        last = span.start + span.length - 1
        headers["Content-Range"] = f"bytes {span.start}-{last}/{found.size}"
    start, length = (span.start, span.length) if span else (0, found.size)
    headers["Content-Length"] = str(length)
    return StreamingResponse(
        content(runtime, key, start, length),
        status_code=206 if span else 200,
        headers=headers,
        media_type=found.kind.media_type,
    )


def _strict(found: Served, etag: str) -> dict[str, str]:
    """What keeps a browser from doing more with the bytes than showing them."""
    public, private = "public, max-age=31536000, immutable", f"private, max-age={found.fresh_s}"
    return {
        "Accept-Ranges": "bytes",
        "Cache-Control": public if found.fresh_s is None else private,
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "ETag": etag,
    }


def _disposition(found: Served, key: str, name: str | None) -> str:
    """RFC 6266: the name of a signed link, every byte of it quoted; else one by the hash."""
    plain = f"{PurePosixPath(key).stem[:12]}.{found.kind.extension}"
    how = "inline" if found.kind.inline else "attachment"
    if not name or found.fresh_s is None:
        return f'{how}; filename="{plain}"'
    quoted = quote(name, safe="", errors="replace")
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quoted}"


def _span(request: Request, size: int, etag: str) -> Span | None:
    """The part of the file that is asked for; None: all of it. Raises RangeOutside."""
    if request.headers.get("if-range", etag) != etag:
        return None
    try:
        return asked_span(request.headers.get("range", ""), size)
    except ValueError as error:
        problem = RangeOutside(size=size)
        problem.headers["Content-Range"] = f"bytes */{size}"
        raise problem from error


async def _receive(request: Request) -> UploadFile:
    """The part named ``file``, spooled to disk. Raises NoFileSent, FileTooLarge."""
    try:
        form = await read_form(request, most_bytes=LARGEST_BYTES + _ENVELOPE_BYTES, max_files=1)
    except FormTooLarge as error:
        raise FileTooLarge(max_bytes=LARGEST_BYTES) from error
    except MultiPartException as error:
        raise NoFileSent(error.message) from error
    found = form.get("file")
    if not isinstance(found, UploadFile):
        await form.close()
        raise NoFileSent()
    return found
