"""Removing bytes that nothing needs: after a delete, after a crash, and what was never used."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from app.core.clock import now
from app.kernel.files.rules import folder_of
from app.kernel.files.service import CLEAN, ERASE, FileService
from app.kernel.jobs.service import JobContext

__all__ = ["CLEAN", "ERASE", "clean", "erase"]

_BATCH = 100

log = logging.getLogger(__name__)


async def erase(job: JobContext) -> None:
    """Remove the bytes of files that are being erased, then their rows. Raises StorageFailed."""
    ids = [UUID(file_id) for file_id in job.payload["file_ids"]]
    async with job.works() as work:
        keys = await FileService(work).keys_to_erase(ids)
    for key in keys:
        await job.runtime.storage.remove(key)
    async with job.works() as work:
        await FileService(work).forget(ids)


async def clean(job: JobContext) -> None:
    """Give what this tenant's files hold in vain over to erasing, in small batches."""
    before = now() - timedelta(hours=job.runtime.settings.media_orphan_hours)
    files = freed = 0
    found = _BATCH
    while found == _BATCH:
        async with job.works() as work:
            found, size = await FileService(work).collect(before, _BATCH)
        files, freed = files + found, freed + size
    tidied = 0
    for is_public in (True, False):
        folder = folder_of(job.tenant_id, is_public=is_public)
        tidied += await job.runtime.storage.tidy(folder, before)
    if files or tidied:
        facts = {"tenant_id": str(job.tenant_id), "files": files, "bytes": freed, "parts": tidied}
        log.info("files.cleaned", extra=facts)
