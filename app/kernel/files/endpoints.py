"""HTTP for files: upload by members, download by everybody who knows the path."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from app.core.problems import problems
from app.kernel.access import public, require_module
from app.kernel.files.models import StoredFile
from app.kernel.files.problems import (
    FileNotFound,
    FileTooLarge,
    FileTypeMismatch,
    NoFileSent,
    UnsupportedFile,
)
from app.kernel.files.rules import LARGEST_BYTES
from app.kernel.files.schemas import FileRead
from app.kernel.files.service import FileService, served
from app.kernel.work import runtime_of, service

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
    responses=problems(NoFileSent, UnsupportedFile, FileTypeMismatch, FileTooLarge),
    openapi_extra=_FORM,
)
async def upload_file(request: Request, files: Files) -> StoredFile:
    """Upload an image, video or PDF; the same content again answers the same file.

    Needs no Idempotency-Key: the content's hash is one.
    """
    upload = await _receive(request)
    try:
        return await files.store(upload)
    finally:
        await upload.close()


@router.get(
    "/media/{key:path}",
    dependencies=[public()],
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": {"application/octet-stream": {}}},
        206: {"description": "The part that Range asks for."},
        304: {"description": "What the client holds is what there is."},
        **problems(FileNotFound),
    },
)
async def download_file(request: Request, key: str) -> Response:
    """An uploaded file, public to whoever knows its path.

    The path holds the SHA-256 of the content, which nobody guesses; it never changes, so it may
    be kept for ever.
    """
    path, kind = await served(runtime_of(request), key)
    request.scope["meta"].content = "file"
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "ETag": f'"{path.stem}"',
    }
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return FileResponse(
        path,
        headers=headers,
        media_type=kind.media_type,
        filename=None if kind.inline else f"{path.stem[:12]}.{kind.extension}",
    )


async def _receive(request: Request) -> UploadFile:
    """The part named ``file``, spooled to disk. Raises NoFileSent, FileTooLarge."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise NoFileSent()
    try:
        form = await _Form(request).parse()
    except MultiPartException as error:
        raise NoFileSent(error.message) from error
    found = form.get("file")
    if not isinstance(found, UploadFile):
        await form.close()
        raise NoFileSent()
    return found


class _Form(MultiPartParser):
    """Starlette's parser with a size cap, and an error instead of a shrug for a cut-off body."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.headers, self._capped(request), max_files=1, max_fields=5)
        self._ended = False

    def on_end(self) -> None:
        super().on_end()
        self._ended = True

    async def _capped(self, request: Request) -> AsyncGenerator[bytes, None]:
        # Counted as it arrives: Content-Length is a hint, and chunked bodies have none.
        size, most = 0, LARGEST_BYTES + _ENVELOPE_BYTES
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            raise FileTooLarge(max_bytes=LARGEST_BYTES)
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                raise FileTooLarge(max_bytes=LARGEST_BYTES)
            yield chunk
        if not self._ended:
            # Raised inside the parser's loop, which then closes the spooled file.
            raise MultiPartException("The body ends before its last boundary.")
