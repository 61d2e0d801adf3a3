"""From bytes that somebody sent to what is kept of them: checked, measured, images made anew."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO

from app.contracts.gateways.storage import FileStorage
from app.kernel.files.images import remake
from app.kernel.files.problems import FileTooLarge, FileTypeMismatch, UnsupportedFile
from app.kernel.files.rules import HEAD_BYTES, Kind, agrees, clean_name, detect, thumbnail_key
from app.kernel.work import Runtime

_CHUNK = 256 * 1024
_AT_ONCE = 2
"""Images one process decodes at the same time; each may take 160 MB for a moment."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """What was sent, and what the sender says of it."""

    content: BinaryIO
    name: str
    declared: str | None
    kind: Kind | None = None
    """What a slice with rules of its own found it to be; None: one of ``KINDS``, by its bytes."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What will be kept."""

    kind: Kind
    content: BinaryIO
    name: str
    sha256: str
    size_bytes: int
    width: int | None = None
    height: int | None = None
    thumbnails: dict[int, bytes] = field(default_factory=dict)

    @property
    def stored_bytes(self) -> int:
        return self.size_bytes + sum(map(len, self.thumbnails.values()))


async def prepare(runtime: Runtime, incoming: Incoming) -> Prepared:
    """Raises UnsupportedFile, FileTypeMismatch, FileTooLarge, ImageUnreadable, ImageAnimated,
    ImageTooLarge.
    """
    kind = incoming.kind
    if kind is None:
        kind = await asyncio.to_thread(_examined, incoming)
    if not kind.is_image:
        return await asyncio.to_thread(_measured, incoming, kind)
    places = runtime.caches.setdefault("files.images", asyncio.Semaphore(_AT_ONCE))
    async with places:
        return await asyncio.to_thread(_remade, incoming, kind)


async def put_all(storage: FileStorage, key: str, prepared: Prepared) -> None:
    """The file and its thumbnails. Raises StorageFailed."""
    for side, content in prepared.thumbnails.items():
        await storage.put(thumbnail_key(key, side), BytesIO(content), media_type="image/webp")
    # Last, as it stands for all of them.
    await storage.put(key, prepared.content, media_type=prepared.kind.media_type)


def _examined(incoming: Incoming) -> Kind:
    incoming.content.seek(0)
    kind = detect(incoming.content.read(HEAD_BYTES))
    if kind is None:
        raise UnsupportedFile()
    if not agrees(kind, incoming.name, incoming.declared):
        raise FileTypeMismatch(found=kind.media_type)
    return kind


def _measured(incoming: Incoming, kind: Kind) -> Prepared:
    """SHA-256 and size in bytes; stops reading at the type's limit. Raises FileTooLarge."""
    digest, size = hashlib.sha256(), 0
    incoming.content.seek(0)
    while chunk := incoming.content.read(_CHUNK):
        size += len(chunk)
        if size > kind.max_bytes:
            raise FileTooLarge(max_bytes=kind.max_bytes)
        digest.update(chunk)
    return Prepared(kind, incoming.content, clean_name(incoming.name), digest.hexdigest(), size)


def _remade(incoming: Incoming, kind: Kind) -> Prepared:
    _measured(incoming, kind)
    picture = remake(incoming.content, kind)
    return Prepared(
        picture.kind,
        BytesIO(picture.content),
        clean_name(incoming.name),
        hashlib.sha256(picture.content).hexdigest(),
        len(picture.content),
        picture.width,
        picture.height,
        picture.thumbnails,
    )
