"""A worker process for tests that must kill one: ``python -m tests.kernel.job_runner NAME...``.

Each NAME is one of the handlers below followed by a suffix of the test's own (``die.3f2a``), so
that tests which share a database never take each other's jobs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from app.core.settings import settings
from app.kernel.audit.models import AuditEntry
from app.kernel.jobs.service import Handler, JobContext, Worker
from app.kernel.work import UnitOfWork
from app.worker import build_runtime, close_runtime

HEARTBEAT_TIMEOUT_S = 0.8
MAX_DELIVERIES = 2


async def die(job: JobContext) -> None:
    """Take the whole process along, as the kernel's memory killer does."""
    os.kill(os.getpid(), signal.SIGKILL)


async def note(job: JobContext) -> None:
    """One audit line that says which delivery wrote it."""
    async with job.works() as work:
        await note_in(work, job)


async def note_in(work: UnitOfWork, job: JobContext) -> None:
    """Write the line now rather than with the commit."""
    entry = AuditEntry(
        actor_kind="job",
        actor_name="tests",
        action="tests.effect",
        resource="job",
        facts={"delivery": job.delivery},
    )
    work.session.add(entry)
    await work.session.flush()


async def hang_once(job: JobContext) -> None:
    """Write the effect; the first delivery then hangs before the commit, inside the Work."""
    async with job.works() as work:
        await note_in(work, job)
        if job.delivery == 1:
            await asyncio.to_thread(Path(job.payload["marker"]).touch)
            await asyncio.sleep(60)


_HANDLERS: dict[str, Handler] = {"die": die, "note": note, "hang_once": hang_once}


async def main(names: list[str]) -> None:
    """Run until killed."""
    runtime = build_runtime(settings())
    handlers = {name: _HANDLERS[name.partition(".")[0]] for name in names}
    worker = Worker(
        runtime,
        handlers,
        heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S,
        max_deliveries=MAX_DELIVERIES,
    )
    await worker.start()
    await worker.wait()
    await close_runtime(runtime)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
