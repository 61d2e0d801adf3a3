"""A worker that processes deliveries and SIGKILLs itself at a named point, once.

``python -m tests.faults.delivery_runner POINT MARKER``: ``taken`` (nothing is written yet),
``applied`` (written, not committed), ``committed`` (the job is not done yet), ``never``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from app.conversations.inbound import service
from app.conversations.inbound.jobs import WhatsAppSource
from app.core.settings import settings
from app.kernel.inbox.jobs import PROCESS, process
from app.kernel.inbox.service import Delivery, Source
from app.kernel.jobs.service import Worker
from app.kernel.ports import Ports
from app.kernel.work import UnitOfWork
from app.worker import build_runtime, close_runtime

HEARTBEAT_TIMEOUT_S = 0.8


def die(point: str) -> None:
    marker = Path(sys.argv[2])
    if point == sys.argv[1] and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


class Mortal(WhatsAppSource):
    """The real one, which may not live to commit."""

    async def handle(self, delivery: Delivery) -> None:
        die("taken")
        await super().handle(delivery)
        die("committed")


class MortalWork(service.InboundService):
    async def apply(self, *args: object, **kwargs: object) -> list[str]:
        failed = await super().apply(*args, **kwargs)  # type: ignore[arg-type]
        die("applied")
        return failed


def _mortal(work: UnitOfWork) -> Source:
    return Mortal(work.runtime)


async def main() -> None:
    """Process until killed."""
    from_product = sys.modules[WhatsAppSource.__module__]
    from_product.InboundService = MortalWork  # type: ignore[attr-defined]
    plain = build_runtime(settings())
    ports = Ports(plain.ports).bind(Source, _mortal, name=WhatsAppSource.name)
    runtime = replace(plain, ports=ports)
    worker = Worker(runtime, {PROCESS: process}, heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S)
    await worker.start()
    await worker.wait()
    await close_runtime(runtime)


if __name__ == "__main__":
    asyncio.run(main())
