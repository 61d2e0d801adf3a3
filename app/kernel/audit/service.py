"""Who did what, when: the tenant's own trail, read only."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import asdict, replace
from uuid import UUID

from app.core.pagination import Page, PageRequest
from app.core.tabular import csv_lines
from app.kernel.audit.models import AuditEntry
from app.kernel.audit.repository import AuditRepository
from app.kernel.audit.rules import COLUMNS, csv_row
from app.kernel.audit.schemas import AuditFilter
from app.kernel.identity import Identity
from app.kernel.work import Work, WorkFactory

_BATCH = 1000


async def export(works: WorkFactory, wanted: AuditFilter) -> AsyncGenerator[bytes, None]:
    """All matching entries as CSV, newest first, in batches: memory and Works stay small.

    Taking the trail out of the house is itself an entry of it. It is written before the first
    byte is answered, and is the newest that the export holds.
    """
    async with works() as work:
        filters = sorted(k for k, v in asdict(wanted).items() if v is not None)
        span = {"since": wanted.since, "until": wanted.until}
        work.record("audit.exported", "audit", None, filters=filters, **span)
    return _batches(works, wanted)


async def _batches(works: WorkFactory, wanted: AuditFilter) -> AsyncGenerator[bytes, None]:
    page: PageRequest | None = PageRequest(_BATCH)
    yield csv_lines([COLUMNS])
    while page is not None:
        # A Work per batch: a slow reader holds no transaction open.
        async with works() as work:
            found = await AuditService(work).matching(page, wanted)
        yield csv_lines(csv_row(entry) for entry in found.items)
        page = PageRequest(_BATCH, found.next_cursor) if found.next_cursor else None


class AuditService:
    def __init__(self, work: Work) -> None:
        self.entries = AuditRepository(work.session)

    async def matching(self, page: PageRequest, wanted: AuditFilter) -> Page[AuditEntry]:
        return await self.entries.matching(page, wanted)

    async def own(self, who: Identity, page: PageRequest, wanted: AuditFilter) -> Page[AuditEntry]:
        """What this member did themselves."""
        return await self.matching(page, replace(wanted, actor_id=who.user_id))

    async def is_told(self, resource_id: UUID) -> bool:
        """Whether anything was told of this: for jobs whose only effect is to tell, run again."""
        return await self.entries.has(resource_id)
