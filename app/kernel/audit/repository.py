"""Reading the audit trail; it is written by the Work alone, and Postgres lets nobody change it."""

from __future__ import annotations

from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.audit.models import AuditEntry
from app.kernel.audit.schemas import AuditFilter


class AuditRepository(Repository[AuditEntry]):
    model = AuditEntry

    async def matching(self, page: PageRequest, wanted: AuditFilter) -> Page[AuditEntry]:
        """Entries that match every given filter, newest first."""
        statement = self.query()
        equal = (
            (AuditEntry.action, wanted.action),
            (AuditEntry.resource, wanted.resource),
            (AuditEntry.resource_id, wanted.resource_id),
            (AuditEntry.actor_id, wanted.actor_id),
        )
        for column, value in equal:
            if value is not None:
                statement = statement.where(column == value)
        if wanted.resources is not None:
            statement = statement.where(AuditEntry.resource.in_(wanted.resources))
        if wanted.since is not None:
            statement = statement.where(AuditEntry.created_at >= wanted.since)
        if wanted.until is not None:
            statement = statement.where(AuditEntry.created_at < wanted.until)
        return await self.page(statement, page)
