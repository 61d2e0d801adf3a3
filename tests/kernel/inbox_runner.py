"""A worker process that SIGKILLs itself at a chosen point of processing a notice, once.

``python -m tests.kernel.inbox_runner``; the notice's body says where (``die``), and ``marker`` is
the file by which the next process knows that it has happened.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from app.core.settings import settings
from app.kernel.audit.models import AuditEntry
from app.kernel.inbox.jobs import PROCESS, process
from app.kernel.inbox.service import Delivery, Source, Verified
from app.kernel.jobs.service import Worker
from app.kernel.ports import Ports
from app.kernel.work import Runtime
from app.worker import build_runtime, close_runtime

HEARTBEAT_TIMEOUT_S = 0.8


class Mortal:
    """A source whose handler writes one audit line, and dies where the notice says."""

    name = "tests-mortal"
    max_bytes = 10_000

    async def verify(self, headers: Mapping[str, str], body: bytes) -> Verified:
        return Verified(json.loads(body)["id"], "tests.notice")

    async def tenant_of(self, body: bytes) -> UUID | None:
        return UUID(json.loads(body)["tenant"])

    async def handle(self, delivery: Delivery) -> None:
        told = json.loads(delivery.body)
        await self._die(told, "before")
        async with delivery.once() as work:
            facts = {"event_id": delivery.event_id}
            work.session.add(
                AuditEntry(
                    actor_kind="job",
                    actor_name="tests",
                    action="tests.effect",
                    resource="notice",
                    facts=facts,
                )
            )
            await work.session.flush()
            await self._die(told, "inside")
        await self._die(told, "after")

    async def _die(self, told: dict[str, str], point: str) -> None:
        marker = Path(told["marker"])
        if told["die"] == point and not await asyncio.to_thread(marker.exists):
            await asyncio.to_thread(marker.touch)
            os.kill(os.getpid(), signal.SIGKILL)


def with_mortal(runtime: Runtime) -> Runtime:
    """The runtime, with this source plugged in as any provider is."""
    ports = Ports(runtime.ports).bind(Source, lambda work: Mortal(), name=Mortal.name)
    return replace(runtime, ports=ports)


async def main() -> None:
    """Run until killed."""
    runtime = with_mortal(build_runtime(settings()))
    worker = Worker(runtime, {PROCESS: process}, heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S)
    await worker.start()
    await worker.wait()
    await close_runtime(runtime)


if __name__ == "__main__":
    asyncio.run(main())
