"""Where uploaded bytes live: a directory in development, an S3-compatible store when it grows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import BinaryIO, Protocol


class StorageFailed(Exception):
    """The store did not do what it was asked; asking again later may help."""


class FileStorage(Protocol):
    """Bytes by key. Keys name their content, so writing one twice is writing it once.

    Every method raises StorageFailed when the store cannot be reached or refuses.
    """

    async def put(self, key: str, source: BinaryIO, *, media_type: str) -> None:
        """Store all that ``source`` holds from its beginning, whole or not at all."""
        ...

    async def size(self, key: str) -> int | None:
        """How many bytes ``key`` holds; None when there is no such key."""
        ...

    def read(self, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        """``length`` bytes of ``key`` from ``start`` on, in pieces."""
        ...

    async def remove(self, key: str) -> None:
        """Forget ``key``; silent when it is not there."""
        ...

    async def tidy(self, prefix: str, before: datetime) -> int:
        """Forget what writes below ``prefix`` that broke off before that instant left behind."""
        ...
