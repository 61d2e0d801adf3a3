"""The shared inbox: what is going on with whom, who has it, and what the team says among itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.contracts.conversations import (
    ConversationChanged,
    ConversationNoted,
    ConversationOpened,
)
from app.conversations.hours.service import HoursService
from app.conversations.inbox.models import LIVE, Conversation, ConversationNote, Message
from app.conversations.inbox.problems import ConversationNotLive, ConversationVersionConflict
from app.conversations.inbox.repository import (
    AssignmentRepository,
    ConversationRepository,
    NoteRepository,
    Shown,
    TimelineRepository,
)
from app.conversations.inbox.rules import like_patterns
from app.conversations.inbox.schemas import (
    ConversationCounts,
    ConversationFilter,
    ConversationPage,
    ConversationRead,
    ConversationStart,
    ConversationUpdate,
    NoteIn,
)
from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.core.problems import Invalid
from app.kernel.contacts.rules import timeline_cursor, timeline_place
from app.kernel.contacts.service import ContactService
from app.kernel.departments.service import DepartmentService
from app.kernel.work import Work

WAKE = "conversations.inbox.wake"
GIVE_WAITING = "conversations.inbox.give_waiting"
MARK_READ = "conversations.sending.mark_read"
_WINDOW = timedelta(hours=24)
_MOST_PEOPLE = 20_000
"""Whom a search looks the conversations up of."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A stretch of messages, oldest first, and the places before and after it."""

    items: Sequence[Message]
    before: str | None
    after: str | None


