"""A worker process that carries notices until it is killed."""

from __future__ import annotations

import asyncio

from app.core.settings import settings
from app.kernel.jobs.service import Worker
from app.worker import build_runtime, close_runtime
from tests.factories.notices import HANDLERS


async def main() -> None:
    """Run until killed; what a dead one held comes back within a second."""
    runtime = build_runtime(settings())
    await runtime.bus.start()
    worker = Worker(runtime, HANDLERS, heartbeat_timeout_s=0.8)
    await worker.start()
    await worker.wait()
    await close_runtime(runtime)


if __name__ == "__main__":
    asyncio.run(main())
