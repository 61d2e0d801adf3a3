"""A worker that applies imports and SIGKILLs itself in a chunk, once.

``python -m tests.faults.import_runner POINT MARKER IMPORT``: POINT is ``written`` (the second
chunk's rows are written, not committed) or ``committed`` (the first chunk is). MARKER is the
file by which the next one knows.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from app.commerce.imports import jobs
from app.commerce.imports.desk import ImportDesk
from app.core.settings import settings
from app.kernel.jobs.service import Worker
from app.worker import build_runtime, close_runtime

CHUNK = 40


def die(point: str) -> None:
    wanted, marker = sys.argv[1], Path(sys.argv[2])
    if point == wanted and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


class Mortal(ImportDesk):
    """The real one, which may not live to commit, or dies before it begins the next chunk."""

    def tell(self, row: Any) -> None:
        super().tell(row)
        if row.rows_done == 2 * CHUNK:
            die("written")


async def chunk(*args: Any) -> None:
    if str(args[1]) == sys.argv[3] and args[3] == CHUNK:
        die("committed")
    await real(*args)


real = jobs._chunk


async def main() -> None:
    """Apply until it dies or is stopped."""
    vars(jobs).update(CHUNK=CHUNK, ImportDesk=Mortal, _chunk=chunk)
    runtime = build_runtime(settings())
    worker = Worker(runtime, {jobs.APPLY: jobs.apply}, heartbeat_timeout_s=0.8)
    await worker.start()
    await worker.wait()
    await close_runtime(runtime)


if __name__ == "__main__":
    asyncio.run(main())
