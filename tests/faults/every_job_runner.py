"""A worker of every job there is, killed at named points of each and begun again until all is done.

``python -m tests.faults.every_job_runner TENANT DEATHS``: jobs of that tenant stand still at
``begun``, ``written 1``, ``written 2`` (right before the commit of their first and second Work)
and ``done`` (before the queue hears of it), each kind of job once at each point; when none moves
any more the process SIGKILLs itself with all of them. DEATHS is the file in which it notes, before
it dies, who stood where. A parent that only forks begins the next life.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from contextvars import ContextVar
from pathlib import Path

from app.core.settings import settings
from app.kernel.jobs.service import Handler, JobContext, Worker
from app.kernel.work import UnitOfWork
from app.wiring import JOBS
from app.worker import build_runtime, close_runtime

MOST_LIVES = 40
HEARTBEAT_TIMEOUT_S = 0.5
STILL_S = 0.3
"""So long nobody came to a point: everybody who can stands at one."""
_LEFT = """
SELECT count(*) FROM pgqueuer WHERE status <> 'failed'
AND convert_from(payload, 'UTF8') LIKE '%' || $1 || '%'
"""
_running: ContextVar[list[str] | None] = ContextVar("running", default=None)


class Points:
    """Who stands where in this life, and who stood there in earlier ones."""

    def __init__(self, deaths: Path) -> None:
        self.file = deaths
        self.known = set(deaths.read_text().splitlines()) if deaths.exists() else set()
        self.standing: set[str] = set()
        self.moved = asyncio.Event()

    async def reach(self, job: str, point: str) -> None:
        """Stand here until killed, if nobody of this kind did so before."""
        place = f"{job} {point}"
        if place not in self.known:
            self.standing.add(place)
            self.moved.set()
            await asyncio.sleep(3600)

    async def reap(self) -> None:
        """Kill this process as soon as nobody moves any more."""
        await self.moved.wait()
        with contextlib.suppress(TimeoutError):
            while True:
                self.moved.clear()
                await asyncio.wait_for(self.moved.wait(), STILL_S)
        with self.file.open("a") as deaths:
            deaths.writelines(f"{place}\n" for place in sorted(self.standing))
        os.kill(os.getpid(), signal.SIGKILL)


def mortal(name: str, handler: Handler, tenant: str, points: Points) -> Handler:
    """The product's handler, which may not live to its end."""

    async def run(job: JobContext) -> None:
        if str(job.tenant_id) != tenant:
            await handler(job)
            return
        await points.reach(name, "begun")
        token = _running.set([name])
        try:
            await handler(job)
        finally:
            _running.reset(token)
        await points.reach(name, "done")

    return run


async def life(tenant: str, deaths: Path) -> None:
    """Work until killed, or until no job of the tenant is left."""
    points = Points(deaths)
    finish = UnitOfWork.finish

    async def finished(work: UnitOfWork) -> None:
        await finish(work)
        running = _running.get()
        if running is not None and len(running) < 3:
            running.append("")
            await points.reach(running[0], f"written {len(running) - 1}")

    UnitOfWork.finish = finished  # type: ignore[assignment, method-assign]
    runtime = build_runtime(settings())
    await runtime.bus.start()
    worker = Worker(
        runtime,
        {name: mortal(name, handler, tenant, points) for name, handler in JOBS.items()},
        heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S,
        max_deliveries=1000,
    )
    await worker.start()
    reaper = asyncio.create_task(points.reap())
    left = 1
    while left:
        await asyncio.sleep(0.2)
        async with runtime.database.system_driver() as driver:
            left = await driver.fetchval(_LEFT, tenant)
    reaper.cancel()
    await worker.stop()
    await close_runtime(runtime)


def main() -> int:
    """Live until all is done: how it ended."""
    tenant, deaths = sys.argv[1], Path(sys.argv[2])
    for _ in range(MOST_LIVES):
        child = os.fork()
        if child == 0:
            asyncio.run(life(tenant, deaths))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            return os.waitstatus_to_exitcode(status)
    return 3


if __name__ == "__main__":
    sys.exit(main())
