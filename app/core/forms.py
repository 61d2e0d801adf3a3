"""Multipart bodies with a size cap, and an error instead of a shrug for one that is cut off."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request


class FormTooLarge(MultiPartException):
    """More bytes than the caller takes."""


async def read_form(request: Request, *, most_bytes: int, max_files: int) -> FormData:
    """The parts, files spooled to disk. Raises MultiPartException, FormTooLarge."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise MultiPartException("Send multipart/form-data.")
    return await _Form(request, most_bytes, max_files).parse()


class _Form(MultiPartParser):
    def __init__(self, request: Request, most_bytes: int, max_files: int) -> None:
        super().__init__(
            request.headers, self._capped(request, most_bytes), max_files=max_files, max_fields=5
        )
        self._ended = False

    def on_end(self) -> None:
        super().on_end()
        self._ended = True

    async def _capped(self, request: Request, most: int) -> AsyncGenerator[bytes, None]:
        # Counted as it arrives: Content-Length is a hint, and chunked bodies have none.
        size = 0
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            raise FormTooLarge("The body is too large.")
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                raise FormTooLarge("The body is too large.")
            yield chunk
        if not self._ended:
            # Raised inside the parser's loop, which then closes the spooled files.
            raise MultiPartException("The body ends before its last boundary.")