class InboxService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.conversations = ConversationRepository(work.session)
        self.messages = TimelineRepository(work.session)
        self.notes = NoteRepository(work.session)

    async def listed(
        self, wanted: ConversationFilter, limit: int, cursor: str | None
    ) -> ConversationPage:
        """What was written in last comes first. Raises Invalid (the cursor)."""
        before = timeline_place(cursor) if cursor else None
        if wanted.query and wanted.query.strip():
            found = await self.conversations.near(wanted, wanted.query, before, limit + 1)
            if len(found) <= limit:  # whom few are named like: from the people to what they wrote
                people = await ContactService(self.work).ids_of(wanted.query, _MOST_PEOPLE)
                rows = await self.conversations.listed(wanted, before, limit + 1, of=people)
            else:
                rows = await self.conversations.these(found)
        else:
            rows = await self.conversations.listed(wanted, before, limit + 1)
        items, last = [_read(row) for row in rows[:limit]], rows[:limit][-1:]
        following = None
        if len(rows) > limit and last[0][0].last_message_at is not None:
            following = timeline_cursor(last[0][0].last_message_at, last[0][0].id)
        return ConversationPage(items=items, next_cursor=following)

    async def counts(self, me: UUID | None) -> ConversationCounts:
        """What is live, by the views of the inbox of this member."""
        return ConversationCounts(**await self.conversations.counts(me, now()))

    async def get(self, conversation_id: UUID) -> ConversationRead:
        """Raises ConversationNotFound."""
        return _read(await self.conversations.shown(conversation_id))

    async def timeline(
        self, conversation_id: UUID, before: str | None, after: str | None, limit: int
    ) -> Timeline:
        """Messages by the provider's instant, then arrival. Raises ConversationNotFound."""
        await self.conversations.get(conversation_id)
        rows = await self.messages.around(
            conversation_id,
            timeline_place(before) if before else None,
            timeline_place(after) if after else None,
            limit,
        )
        if not rows:
            return Timeline((), None, after)
        first, last = rows[0], rows[-1]
        is_first = len(rows) < limit and after is None
        return Timeline(
            rows,
            None if is_first else timeline_cursor(first.provider_at, first.id),
            timeline_cursor(last.provider_at, last.id),
        )

    async def search(self, query: str, page: PageRequest) -> Page[Message]:
        """Messages that hold every word, accents and case aside, newest first."""
        patterns = like_patterns(query)
        return await self.messages.search(patterns, page) if patterns else Page((), None)

    async def start(self, body: ConversationStart) -> ConversationRead:
        """Open a conversation, or find the one that is going.

        Raises ContactNotFound, ContactMerged, WhatsAppNumberMissing, DepartmentNotFound.
        """
        contact = await ContactService(self.work).get(body.contact_id)
        number = await self.conversations.number(body.number_id)
        if body.department_id is not None:
            await DepartmentService(self.work).get(body.department_id)
        department = body.department_id or number.department_id
        id_, is_new = await self.conversations.open(contact.id, number.id, department)
        if is_new:
            self.work.publish(
                ConversationOpened(conversation_id=id_, contact_id=contact.id, number_id=number.id)
            )
        return await self.get(id_)

    async def reach(self, contact_id: UUID, number_id: UUID | None = None) -> UUID | None:
        """The conversation in which the tenant tells a contact something of its own accord, by
        this number or else its first; None without one. Nobody is asked to look after it before
        the contact answers."""
        number = await self.conversations.sender(number_id)
        if number is None:
            return None
        id_, _ = await self.conversations.open(contact_id, number.id, number.department_id)
        return id_

    async def has_number(self) -> bool:
        return await self.conversations.sender() is not None

    async def update(self, conversation_id: UUID, body: ConversationUpdate) -> ConversationRead:
        """Change what is sent. Raises ConversationNotFound, ConversationVersionConflict,
        ConversationLiveAlready, DepartmentNotFound."""
        row = await self.conversations.get(conversation_id, lock=True)
        if row.version != body.version:
            raise ConversationVersionConflict(version=row.version)
        changes = await self._apply(row, body)
        if changes:
            row.version += 1
            await self.conversations.flush()
            self._tell(row, changes)
        return await self.get(conversation_id)

    async def _apply(self, row: Conversation, body: ConversationUpdate) -> list[str]:
        before = (row.status, row.priority, row.department_id, list(row.labels))
        if body.priority is not None:
            row.priority = body.priority
        if body.labels is not None:
            row.labels = list(dict.fromkeys(body.labels))
        if "department_id" in body.model_fields_set:
            if body.department_id is not None:
                await DepartmentService(self.work).get(body.department_id)
            row.department_id = body.department_id
        if body.status is not None and body.status != row.status:
            row.status = body.status
            row.closed_at = None if body.status in LIVE else row.closed_at or now()
            if body.status not in LIVE:
                row.snoozed_until = row.waiting_since = None
        after = (row.status, row.priority, row.department_id, list(row.labels))
        names = ("status", "priority", "department_id", "labels")
        return [n for n, was, is_ in zip(names, before, after, strict=True) if was != is_]

    async def snooze(self, conversation_id: UUID, until: datetime | None) -> ConversationRead:
        """Put it aside until then, or take it up now; the job that wakes it knows its instant.

        Raises ConversationNotFound, ConversationNotLive, Invalid (not in the future).
        """
        row = await self.conversations.get(conversation_id, lock=True)
        if row.status not in LIVE:
            raise ConversationNotLive(state=row.status)
        if until is not None and until <= now():
            wrong = {"pointer": "/body/until", "detail": "It must lie in the future."}
            raise Invalid(errors=[wrong])
        if row.snoozed_until != until:
            row.snoozed_until = until
            row.version += 1
            if until is not None:
                payload = {"conversation_id": str(row.id), "until": until.isoformat()}
                self.work.enqueue(WAKE, payload, delay=until - now())
            await self.conversations.flush()
            self._tell(row, ["snoozed_until"])
        return await self.get(conversation_id)

    async def wake(self, conversation_id: UUID, until: datetime) -> bool:
        """Take a snoozed one up again; False when it was snoozed anew, woken or taken up."""
        row = await self.conversations.find(conversation_id, lock=True)
        if row is None or row.snoozed_until != until:
            return False
        row.snoozed_until = None
        row.version += 1
        self._tell(row, ["snoozed_until"])
        return True

    async def read(self, conversation_id: UUID, *, show_contact: bool) -> ConversationRead:
        """Nothing is unread any more; the contact is shown so if wanted.

        Raises ConversationNotFound.
        """
        row = await self.conversations.get(conversation_id, lock=True)
        if row.unread_count:
            row.unread_count = 0
            await self.conversations.flush()
            self._tell(row, ["unread_count"])
            if show_contact:
                await self._mark(row, is_typing=False)
        return await self.get(conversation_id)

    async def typing(self, conversation_id: UUID) -> None:
        """Show the contact that somebody types, for 25 s or until a message comes.

        Raises ConversationNotFound.
        """
        await self._mark(await self.conversations.get(conversation_id), is_typing=True)

    async def _mark(self, row: Conversation, *, is_typing: bool) -> None:
        last = await self.messages.last_inbound(row.id)
        if last is not None:
            payload = {
                "number_id": str(row.number_id),
                "wamid": last.wamid,
                "is_typing": is_typing,
            }
            self.work.enqueue(MARK_READ, payload)

    async def notes_of(self, conversation_id: UUID, page: PageRequest) -> Page[ConversationNote]:
        """What the team noted, newest first. Raises ConversationNotFound."""
        await self.conversations.get(conversation_id)
        return await self.notes.of(conversation_id, page)

    async def note(self, conversation_id: UUID, body: NoteIn) -> ConversationNote:
        """Note something for the team; who is mentioned is told. Raises as ``notes_of``."""
        row = await self.conversations.get(conversation_id)
        actor = self.work.actor
        note = await self.notes.add(
            ConversationNote(
                conversation_id=row.id,
                author_id=actor.id if actor.kind == "user" else None,
                author_name=actor.name,
                text=body.text,
                mentions=list(dict.fromkeys(body.mentions)),
            )
        )
        await self.work.session.refresh(note)
        told = ConversationNoted(
            conversation_id=row.id,
            note_id=note.id,
            author_id=note.author_id,
            author_name=note.author_name,
            mentions=note.mentions,
        )
        self.work.publish(told)
        for user_id in note.mentions:
            data = told.model_dump(mode="json")
            self.work.show(user_id, "conversations", "conversations.mentioned", data)
        return note

    async def opened(self, conversation_id: UUID) -> None:
        """Start the clocks of a conversation that began."""
        row = await self.conversations.find(conversation_id, lock=True)
        if row is None:
            return
        found = await AssignmentRepository(self.work.session).of(row.department_id)
        if found is None:
            return
        if found.first_reply_minutes and row.first_reply_due_at is None:
            span = timedelta(minutes=found.first_reply_minutes)
            began = row.waiting_since or row.created_at
            row.first_reply_due_at = await HoursService(self.work).due(row.number_id, began, span)
        if found.resolution_minutes and row.resolution_due_at is None:
            span, began = timedelta(minutes=found.resolution_minutes), row.created_at
            row.resolution_due_at = await HoursService(self.work).due(row.number_id, began, span)

    def _tell(self, row: Conversation, changes: list[str]) -> None:
        self.work.publish(
            ConversationChanged(conversation_id=row.id, changes=changes, status=row.status)
        )
        # Room for what waits, or one more that waits.
        if {"status", "department_id", "snoozed_until"} & set(changes):
            self.work.enqueue(GIVE_WAITING, {})


def _read(shown: Shown) -> ConversationRead:
    row, contact_name, contact_phone, number_name, assignee_name, last = shown
    at = now()
    late = (row.first_reply_at is None and _over(row.first_reply_due_at, at)) or _over(
        row.resolution_due_at, row.closed_at or at
    )
    columns = {
        name: getattr(row, name) for name in ConversationRead.model_fields if hasattr(row, name)
    }
    return ConversationRead(
        **columns,
        contact_name=contact_name,
        contact_phone=contact_phone,
        number_name=number_name,
        assignee_name=assignee_name,
        window_closes_at=last + _WINDOW if last is not None else None,
        is_late=late,
    )


def _over(due: datetime | None, at: datetime) -> bool:
    return due is not None and due < at
