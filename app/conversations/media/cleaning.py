"""The clean-up of media: what is old, unsent, forgotten or without bytes, never what is in use.

It only takes references away and marks rows; bytes that nothing refers to then go with the
clean-up of files, which asks every table first.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from app.contracts.gateways.storage import FileStorage
from app.conversations.media.models import MediaCleanup
from app.conversations.media.repository import (
    TENANTS,
    CleanupRepository,
    MediaRepository,
    UploadRepository,
)
from app.conversations.media.rules import CLEAN, FETCH, FORGOTTEN_AFTER
from app.conversations.media.schemas import CleanupIn, CleanupRead, CleanupReport
from app.conversations.media.service import Ending, MediaService
from app.core.clock import now
from app.core.pagination import PageRead, PageRequest
from app.kernel.files.service import CLEAN as CLEAN_FILES
from app.kernel.files.service import FileService
from app.kernel.work import Runtime, Work, WorkFactory

_BATCH = 200
_MOST = 10_000
"""Rows of a kind that one run looks at; the next run goes on."""


class CleanupService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.runs = CleanupRepository(work.session)
        self.media = MediaRepository(work.session)
        self.uploads = UploadRepository(work.session)

    async def ask(self, body: CleanupIn) -> MediaCleanup:
        """Queue a run."""
        row = await self.runs.add(MediaCleanup(is_dry_run=body.is_dry_run, created_at=now()))
        self.work.enqueue(CLEAN, {"cleanup_id": str(row.id)})
        self.work.record("media_cleanup.asked", "media_cleanup", row.id, is_dry_run=row.is_dry_run)
        return row

    async def page(self, page: PageRequest) -> PageRead[CleanupRead]:
        """All runs, newest first."""
        found = await self.runs.page(self.runs.query(), page)
        return PageRead[CleanupRead].model_validate(found)

    async def is_dry(self, cleanup_id: UUID) -> bool | None:
        """None when the run has ended, or never was."""
        row = await self.runs.find(cleanup_id)
        return None if row is None or row.ended_at is not None else row.is_dry_run

    async def end(self, cleanup_id: UUID, report: CleanupReport) -> None:
        row = await self.runs.find(cleanup_id, lock=True)
        if row is not None:
            row.report, row.ended_at = report.model_dump(), now()

    async def old(self, *, is_dry_run: bool) -> int:
        """Let go of media past the time for which the installation keeps them."""
        days = self.work.runtime.settings.conversation_media_days
        if not days:
            return 0
        rows = await self.media.old(now() - timedelta(days=days), _MOST)
        for row in () if is_dry_run else rows:
            row.stored_file_id, row.upload_id = None, None
            row.state, row.reason = "expired", "retention"
        return len(rows)

    async def unsent(self, *, is_dry_run: bool) -> int:
        """Forget uploads that nobody sent."""
        hours = self.work.runtime.settings.media_orphan_hours
        rows = await self.uploads.unsent(now() - timedelta(hours=hours), _MOST)
        for row in () if is_dry_run else rows:
            await self.uploads.delete(row)
        return len(rows)

    async def copies(self, *, is_dry_run: bool) -> int:
        """Forget copies that the vendor has forgotten."""
        found = await self.uploads.expired_copies(now())
        if found and not is_dry_run:
            await self.uploads.forget_copies(now())
        return len(found)

    async def forgotten(self, *, is_dry_run: bool) -> int:
        """Queue downloads that have no job any more."""
        rows = await self.media.forgotten(now() - FORGOTTEN_AFTER, _MOST)
        for row in () if is_dry_run else rows:
            row.tried_at = now()
            self.work.enqueue(FETCH, {"media_id": str(row.id)}, dedupe_key=str(row.id))
        return len(rows)

    async def files(self, *, is_dry_run: bool) -> tuple[int, int]:
        """Files that nothing refers to, and their bytes; a real run has them removed."""
        hours = self.work.runtime.settings.media_orphan_hours
        found = await FileService(self.work).unused(now() - timedelta(hours=hours), _MOST)
        if not is_dry_run:
            self.work.enqueue(CLEAN_FILES, {}, dedupe_key="clean")
        return found


async def clean(runtime: Runtime, works: WorkFactory, *, is_dry_run: bool) -> CleanupReport:
    """One run. Raises StorageFailed."""
    lost = await _lost(runtime.storage, works, is_dry_run=is_dry_run)
    counts = {}
    for part in ("old", "unsent", "copies", "forgotten"):
        async with works() as work:
            counts[part] = await getattr(CleanupService(work), part)(is_dry_run=is_dry_run)
    async with works() as work:
        files, size = await CleanupService(work).files(is_dry_run=is_dry_run)
    return CleanupReport(lost=lost, files=files, bytes=size, **counts)


async def tenants_with_media(runtime: Runtime) -> list[UUID]:
    """Whose media have to be looked at."""
    async with runtime.database.system_driver() as driver:
        return [row["tenant_id"] for row in await driver.fetch(TENANTS)]


async def _lost(storage: FileStorage, works: WorkFactory, *, is_dry_run: bool) -> int:
    """Mark ready media whose bytes are not there; how many."""
    lost, after = 0, None
    for _ in range(_MOST // _BATCH):
        async with works() as work:
            held = await MediaRepository(work.session).held(after, _BATCH)
        if not held:
            break
        after = held[-1].media_id
        gone = [one.media_id for one in held if await storage.size(one.key) is None]
        lost += len(gone)
        for media_id in () if is_dry_run else gone:
            async with works() as work:
                await MediaService(work).lost(media_id, Ending("invalid", "lost"))
    return lost
