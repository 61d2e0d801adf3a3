"""Reading the audit trail; it is written by the Work alone, and Postgres lets nobody change it."""

from __future__ import annotations

import re
from uuid import UUID

from sqlalchemy import BindParameter, bindparam, select

from app.core.ids import id_after, id_before
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.audit.models import AuditEntry
from app.kernel.audit.schemas import AuditFilter

_NAME = re.compile(r"[a-z0-9_.]{1,100}")


class AuditRepository(Repository[AuditEntry]):
    model = AuditEntry

    async def matching(self, page: PageRequest, wanted: AuditFilter) -> Page[AuditEntry]:
        """Entries that match every given filter, newest first."""
        statement = self.query()
        for column, value in (
            (AuditEntry.resource_id, wanted.resource_id),
            (AuditEntry.actor_id, wanted.actor_id),
        ):
            if value is not None:
                statement = statement.where(column == value)
        for name, word in (("action", wanted.action), ("resource", wanted.resource)):
            if word is not None:
                # In the text of the statement: only so may it use the partial index. What is no
                # name goes as a parameter, as everything else that comes from outside.
                is_name = _NAME.fullmatch(word) is not None
                said: BindParameter[str] = bindparam(name, word, literal_execute=is_name)
                statement = statement.where(getattr(AuditEntry, name) == said)
        if wanted.resources is not None:
            statement = statement.where(AuditEntry.resource.in_(wanted.resources))
        if wanted.since is not None:
            statement = statement.where(
                AuditEntry.created_at >= wanted.since, AuditEntry.id >= id_before(wanted.since)
            )
        if wanted.until is not None:
            statement = statement.where(
                AuditEntry.created_at < wanted.until, AuditEntry.id < id_after(wanted.until)
            )
        return await self.page(statement, page)

    async def has(self, resource_id: UUID) -> bool:
        """Whether there is an entry about this."""
        found = select(AuditEntry.id).where(AuditEntry.resource_id == resource_id).limit(1)
        return await self.session.scalar(found) is not None
