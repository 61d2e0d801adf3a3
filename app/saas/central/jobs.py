"""Removing what a deleted tenant left in the store: no row of its own can name it any more."""

from __future__ import annotations

from app.kernel.jobs.service import JobContext
from app.saas.central.service import ERASE_LEFT_FILES

__all__ = ["ERASE_LEFT_FILES", "erase_left_files"]


async def erase_left_files(job: JobContext) -> None:
    """Remove these keys; a key that is gone already is no failure. Raises StorageFailed."""
    for key in job.payload["keys"]:
        await job.runtime.storage.remove(key)
