"""Files in a directory: written whole to the side, synced, then renamed into place."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from app.contracts.gateways.storage import StorageFailed
from app.core.ids import new_token

_CHUNK = 256 * 1024


class LocalStorage:
    """Answers ``FileStorage`` under one root; every call to the disk runs in a thread."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, key: str, source: BinaryIO, *, media_type: str) -> None:
        """Store the bytes under ``key``, whole or not at all; the name tells the type here."""
        await asyncio.to_thread(self._put, self._root / key, source)

    async def size(self, key: str) -> int | None:
        """The size of the regular file of ``key`` below the root; None for anything else."""
        return await asyncio.to_thread(self._size, key)

    async def read(self, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        """``length`` bytes from ``start`` on. Raises StorageFailed."""
        source = await asyncio.to_thread(self._open_at, key, start)
        try:
            while length and (chunk := await asyncio.to_thread(source.read, min(_CHUNK, length))):
                length -= len(chunk)
                yield chunk
        finally:
            source.close()
        if length:
            raise StorageFailed(f"{key} ended early")

    async def remove(self, key: str) -> None:
        """Forget ``key``; silent when it is not there. Raises StorageFailed."""
        try:
            await asyncio.to_thread((self._root / key).unlink, True)
        except OSError as error:
            raise StorageFailed(f"remove {key}: {error}") from error

    async def tidy(self, prefix: str, before: datetime) -> int:
        """Remove the side files of writers that were killed before that instant; how many."""
        return await asyncio.to_thread(_tidy, self._root / prefix, before.timestamp())

    def _put(self, target: Path, source: BinaryIO) -> None:
        if target.is_file():
            return
        side = target.with_name(f".{new_token(9)}.part")
        try:
            side.parent.mkdir(parents=True, exist_ok=True)
            source.seek(0)
            with side.open("xb") as out:
                shutil.copyfileobj(source, out, _CHUNK)
                out.flush()
                os.fsync(out.fileno())
            side.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            raise StorageFailed(f"put {target.name}: {error}") from error
        finally:
            side.unlink(missing_ok=True)

    def _size(self, key: str) -> int | None:
        if "\0" in key:
            return None
        path = self._root / key
        # Resolving follows links and dots: whatever ends elsewhere is not ours to serve.
        if path.resolve() != self._root.resolve() / key or not path.is_file():
            return None
        return path.stat().st_size

    def _open_at(self, key: str, start: int) -> BinaryIO:
        try:
            source = (self._root / key).open("rb")
        except OSError as error:
            raise StorageFailed(f"read {key}: {error}") from error
        source.seek(start)
        return source


def _sync_folder(path: Path) -> None:
    # The rename itself must survive a power cut, not only the bytes.
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _tidy(folder: Path, before: float) -> int:
    left = [side for side in folder.glob(".*.part") if side.stat().st_mtime < before]
    for side in left:
        side.unlink(missing_ok=True)
    return len(left)
