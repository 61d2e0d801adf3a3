"""Queries over conversations, their messages and notes, and who may be given one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import and_, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from app.conversations.inbox.models import (
    IS_LIVE,
    LIVE,
    AgentTurn,
    AssignmentSetting,
    CannedReply,
    Conversation,
    ConversationNote,
    Message,
)
from app.conversations.inbox.problems import (
    CannedReplyNotFound,
    CannedShortcutTaken,
    ConversationLiveAlready,
    ConversationNotFound,
    WhatsAppNumberMissing,
)
from app.conversations.inbox.schemas import ConversationFilter
from app.conversations.numbers.models import WhatsAppNumber
from app.core.clock import now
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.contacts.conditions import named, whole_number
from app.kernel.contacts.models import Contact
from app.kernel.users.models import User

Shown = tuple[Conversation, str, str | None, str, str | None, datetime | None]
"""With the contact's name and phone, the number's name, the assignee's, and when the contact last
wrote to this number, be it in another conversation."""
Place = tuple[datetime, UUID]
_LOOK = 5000
"""Conversations among which a search looks for a page, before it asks for people by name."""

TENANTS_LATE = """
SELECT DISTINCT tenant_id FROM conversations
WHERE status IN ('open', 'pending')
  AND (first_reply_told_at IS NULL OR resolution_told_at IS NULL)
  AND ((first_reply_due_at < $1 AND first_reply_told_at IS NULL AND first_reply_at IS NULL)
    OR (resolution_due_at < $1 AND resolution_told_at IS NULL)) LIMIT 200
"""


TENANTS_WAITING = """
SELECT DISTINCT s.tenant_id FROM assignment_settings s
WHERE s.strategy <> 'manual' AND s.tenant_id > $1 AND EXISTS (
  SELECT FROM conversations c WHERE c.tenant_id = s.tenant_id AND c.assignee_id IS NULL
    AND c.status IN ('open', 'pending') AND c.snoozed_until IS NULL
    AND (c.waiting_since IS NOT NULL OR c.last_inbound_at IS NOT NULL))
