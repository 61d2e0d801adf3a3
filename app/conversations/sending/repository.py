"""Queries over messages that go out and their attempts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, update

from app.conversations.inbox.models import Conversation, Message, MessageAttempt, MessageMedia
from app.conversations.inbox.problems import ConversationNotFound
from app.conversations.numbers.models import WhatsAppNumber
from app.conversations.sending.problems import MessageNotFound
from app.conversations.templates.models import MessageTemplate
from app.core.repository import Repository

# Whoever was queued before goes first, also while it waits for its next try: only one that waits
# for long does not hold up the others, nor one whose job was lost for good. Nobody waits for bulk.
_TURN = """
SELECT m.status, m.author, m.number_id, m.contact_id, n.waba_id, n.per_second, n.is_coexistent,
  m.author = 'campaign' AND n.campaigns_stopped_at IS NOT NULL AS is_stopped,
  greatest(m.send_after, c.sends_resume_at) AS not_before, e.earlier, e.resume_at,
  EXISTS (SELECT FROM message_media a WHERE a.message_id = m.id AND a.upload_id IS NOT NULL)
    AS carries
FROM messages m
JOIN conversations c ON c.id = m.conversation_id
JOIN whatsapp_numbers n ON n.id = m.number_id
CROSS JOIN LATERAL (
  SELECT count(*) AS earlier, max(e.send_after) AS resume_at FROM messages e
  WHERE e.conversation_id = m.conversation_id AND e.id < m.id
    AND e.status IN ('queued', 'sending')
    AND (e.author <> 'campaign' OR m.author = 'campaign')
    AND (e.send_after IS NULL OR e.send_after < now() + interval '5 minutes')
    AND coalesce(e.send_after, e.created_at) > now() - interval '30 minutes') e
WHERE m.id = $1
"""

# One at a time per account: whoever comes second sees whom the first has reached.
_ONE_AT_A_TIME = """
SELECT pg_advisory_xact_lock(hashtextextended('portfolio:' || app_tenant_id() || ':' || $1, 0))
"""
# Every opening is another person, so the last place of the day is the n-th newest.
_ROOM = """
WITH n AS (SELECT id FROM whatsapp_numbers WHERE waba_id = $1)
SELECT EXISTS (
    SELECT FROM messages WHERE contact_id = $2 AND opened_at > $3
      AND number_id IN (SELECT id FROM n)) AS is_open,
  (SELECT opened_at FROM messages WHERE number_id IN (SELECT id FROM n) AND opened_at > $3
   ORDER BY opened_at DESC OFFSET $4 LIMIT 1) AS last_place
"""

TENANTS_UNDECIDED = """
SELECT DISTINCT m.tenant_id FROM messages m
JOIN message_attempts a ON a.tenant_id = m.tenant_id AND a.message_id = m.id
WHERE m.status = 'unknown' AND m.needs_decision_at IS NULL AND a.finished_at < $1 LIMIT 200
"""


class Turn(NamedTuple):
    """What a message's conversation and number say about when it may go."""

    status: str
    author: str
    number_id: UUID
    contact_id: UUID
    waba_id: str
    per_second: int
    is_coexistent: bool
    is_stopped: bool
    not_before: datetime | None
    earlier: int
    resume_at: datetime | None
    """When the last of the earlier ones may be tried again."""
    carries: bool
    """Something that was uploaded here, which the vendor must have first."""


class Room(NamedTuple):
    is_open: bool
    """This person counts already."""
    last_place: datetime | None
    """When the last place was taken; None: there is one left."""


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

    async def last_inbound(self, conversation: Conversation) -> datetime | None:
        """When the contact last wrote to this number, in whichever conversation: the vendor knows
        of none, so that one that was closed since leaves the window open."""
        found: datetime | None = await self.session.scalar(
            select(func.max(Conversation.last_inbound_at)).where(
                Conversation.contact_id == conversation.contact_id,
                Conversation.number_id == conversation.number_id,
            )
        )
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
        row = await (await self.raw()).fetchrow(_TURN, message_id)
        return None if row is None else Turn(*row)

    async def room(self, waba_id: str, contact_id: UUID, since: datetime, limit: int) -> Room:
        """Whether one more person of the day fits; others of the account wait until the commit."""
        driver = await self.raw()
        await driver.execute(_ONE_AT_A_TIME, waba_id)
        found = await driver.fetchrow(_ROOM, waba_id, contact_id, since, max(limit, 1) - 1)
        return Room(*(found or (False, None)))

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

    async def media(self, message_id: UUID) -> MessageMedia | None:
        """The medium that a message carries."""
        mine = MessageMedia.message_id == message_id
        found: MessageMedia | None = await self.session.scalar(select(MessageMedia).where(mine))
        return found

    async def in_turn(self, id: UUID) -> Message:
        """Locked after its conversation, as by whoever writes in it. Raises MessageNotFound."""
        mine = select(Message.conversation_id).where(Message.id == id)
        conversation = Conversation.id == mine.scalar_subquery()
        await self.session.execute(select(Conversation.id).where(conversation).with_for_update())
        return await self.get(id, lock=True)

    async def hold(self, attempt_id: UUID) -> None:
        """Lock the message of an attempt, after its conversation."""
        mine = select(MessageAttempt.message_id).where(MessageAttempt.id == attempt_id)
        if (message_id := await self.session.scalar(mine)) is not None:
            await self.in_turn(message_id)

    async def attempt(self, attempt_id: UUID) -> tuple[MessageAttempt, Message] | None:
        """One attempt and its message, which is locked first: in this order everywhere."""
        found = await self.session.scalar(
            select(MessageAttempt.message_id).where(MessageAttempt.id == attempt_id)
        )
        if found is None:
            return None
        message = await self.get(found, lock=True)
        row = await self.session.execute(
            select(MessageAttempt)
            .where(MessageAttempt.id == attempt_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return row.scalar_one(), message

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
