"""Queries over attendance hours."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, or_, select
from sqlalchemy.dialects.postgresql import insert

from app.conversations.hours.models import InboxHours
from app.conversations.hours.problems import InboxHoursNotFound
from app.conversations.inbox.models import Conversation, Message
from app.core.ids import new_id
from app.core.repository import Repository


class HoursRepository(Repository[InboxHours]):
    model = InboxHours
    missing = InboxHoursNotFound

    async def of(self, number_id: UUID | None) -> InboxHours | None:
        """The number's own, else those of all others."""
        mine = InboxHours.number_id
        found = await self.session.scalars(
            self.query()
            .where(or_(mine == number_id, mine.is_(None)))
            .order_by(mine.is_(None))
            .limit(1)
        )
        return found.one_or_none()

    async def put(self, values: dict[str, Any]) -> UUID:
        """Write the hours of one number, or of all others; their id."""
        statement = insert(InboxHours).values(id=new_id(), **values)
        found: UUID | None = await self.session.scalar(
            statement.on_conflict_do_update(
                index_elements=["tenant_id", "number_id"],
                set_={k: v for k, v in values.items() if k != "number_id"},
            ).returning(InboxHours.id)
        )
        if found is None:
            raise LookupError("the row that was just written")
        return found

    async def conversation(self, conversation_id: UUID) -> Conversation | None:
        """Locked: of many messages that come at once one is told."""
        found: Conversation | None = await self.session.get(
            Conversation, conversation_id, with_for_update=True, populate_existing=True
        )
        return found

    async def has_answered(self, conversation_id: UUID, since: datetime) -> bool:
        """Whether a person of the tenant wrote there since then."""
        wrote = exists().where(
            Message.conversation_id == conversation_id,
            Message.author.in_(("user", "phone_app")),
            Message.provider_at >= since,
        )
        return bool(await self.session.scalar(select(wrote)))
