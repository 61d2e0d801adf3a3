"""Queries over the consent ledger; nothing here changes a line."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.consents.models import ConsentEntry
from app.kernel.consents.rules import Entry


class ConsentRepository(Repository[ConsentEntry]):
    model = ConsentEntry

    async def of(self, contact_ids: Sequence[UUID], page: PageRequest) -> Page[ConsentEntry]:
        return await self.page(self.query().where(ConsentEntry.contact_id.in_(contact_ids)), page)

    async def decisions(
        self, contact_ids: Sequence[UUID], channel: str, category: str
    ) -> list[Entry]:
        """The lines that may decide about this channel and category."""
        rows = await self.session.execute(
            select(
                ConsentEntry.id,
                ConsentEntry.channel,
                ConsentEntry.category,
                ConsentEntry.is_opt_in,
                ConsentEntry.decided_at,
            )
            .where(
                ConsentEntry.contact_id.in_(contact_ids),
                ConsentEntry.channel == channel,
                ConsentEntry.category.in_((category, "all")),
            )
            .order_by(ConsentEntry.decided_at.desc(), ConsentEntry.id.desc())
            .limit(1)
        )
        return [Entry(*row) for row in rows]
