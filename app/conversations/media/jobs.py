"""Jobs of media: fetch what a message brought, clean up; and the beat that queues the clean-up."""

from __future__ import annotations

import logging
import time
from uuid import UUID

from app.conversations.media.cleaning import CleanupService, clean, tenants_with_media
from app.conversations.media.fetching import NotFetched, TryLater, fetched
from app.conversations.media.rules import CLEAN, FETCH
from app.conversations.media.service import Ending, MediaService
from app.core.backoff import retry_wait
from app.kernel.files.problems import FileNotFound
from app.kernel.jobs.service import JobContext, RetryLater
from app.kernel.work import Actor, Runtime, unit_of_work

__all__ = ["CLEAN", "FETCH", "clean_up", "fetch", "queue_cleaning"]

_NEXT = "media.cleaning"
_ACTOR = Actor("system", "media")

log = logging.getLogger(__name__)


async def fetch(job: JobContext) -> None:
    """Fetch one medium; a second run finds it fetched. Raises RetryLater."""
    media_id = UUID(job.payload["media_id"])
    async with job.works() as work:
        wanted = await MediaService(work).begin(media_id)
    if wanted is None:
        return
    try:
        file = await fetched(job.runtime, job.works, wanted)
        async with job.works() as work:
            await MediaService(work).ready(media_id, file)
    except NotFetched as end:
        async with job.works() as work:
            await MediaService(work).ended(media_id, end.ending)
    except FileNotFound as removed:
        raise RetryLater(1.0) from removed
    except TryLater as later:
        wait = retry_wait(wanted.attempts, later.after_s)
        if wait is not None:
            raise RetryLater(wait) from later
        async with job.works() as work:
            await MediaService(work).ended(media_id, Ending("failed", "unavailable", later.reason))


async def clean_up(job: JobContext) -> None:
    """One run of the clean-up; a second delivery finds less. Raises StorageFailed."""
    if job.payload["cleanup_id"] is None:
        report = await clean(job.runtime, job.works, is_dry_run=False)
        log.info("media.cleaned", extra={"tenant_id": str(job.tenant_id)} | report.model_dump())
        return
    cleanup_id = UUID(job.payload["cleanup_id"])
    async with job.works() as work:
        is_dry_run = await CleanupService(work).is_dry(cleanup_id)
    if is_dry_run is None:
        return
    report = await clean(job.runtime, job.works, is_dry_run=is_dry_run)
    async with job.works() as work:
        await CleanupService(work).end(cleanup_id, report)


async def queue_cleaning(runtime: Runtime) -> None:
    """Queue a clean-up for every tenant that has media, as often as files are cleaned."""
    if time.monotonic() < runtime.caches.get(_NEXT, 0.0):
        return
    runtime.caches[_NEXT] = time.monotonic() + runtime.settings.media_cleanup_minutes * 60
    for tenant_id in await tenants_with_media(runtime):
        try:
            tenant = await runtime.tenants.by_id(tenant_id)
            async with unit_of_work(runtime, tenant, _ACTOR) as work:
                work.enqueue(CLEAN, {"cleanup_id": None}, dedupe_key="clean")
        except Exception:
            # One tenant's trouble is not the others'.
            log.exception("media.cleaning_failed", extra={"tenant_id": str(tenant_id)})
