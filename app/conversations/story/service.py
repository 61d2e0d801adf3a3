"""What the inbox knows of a contact's story: messages, conversations that began, who had them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.contracts.contacts import TimelineEntry
from app.conversations.story.repository import StoryRepository
from app.conversations.story.rules import given_line, told_line
from app.kernel.work import UnitOfWork

GRANT = "conversations.messages:read"


class ConversationTimeline:
    """Answers ``TimelineSource``."""

    def __init__(self, work: UnitOfWork) -> None:
        self.story = StoryRepository(work.session)

    async def entries(
        self, contact_ids: Sequence[UUID], before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[TimelineEntry]:
        messages = await self.story.messages(contact_ids, before, limit)
        begun = await self.story.begun(contact_ids, before, limit)
        given = await self.story.given(contact_ids, before, limit)
        names = await self.story.names({g.assignee_id for *_, g in given if g.assignee_id})
        found = [
            *(
                _entry(m.provider_at, m.id, f"message.{m.direction}", told_line(m.kind, m.text),
                       m.conversation_id)
                for m in messages
            ),
            *(_entry(at, id_, "conversation.opened", "Conversa iniciada", id_)
              for id_, at in begun),
            *(
                _entry(at, id_, "conversation.assigned", given_line(g.assignee_id, names),
                       g.conversation_id)
                for id_, at, g in given
            ),
        ]  # fmt: skip
        found.sort(key=lambda entry: (entry.at, entry.id), reverse=True)
        return found[:limit]


def _entry(at: datetime, id_: UUID, kind: str, text: str, conversation_id: UUID) -> TimelineEntry:
    return TimelineEntry(at, id_, kind, text, "conversation", conversation_id, GRANT)
