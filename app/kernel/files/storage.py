"""Files in a directory: written whole to the side, synced, then renamed into place."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from app.core.ids import new_token


class LocalStorage:
    """Answers ``FileStorage`` under one root; every call to the disk runs in a thread."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """Store the bytes under ``key``, whole or not at all."""
        target = self._root / key
        if await asyncio.to_thread(target.is_file):
            return
        side = target.with_name(f".{new_token(9)}.part")
        out = await asyncio.to_thread(_open, side)
        try:
            async for chunk in chunks:
                await asyncio.to_thread(out.write, chunk)
            await asyncio.to_thread(_publish, out, side, target)
        finally:
            await asyncio.to_thread(_clear, out, side)

    async def locate(self, key: str) -> Path | None:
        """The regular file of ``key`` below the root; None for anything else."""
        return await asyncio.to_thread(self._locate, key)

    async def remove(self, key: str) -> None:
        """Forget ``key``; silent when it is not there."""
        await asyncio.to_thread((self._root / key).unlink, True)

    def _locate(self, key: str) -> Path | None:
        if "\0" in key:
            return None
        path = self._root / key
        # Resolving follows links and dots: whatever ends elsewhere is not ours to serve.
        if path.resolve() != self._root.resolve() / key or not path.is_file():
            return None
        return path


def _open(side: Path) -> BinaryIO:
    side.parent.mkdir(parents=True, exist_ok=True)
    return side.open("xb")


def _publish(out: BinaryIO, side: Path, target: Path) -> None:
    out.flush()
    os.fsync(out.fileno())
    side.replace(target)
    # The rename itself must survive a power cut, not only the bytes.
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _clear(out: BinaryIO, side: Path) -> None:
    out.close()
    side.unlink(missing_ok=True)
