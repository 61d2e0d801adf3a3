"""A process that ticks, for tests that must kill one: ``python -m tests.kernel.ticker [jobs]``.

With ``jobs`` it is the product's own worker with its schedules, and hears of a dead one soon;
without, it does nothing but tick, as fast as it can.
"""

from __future__ import annotations

import asyncio
import sys

from app import wiring
from app.core.settings import settings
from app.kernel.jobs.service import Worker
from app.kernel.schedules.ticking import tick_all
from app.worker import build_runtime

HEARTBEAT_TIMEOUT_S = 0.8


async def main(*, jobs: bool) -> None:
    """Run until killed."""
    runtime = build_runtime(settings())
    if jobs:
        scheduled = {name: wiring.JOBS[name] for name in wiring.SCHEDULABLE}
        worker = Worker(
            runtime, scheduled, heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S, beats=[tick_all]
        )
        await worker.start()
        await worker.wait()
    while True:
        await tick_all(runtime)
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main(jobs="jobs" in sys.argv))
