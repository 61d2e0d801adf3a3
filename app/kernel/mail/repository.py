"""Queries over letters."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.mail.models import Letter
from app.kernel.mail.problems import LetterNotFound


class LetterRepository(Repository[Letter]):
    model = Letter
    missing = LetterNotFound

    async def intend(
        self, id: UUID, *, reference: str, template: str, recipient: str, content: str
    ) -> bool:
        """Insert the letter unless its reference is known; whether it is new."""
        made = await self.session.scalar(
            insert(Letter)
            .values(
                id=id,
                reference=reference,
                template=template,
                recipient=recipient,
                content=content,
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "reference"])
            .returning(Letter.id)
        )
        return made is not None

    async def listed(self, page: PageRequest, *, state: str | None) -> Page[Letter]:
        statement = self.query()
        if state is not None:
            statement = statement.where(Letter.state == state)
        return await self.page(statement, page)