ORDER BY s.tenant_id LIMIT $2
"""


class ConversationRepository(Repository[Conversation]):
    model = Conversation
    missing = ConversationNotFound
    conflicts: ClassVar = {"conversations_live_key": ConversationLiveAlready}

    async def shown(self, id: UUID) -> Shown:
        """Raises ConversationNotFound."""
        row = (await self.session.execute(_shown().where(Conversation.id == id))).one_or_none()
        if row is None:
            raise ConversationNotFound()
        return _row(row)

    async def listed(
        self,
        wanted: ConversationFilter,
        before: Place | None,
        limit: int,
        of: Sequence[UUID] | None = None,
    ) -> list[Shown]:
        """The last written in first; with ``of``, these people's alone."""
        statement = _after(_shown().where(*_conditions(wanted)), before).limit(limit)
        if of is not None:
            statement = statement.where(Conversation.contact_id.in_(of))
        return [_row(row) for row in await self.session.execute(statement)]

    async def near(
        self, wanted: ConversationFilter, query: str, before: Place | None, limit: int
    ) -> Sequence[UUID]:
        """Of the last written in, those of people whom the words find; no more than a look."""
        if whole_number(query):
            return ()  # one person, found by their number
        row = Conversation
        some = select(row.id, row.contact_id, row.last_message_at).where(*_conditions(wanted))
        last = _after(some, before).limit(_LOOK).subquery()
        found = await self.session.scalars(
            select(last.c.id)
            .where(named(last.c.contact_id, query))
            .order_by(last.c.last_message_at.desc(), last.c.id.desc())
            .limit(limit)
        )
        return found.all()

    async def these(self, ids: Sequence[UUID]) -> list[Shown]:
        """The last written in first."""
        statement = _after(_shown().where(Conversation.id.in_(ids)), None)
        return [_row(row) for row in await self.session.execute(statement)]

    async def counts(self, me: UUID | None, at: datetime) -> dict[str, int]:
        """Live conversations by the views of the inbox, in one statement."""
        row = Conversation
        is_awake = row.snoozed_until.is_(None)
        is_late = or_(
            and_(row.first_reply_at.is_(None), row.first_reply_due_at < at),
            row.resolution_due_at < at,
        )
        views = {
            "all": is_awake,
            "mine": and_(is_awake, row.assignee_id == me),
            "unassigned": and_(is_awake, row.assignee_id.is_(None)),
            "unread": and_(is_awake, row.unread_count > 0),
            "late": and_(is_awake, is_late),
            "snoozed": row.snoozed_until.is_not(None),
        }
        named = (
            select(func.count(func.distinct(ConversationNote.conversation_id)))
            .join(row, row.id == ConversationNote.conversation_id)
            .where(ConversationNote.mentions.contains([me]), row.status.in_(LIVE))
        )
        found = await self.session.execute(
            select(
                *(func.count().filter(where).label(name) for name, where in views.items()),
                named.scalar_subquery().label("mentions"),
            ).where(row.status.in_(LIVE))
        )
        counted = {name: int(n) for name, n in found.mappings().one().items()}
        return counted if me is not None else counted | {"mine": 0, "mentions": 0}

    async def open(
        self, contact_id: UUID, number_id: UUID, department_id: UUID | None
    ) -> tuple[UUID, bool]:
        """The one that this contact and number have going, and whether it was made now."""
        going = select(Conversation.id).where(
            Conversation.contact_id == contact_id,
            Conversation.number_id == number_id,
            Conversation.status.in_(LIVE),
        )
        while True:
            made = await self.session.scalar(
                insert(Conversation)
                .values(
                    id=new_id(),
                    contact_id=contact_id,
                    number_id=number_id,
                    department_id=department_id,
                    last_message_at=now(),
                )
                .on_conflict_do_nothing(
                    index_elements=["tenant_id", "contact_id", "number_id"],
                    index_where=IS_LIVE,
                )
                .returning(Conversation.id)
            )
            if made is not None:
                return made, True
            found = await self.session.scalar(going)
            if found is not None:
                return found, False
            # It was closed between the two looks: make another.

    async def number(self, id: UUID) -> WhatsAppNumber:
        """Raises WhatsAppNumberMissing."""
        found = await self.session.get(WhatsAppNumber, id)
        if found is None:
            raise WhatsAppNumberMissing()
        return found

    async def numbers_of(self, contacts: Sequence[UUID]) -> Sequence[WhatsAppNumber]:
        """The active numbers that these contacts have or had something going with."""
        theirs = select(Conversation.number_id).where(Conversation.contact_id.in_(contacts))
        found = await self.session.scalars(
            select(WhatsAppNumber)
            .where(WhatsAppNumber.is_active, WhatsAppNumber.id.in_(theirs))
            .order_by(WhatsAppNumber.id)
        )
        return found.all()

    async def sender(self, number_id: UUID | None = None) -> WhatsAppNumber | None:
        """The number that speaks for the tenant: the named one, else the first that is active."""
        rest = select(WhatsAppNumber).where(WhatsAppNumber.is_active)
        named = (WhatsAppNumber.id == number_id).desc() if number_id else WhatsAppNumber.id
        found = await self.session.scalars(rest.order_by(named, WhatsAppNumber.id).limit(1))
        return found.one_or_none()

    async def waiting(self, departments: set[UUID | None], limit: int) -> Sequence[Conversation]:
        """Nobody's, the oldest first; locked, and what somebody else has locked is passed over."""
        inside = Conversation.department_id.in_([d for d in departments if d is not None])
        where = or_(inside, Conversation.department_id.is_(None)) if None in departments else inside
        since = func.coalesce(Conversation.waiting_since, Conversation.created_at)
        return await self.all(
            self.query()
            .where(
                Conversation.status.in_(LIVE),
                Conversation.assignee_id.is_(None),
                Conversation.snoozed_until.is_(None),
                # Where only we wrote, nobody waits: news of an order is nobody's work.
                or_(
                    Conversation.waiting_since.is_not(None),
                    Conversation.last_inbound_at.is_not(None),
                ),
                where,
            )
            .order_by(since, Conversation.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )

    async def live_by_agent(self, agents: Sequence[UUID]) -> dict[UUID, int]:
        """Live conversations by agent."""
        rows = await self.session.execute(
            select(Conversation.assignee_id, func.count())
            .where(Conversation.assignee_id.in_(agents), Conversation.status.in_(LIVE))
            .group_by(Conversation.assignee_id)
        )
        return {agent: count for agent, count in rows if agent is not None}

    async def late(self, at: datetime) -> Sequence[Conversation]:
        """A clock of theirs ran out and nobody was told; locked."""
        first = and_(
            Conversation.first_reply_due_at < at,
            Conversation.first_reply_at.is_(None),
            Conversation.first_reply_told_at.is_(None),
        )
        solved = and_(
            Conversation.resolution_due_at < at, Conversation.resolution_told_at.is_(None)
        )
        return await self.all(
            self.query()
            .where(Conversation.status.in_(LIVE), or_(first, solved))
            .limit(500)
            .with_for_update(skip_locked=True)
        )


class TimelineRepository(Repository[Message]):
    model = Message

    async def around(
        self, conversation_id: UUID, before: Place | None, after: Place | None, limit: int
    ) -> list[Message]:
        """By the provider's instant, then by arrival; the newest when no place is given."""
        key = tuple_(Message.provider_at, Message.id)
        statement = self.query().where(Message.conversation_id == conversation_id)
        if after is not None:
            forward = statement.where(key > tuple_(*after))
            return list(
                await self.all(forward.order_by(Message.provider_at, Message.id).limit(limit))
            )
        if before is not None:
            statement = statement.where(key < tuple_(*before))
        back = statement.order_by(Message.provider_at.desc(), Message.id.desc()).limit(limit)
        return list(reversed(await self.all(back)))

    async def last_inbound(self, conversation_id: UUID) -> Message | None:
        found = await self.session.execute(
            self.query()
            .where(
                Message.conversation_id == conversation_id,
                Message.direction == "in",
                Message.wamid.is_not(None),
            )
            .order_by(Message.provider_at.desc(), Message.id.desc())
            .limit(1)
        )
        return found.scalar_one_or_none()

    async def search(self, patterns: list[str], page: PageRequest) -> Page[Message]:
        found = await (await self.raw()).fetch(
            "SELECT find_messages($1, $2, $3)", patterns, page.cursor, page.limit + 1
        )
        return await self.page(self.query().where(Message.id.in_([r[0] for r in found])), page)


class NoteRepository(Repository[ConversationNote]):
    model = ConversationNote

    async def of(self, conversation_id: UUID, page: PageRequest) -> Page[ConversationNote]:
        mine = ConversationNote.conversation_id == conversation_id
        return await self.page(self.query().where(mine), page)


class CannedReplyRepository(Repository[CannedReply]):
    model = CannedReply
    missing = CannedReplyNotFound
    conflicts: ClassVar = {"canned_replies_tenant_id_shortcut_key": CannedShortcutTaken}


class AssignmentRepository(Repository[AssignmentSetting]):
    model = AssignmentSetting

    async def of(self, department_id: UUID | None) -> AssignmentSetting | None:
        """The department's own row, else the one for all others."""
        mine = AssignmentSetting.department_id
        found = await self.session.scalars(
            self.query()
            .where(or_(mine == department_id, mine.is_(None)))
            .order_by(mine.is_(None))
            .limit(1)
        )
        return found.one_or_none()

    async def put(self, values: dict[str, Any]) -> None:
        statement = insert(AssignmentSetting).values(id=new_id(), **values)
        await self.session.execute(
            statement.on_conflict_do_update(
                index_elements=["tenant_id", "department_id"],
                set_={k: v for k, v in values.items() if k != "department_id"},
            )
        )

    async def turns(self, agents: Sequence[UUID]) -> dict[UUID, AgentTurn]:
        """Their places in the round, locked in one order: whoever assigns to any waits here."""
        if not agents:
            return {}
        rows = [{"id": new_id(), "user_id": agent} for agent in sorted(agents)]
        await self.session.execute(
            insert(AgentTurn)
            .values(rows)
            .on_conflict_do_nothing(index_elements=["tenant_id", "user_id"])
        )
        found = await self.session.scalars(
            select(AgentTurn)
            .where(AgentTurn.user_id.in_(agents))
            .order_by(AgentTurn.user_id)
            .with_for_update()
        )
        return {turn.user_id: turn for turn in found}


def _shown() -> Any:
    row, other = Conversation, aliased(Conversation)
    theirs = (other.contact_id == row.contact_id, other.number_id == row.number_id)
    wrote = select(func.max(other.last_inbound_at)).where(*theirs).correlate(row).scalar_subquery()
    return (
        select(Conversation, Contact.name, Contact.phone, WhatsAppNumber.name, User.name, wrote)
        .join(Contact, Contact.id == Conversation.contact_id)
        .join(WhatsAppNumber, WhatsAppNumber.id == Conversation.number_id)
        .outerjoin(User, User.id == Conversation.assignee_id)
    )


def _row(row: Any) -> Shown:
    return (row[0], row[1], row[2], row[3], row[4], row[5])


def _after(statement: Any, before: Place | None) -> Any:
    """The last written in first, from behind this place on."""
    row = Conversation
    if before is not None:
        statement = statement.where(tuple_(row.last_message_at, row.id) < tuple_(*before))
    return statement.order_by(row.last_message_at.desc(), row.id.desc())


def _conditions(wanted: ConversationFilter) -> list[Any]:
    row = Conversation
    found: list[Any] = [
        column == value
        for column, value in (
            (row.assignee_id, wanted.assignee_id),
            (row.department_id, wanted.department_id),
            (row.number_id, wanted.number_id),
            (row.contact_id, wanted.contact_id),
        )
        if value is not None
    ]
    if wanted.status:
        found.append(row.status.in_(wanted.status))
    if wanted.is_unassigned:
        found.append(row.assignee_id.is_(None))
    if wanted.label is not None:
        found.append(row.labels.contains([wanted.label]))
    if wanted.is_unread is not None:
        found.append((row.unread_count > 0) == wanted.is_unread)
    if wanted.is_snoozed is not None:
        found.append(row.snoozed_until.is_not(None) == wanted.is_snoozed)
    if wanted.mentions_id is not None:
        noted = select(ConversationNote.id).where(
            ConversationNote.conversation_id == row.id,
            ConversationNote.mentions.contains([wanted.mentions_id]),
        )
        found.append(noted.exists())
    return found
