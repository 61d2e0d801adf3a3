"""A worker that sends messages and SIGKILLs itself at a named point, once.

``python -m tests.faults.sending_runner POINT MARKER``. POINT is ``taken`` (the attempt is
committed, nothing left), ``answered`` (WhatsApp took it, we wrote nothing) or ``written`` (we
wrote it, the job is not done yet). MARKER is the file by which the next one knows.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from app import vendors
from app.contracts.gateways.messaging import SentMessage
from app.contracts.gateways.whatsapp import WhatsAppGateway
from app.conversations.sending import jobs
from app.core.settings import settings
from app.integrations.whatsapp.cloud import CloudApi
from app.kernel.jobs.service import JobContext, Worker
from app.kernel.ports import Ports
from app.kernel.work import UnitOfWork
from app.worker import build_runtime, close_runtime

HEARTBEAT_TIMEOUT_S = 0.8


async def die(point: str) -> None:
    wanted, marker = sys.argv[1], Path(sys.argv[2])
    if point == wanted and not await asyncio.to_thread(marker.exists):
        await asyncio.to_thread(marker.touch)
        os.kill(os.getpid(), signal.SIGKILL)


class Mortal(CloudApi):
    """The real client, which may not live to tell."""

    async def send(self, *args: Any, **kwargs: Any) -> SentMessage:
        await die("taken")
        sent = await super().send(*args, **kwargs)
        await die("answered")
        return sent


def _mortal(work: UnitOfWork) -> WhatsAppGateway:
    return Mortal(vendors.whatsapp(work)._graph)


async def send(job: JobContext) -> None:
    """The product's handler, and a death before anybody hears that it ended."""
    await jobs.send(job)
    await die("written")


async def main() -> None:
    """Work until killed; what a dead one held comes back within a second."""
    plain = build_runtime(settings())
    runtime = replace(plain, ports=Ports(plain.ports).bind(WhatsAppGateway, _mortal))
    await runtime.bus.start()
    worker = Worker(runtime, {jobs.SEND: send}, heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S)
    await worker.start()
    await worker.wait()
    await close_runtime(runtime)


if __name__ == "__main__":
    asyncio.run(main())
