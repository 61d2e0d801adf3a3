"""Replies kept ready under a short name, and filled for one conversation."""

from __future__ import annotations

from uuid import UUID

from app.conversations.inbox.models import CannedReply
from app.conversations.inbox.repository import CannedReplyRepository, ConversationRepository
from app.conversations.inbox.rules import filled
from app.conversations.inbox.schemas import CannedReplyIn
from app.core.pagination import Page, PageRequest
from app.kernel.departments.service import DepartmentService
from app.kernel.users.service import UserService
from app.kernel.work import Work


class CannedReplyService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.replies = CannedReplyRepository(work.session)

    async def listed(self, page: PageRequest) -> Page[CannedReply]:
        return await self.replies.page(self.replies.query(), page)

    async def create(self, body: CannedReplyIn) -> CannedReply:
        """Raises CannedShortcutTaken, DepartmentNotFound."""
        await self._ensure_department(body)
        row = await self.replies.add(CannedReply(**body.model_dump()))
        await self.work.session.refresh(row)
        after = body.model_dump(mode="json")
        self.work.record("canned_reply.created", "canned_reply", row.id, after=after)
        return row

    async def replace(self, canned_reply_id: UUID, body: CannedReplyIn) -> CannedReply:
        """Raises CannedReplyNotFound, CannedShortcutTaken, DepartmentNotFound."""
        row = await self.replies.get(canned_reply_id, lock=True)
        await self._ensure_department(body)
        row.shortcut, row.text, row.department_id = body.shortcut, body.text, body.department_id
        await self.replies.flush()
        after = body.model_dump(mode="json")
        self.work.record("canned_reply.updated", "canned_reply", row.id, after=after)
        return row

    async def delete(self, canned_reply_id: UUID) -> None:
        """Raises CannedReplyNotFound."""
        row = await self.replies.get(canned_reply_id, lock=True)
        self.work.record("canned_reply.deleted", "canned_reply", row.id, before=row.shortcut)
        await self.replies.delete(row)

    async def render(self, canned_reply_id: UUID, conversation_id: UUID) -> str:
        """Its text for this contact. Raises CannedReplyNotFound, ConversationNotFound."""
        row = await self.replies.get(canned_reply_id)
        shown = await ConversationRepository(self.work.session).shown(conversation_id)
        values = {"contact_name": shown[1], "contact_first_name": shown[1].partition(" ")[0]}
        actor = self.work.actor
        if actor.kind == "user" and actor.id is not None:
            values["agent_name"] = (await UserService(self.work).get(actor.id)).name
        return filled(row.text, values)

    async def _ensure_department(self, body: CannedReplyIn) -> None:
        if body.department_id is not None:
            await DepartmentService(self.work).get(body.department_id)
