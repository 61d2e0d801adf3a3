"""Queries over what a contact and the tenant said to each other, each newest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.contracts.conversations import ConversationAssigned
from app.conversations.inbox.models import Conversation, Message
from app.kernel.audit.models import AuditEntry
from app.kernel.users.models import User

_CHANGES = ("reaction", "edit", "revoke")
"""Messages that change another one: what they say is told with that one."""
Place = tuple[datetime, UUID]


class StoryRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def messages(
        self, contacts: Sequence[UUID], before: Place | None, limit: int
    ) -> Sequence[Message]:
        # Conversation by conversation: a long story is read from its end, by the index.
        statement = select(Message).where(
            Message.conversation_id == Conversation.id, Message.kind.not_in(_CHANGES)
        )
        if before is not None:
            statement = statement.where(tuple_(Message.provider_at, Message.id) < tuple_(*before))
        newest = statement.order_by(Message.provider_at.desc(), Message.id.desc()).limit(limit)
        last = aliased(Message, newest.correlate(Conversation).lateral())
        found = await self.session.scalars(
            select(last)
            .select_from(Conversation)
            .join(last, true())
            .where(Conversation.contact_id.in_(contacts))
            .order_by(last.provider_at.desc(), last.id.desc())
            .limit(limit)
        )
        return found.all()

    async def begun(
        self, contacts: Sequence[UUID], before: Place | None, limit: int
    ) -> list[tuple[UUID, datetime]]:
        """Conversations that began, and when."""
        at = Conversation.created_at
        statement = select(Conversation.id, at).where(Conversation.contact_id.in_(contacts))
        if before is not None:
            statement = statement.where(tuple_(at, Conversation.id) < tuple_(*before))
        newest = statement.order_by(at.desc(), Conversation.id.desc()).limit(limit)
        return [(row[0], row[1]) for row in await self.session.execute(newest)]

    async def given(
        self, contacts: Sequence[UUID], before: Place | None, limit: int
    ) -> list[tuple[UUID, datetime, ConversationAssigned]]:
        """Who was given their conversations, as the audit trail has it."""
        at = AuditEntry.created_at
        theirs = select(Conversation.id).where(Conversation.contact_id.in_(contacts))
        statement = select(AuditEntry.id, at, AuditEntry.facts).where(
            AuditEntry.resource_id.in_(theirs), AuditEntry.action == ConversationAssigned.name
        )
        if before is not None:
            statement = statement.where(tuple_(at, AuditEntry.id) < tuple_(*before))
        newest = statement.order_by(at.desc(), AuditEntry.id.desc()).limit(limit)
        return [
            (row[0], row[1], ConversationAssigned.model_validate(row[2]))
            for row in await self.session.execute(newest)
        ]

    async def names(self, users: Iterable[UUID]) -> dict[UUID, str]:
        found = await self.session.execute(
            select(User.id, User.name).where(User.id.in_(list(users)))
        )
        return {row[0]: row[1] for row in found}
