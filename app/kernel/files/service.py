"""Taking in a file: what it is, how big it is, where it goes; the same content is one row."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol
from uuid import UUID

from app.contracts.gateways.storage import FileStorage
from app.kernel.files.models import StoredFile
from app.kernel.files.problems import (
    FileNotFound,
    FileTooLarge,
    FileTypeMismatch,
    UnsupportedFile,
)
from app.kernel.files.repository import FileRepository
from app.kernel.files.rules import HEAD_BYTES, Kind, agrees, clean_name, detect, key_of, kind_of_key
from app.kernel.files.storage import LocalStorage
from app.kernel.work import Runtime, Work

_CHUNK = 256 * 1024


class Upload(Protocol):
    """Incoming bytes that can be read twice, such as Starlette's ``UploadFile``."""

    @property
    def filename(self) -> str | None: ...
    @property
    def content_type(self) -> str | None: ...
    async def read(self, size: int = -1) -> bytes: ...
    async def seek(self, offset: int) -> None: ...


def storage_of(runtime: Runtime) -> FileStorage:
    """The storage that the settings name."""
    return LocalStorage(runtime.settings.media_root)


class FileService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.files = FileRepository(work.session)
        self.storage = storage_of(work.runtime)

    async def store(self, upload: Upload) -> StoredFile:
        """Keep an upload under its content's hash; the same content again is the same row.

        The bytes are on disk before the first query, so no transaction waits for them; should
        the Work then fail, an unreferenced file is left that the next upload finds in place.
        Raises UnsupportedFile, FileTypeMismatch, FileTooLarge.
        """
        kind = await _examine(upload)
        digest, size = await _measure(upload, kind)
        key = key_of(self.work.tenant.id, digest, kind)
        await self.storage.put(key, _chunks(upload))
        added = await self.files.insert_new(
            key,
            media_type=kind.media_type,
            size_bytes=size,
            sha256=digest,
            original_name=clean_name(upload.filename or ""),
        )
        stored = await self.files.by_key(key)
        if stored is None:
            raise FileNotFound()
        if added:
            self.work.record("file.stored", "file", stored.id, key=key, size_bytes=size)
        return stored

    async def get(self, file_id: UUID) -> StoredFile:
        """One file of this tenant, e.g. to check a reference to it. Raises FileNotFound."""
        return await self.files.get(file_id)


async def served(runtime: Runtime, key: str) -> tuple[Path, Kind]:
    """The file behind a public key, and its type. Raises FileNotFound.

    Public by design: the path holds the content's SHA-256, which nobody guesses, and storefronts
    show these files to everybody. What must stay private does not go through here.
    """
    kind = kind_of_key(key)
    path = await storage_of(runtime).locate(key) if kind is not None else None
    if kind is None or path is None:
        raise FileNotFound()
    return path, kind


async def _examine(upload: Upload) -> Kind:
    await upload.seek(0)
    kind = detect(await upload.read(HEAD_BYTES))
    if kind is None:
        raise UnsupportedFile()
    if not agrees(kind, upload.filename or "", upload.content_type):
        raise FileTypeMismatch(found=kind.media_type)
    return kind


async def _measure(upload: Upload, kind: Kind) -> tuple[str, int]:
    """SHA-256 and size in bytes; stops reading at the type's limit. Raises FileTooLarge."""
    digest, size = hashlib.sha256(), 0
    async for chunk in _chunks(upload):
        size += len(chunk)
        if size > kind.max_bytes:
            raise FileTooLarge(max_bytes=kind.max_bytes)
        digest.update(chunk)
    return digest.hexdigest(), size


async def _chunks(upload: Upload) -> AsyncIterator[bytes]:
    await upload.seek(0)
    while chunk := await upload.read(_CHUNK):
        yield chunk
