"""Queries over messages that go out and their attempts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, update

from app.conversations.inbox.models import Conversation, Message, MessageAttempt
from app.conversations.inbox.problems import ConversationNotFound
from app.conversations.numbers.models import WhatsAppNumber
from app.conversations.sending.problems import MessageNotFound
from app.conversations.templates.models import MessageTemplate
from app.core.repository import Repository

# Whoever was queued before and not tried yet goes first; one that waits for its next try does not
# hold up the others, nor one whose job was lost for good.
_BEFORE = """
SELECT m.status, c.sends_resume_at, EXISTS (
  SELECT FROM messages e
  WHERE e.conversation_id = m.conversation_id AND e.id < m.id
    AND e.status IN ('queued', 'sending') AND e.created_at > now() - interval '10 minutes'
    AND (e.status = 'sending' OR NOT EXISTS (
      SELECT FROM message_attempts a WHERE a.message_id = e.id))) AS has_earlier
FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE m.id = $1
"""

TENANTS_UNDECIDED = """
SELECT DISTINCT m.tenant_id FROM messages m
JOIN message_attempts a ON a.tenant_id = m.tenant_id AND a.message_id = m.id
WHERE m.status = 'unknown' AND m.needs_decision_at IS NULL AND a.finished_at < $1 LIMIT 200
"""


class Turn(NamedTuple):
    status: str
    sends_resume_at: datetime | None
    has_earlier: bool


class SendingRepository(Repository[Message]):
    model = Message
    missing = MessageNotFound

    async def conversation(self, id: UUID, *, lock: bool = False) -> Conversation:
        """Raises ConversationNotFound."""
        statement = select(Conversation).where(Conversation.id == id)
        if lock:
            statement = statement.with_for_update().execution_options(populate_existing=True)
        found = (await self.session.execute(statement)).scalar_one_or_none()
        if found is None:
            raise ConversationNotFound()
        return found

    async def number(self, id: UUID) -> WhatsAppNumber:
        found = await self.session.execute(select(WhatsAppNumber).where(WhatsAppNumber.id == id))
        return found.scalar_one()

    async def templates(self, waba_id: str, *, limit: int = 50) -> Sequence[MessageTemplate]:
        """Approved ones of an account, by name."""
        found = await self.session.scalars(
            select(MessageTemplate)
            .where(
                MessageTemplate.waba_id == waba_id,
                MessageTemplate.status == "approved",
                MessageTemplate.deleted_at.is_(None),
            )
            .order_by(MessageTemplate.name, MessageTemplate.language)
            .limit(limit)
        )
        return found.all()

    async def template(self, waba_id: str, name: str, language: str) -> MessageTemplate | None:
        found = await self.session.execute(
            select(MessageTemplate).where(
                MessageTemplate.waba_id == waba_id,
                MessageTemplate.name == name,
                MessageTemplate.language == language,
                MessageTemplate.status == "approved",
                MessageTemplate.deleted_at.is_(None),
            )
        )
        return found.scalar_one_or_none()

    async def turn(self, message_id: UUID) -> Turn | None:
        """Whether a message may go now, as far as its conversation says."""
        row = await (await self.raw()).fetchrow(_BEFORE, message_id)
        return None if row is None else Turn(*row)

    async def attempts(self, message_id: UUID) -> int:
        statement = select(func.count()).where(MessageAttempt.message_id == message_id)
        return await self.session.scalar(statement) or 0

    async def pair_refusals(self, conversation_id: UUID, code: str) -> int:
        """How often the pair was refused since the last message that went through."""
        mine = Message.conversation_id == conversation_id
        through = (
            select(MessageAttempt.id)
            .join(Message, Message.id == MessageAttempt.message_id)
            .where(mine, MessageAttempt.state == "accepted")
            .order_by(MessageAttempt.id.desc())
            .limit(1)
            .scalar_subquery()
        )
        statement = (
            select(func.count())
            .select_from(MessageAttempt)
            .join(Message, Message.id == MessageAttempt.message_id)
            .where(mine, MessageAttempt.error_code == code)
            .where((MessageAttempt.id > through) | through.is_(None))
        )
        return await self.session.scalar(statement) or 0

    async def attempt(self, attempt_id: UUID) -> MessageAttempt | None:
        """One attempt, locked after its message: in this order everywhere."""
        found = await self.session.scalar(
            select(MessageAttempt.message_id).where(MessageAttempt.id == attempt_id)
        )
        if found is None:
            return None
        await self.get(found, lock=True)
        row = await self.session.execute(
            select(MessageAttempt)
            .where(MessageAttempt.id == attempt_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return row.scalar_one()

    async def open_attempt(self, message_id: UUID) -> MessageAttempt | None:
        """The one that was begun and never ended."""
        found = await self.session.execute(
            select(MessageAttempt)
            .where(MessageAttempt.message_id == message_id, MessageAttempt.state == "sending")
            .with_for_update()
        )
        return found.scalars().first()

    async def pause_pair(self, conversation_id: UUID, until: datetime) -> None:
        await self.session.execute(
            update(Conversation)
            .where(Conversation.id == conversation_id)
            .values(sends_resume_at=func.greatest(Conversation.sends_resume_at, until))
        )

    async def stop_campaigns(self, number_id: UUID, at: datetime, why: str) -> None:
        await self.session.execute(
            update(WhatsAppNumber)
            .where(WhatsAppNumber.id == number_id)
            .values(campaigns_stopped_at=at, campaigns_stopped_why=why)
        )

    async def undecided(self, at: datetime, after: timedelta) -> Sequence[Message]:
        """Unknown for longer than that, and nobody was told; locked."""
        ended = select(MessageAttempt.message_id).where(
            MessageAttempt.message_id == Message.id, MessageAttempt.finished_at < at - after
        )
        return await self.all(
            self.query()
            .where(
                Message.status == "unknown",
                Message.needs_decision_at.is_(None),
                ended.exists(),
            )
            .limit(500)
            .with_for_update(skip_locked=True)
        )
