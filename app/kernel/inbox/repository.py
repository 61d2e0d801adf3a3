"""Queries over received notices (a system table) and the receipts of their effects."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.inbox.models import DONE, InboxMessage, InboxReceipt
from app.kernel.inbox.problems import InboxMessageNotFound
from app.kernel.inbox.schemas import MessageFilter


class MessageRepository(Repository[InboxMessage]):
    """Takes a system session."""

    model = InboxMessage
    missing = InboxMessageNotFound

    async def add_once(self, fields: Mapping[str, object]) -> UUID | None:
        """Insert; None when this provider's notice is kept already."""
        return await self.session.scalar(
            insert(InboxMessage)
            .values(id=new_id(), **fields)
            .on_conflict_do_nothing(index_elements=["provider", "event_id"])
            .returning(InboxMessage.id)
        )

    async def matching(self, page: PageRequest, wanted: MessageFilter) -> Page[InboxMessage]:
        statement = self.query()
        if wanted.state is not None:
            statement = statement.where(InboxMessage.state == wanted.state)
        if wanted.provider is not None:
            statement = statement.where(InboxMessage.provider == wanted.provider)
        if wanted.tenant_id is not None:
            statement = statement.where(InboxMessage.tenant_id == wanted.tenant_id)
        return await self.page(statement, page)

    async def forget(self, done_before: datetime, any_before: datetime, limit: int) -> int:
        """Delete old messages and their receipts; how many messages went."""
        old = (
            select(InboxMessage.id)
            .where(
                ((InboxMessage.state == DONE) & (InboxMessage.created_at < done_before))
                | (InboxMessage.created_at < any_before)
            )
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        gone = (
            await self.session.scalars(
                delete(InboxMessage).where(InboxMessage.id.in_(old)).returning(InboxMessage.id)
            )
        ).all()
        if gone:
            await self.session.execute(delete(InboxReceipt).where(InboxReceipt.id.in_(gone)))
        return len(gone)


class ReceiptRepository:
    """Takes the session of the Work that has the effects."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def claim(self, message_id: UUID) -> bool:
        """Whether the message is new to this tenant; a twin waits here for our commit."""
        made = await self.session.scalar(
            insert(InboxReceipt)
            .values(id=message_id)
            .on_conflict_do_nothing(index_elements=["tenant_id", "id"])
            .returning(InboxReceipt.id)
        )
        return made is not None
