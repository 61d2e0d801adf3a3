"""Who did what, when: the tenant's own trail, read only."""

from __future__ import annotations

from app.core.pagination import Page, PageRequest
from app.kernel.audit.models import AuditEntry
from app.kernel.audit.repository import AuditRepository
from app.kernel.audit.schemas import AuditFilter
from app.kernel.work import Work


class AuditService:
    def __init__(self, work: Work) -> None:
        self.entries = AuditRepository(work.session)

    async def matching(self, page: PageRequest, wanted: AuditFilter) -> Page[AuditEntry]:
        return await self.entries.matching(page, wanted)
