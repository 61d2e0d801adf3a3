"""A worker that fetches media and SIGKILLs itself at a named point, once.

``python -m tests.faults.media_runner POINT MARKER``. POINT is ``reading`` (in the middle of the
download), ``stored`` (the bytes are in the store, nothing says so) or ``kept`` (the file is
there, the message does not have it). MARKER is the file by which the next one knows.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from app import vendors
from app.contracts.gateways.storage import FileStorage
from app.contracts.gateways.whatsapp import WhatsAppAccount, WhatsAppGateway
from app.conversations.media import jobs
from app.conversations.media.service import MediaService
from app.core.settings import settings
from app.integrations.whatsapp.cloud import CloudApi
from app.kernel.files.schemas import FileRead
from app.kernel.jobs.service import Worker
from app.kernel.ports import Ports
from app.kernel.work import UnitOfWork
from app.worker import build_runtime, close_runtime

HEARTBEAT_TIMEOUT_S = 0.8


async def die(point: str) -> None:
    wanted, marker = sys.argv[1], Path(sys.argv[2])
    if point == wanted and not await asyncio.to_thread(marker.exists):
        await asyncio.to_thread(marker.touch)
        os.kill(os.getpid(), signal.SIGKILL)


class MortalApi(CloudApi):
    """The real client, which may not live to read it all."""

    @asynccontextmanager
    async def _read(
        self, account: WhatsAppAccount, url: str, most: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        async with super().download(account, url, most=most) as pieces:
            yield self._dying(pieces)

    async def _dying(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            yield piece
            await die("reading")

    def download(self, account: WhatsAppAccount, url: str, *, most: int) -> Any:
        return self._read(account, url, most)


class MortalStore:
    """The real store, and a death before anybody hears that the bytes are in it."""

    def __init__(self, real: FileStorage) -> None:
        self._real = real

    async def put(self, key: str, source: BinaryIO, *, media_type: str) -> None:
        await self._real.put(key, source, media_type=media_type)
        await die("stored")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


_ready = MediaService.ready


async def _mortal_ready(media: MediaService, media_id: UUID, file: FileRead) -> None:
    await die("kept")
    await _ready(media, media_id, file)


def _mortal(work: UnitOfWork) -> WhatsAppGateway:
    real = vendors.whatsapp(work)
    return MortalApi(real._graph)


async def main() -> None:
    """Work until killed; what a dead one held comes back within a second."""
    plain = build_runtime(settings())
    runtime = replace(
        plain,
        ports=Ports(plain.ports).bind(WhatsAppGateway, _mortal),
        storage=MortalStore(plain.storage),
    )
    MediaService.ready = _mortal_ready  # type: ignore[method-assign, assignment]
    await runtime.bus.start()
    worker = Worker(runtime, {jobs.FETCH: jobs.fetch}, heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S)
    await worker.start()
    await worker.wait()
    await close_runtime(runtime)


if __name__ == "__main__":
    asyncio.run(main())
