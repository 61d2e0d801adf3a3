"""Where uploaded bytes live: a directory in development, an S3-compatible store when it grows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol


class FileStorage(Protocol):
    """Bytes by key. Keys name their content, so writing one twice is writing it once."""

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """Store the bytes under ``key``, whole or not at all."""
        ...

    async def locate(self, key: str) -> Path | None:
        """The local file that holds ``key``; None when there is none."""
        ...

    async def remove(self, key: str) -> None:
        """Forget ``key``; silent when it is not there."""
        ...
