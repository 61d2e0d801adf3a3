"""Giving conversations to agents: by hand, or in turn; and telling when a promised time is over.

Whoever assigns locks the agents' turns first, in one order, and then counts: two never count at
the same time. Waiting conversations are taken with SKIP LOCKED, so that this waits for nobody who
holds a conversation and wants a turn.
"""

from __future__ import annotations

from uuid import UUID

from app.contracts.conversations import ConversationAssigned, ServiceLate
from app.conversations.inbox.models import LIVE, AgentTurn, AssignmentSetting, Conversation
from app.conversations.inbox.problems import AgentNotFound, ConversationNotLive
from app.conversations.inbox.repository import (
    TENANTS_LATE,
    TENANTS_WAITING,
    AssignmentRepository,
    ConversationRepository,
)
from app.conversations.inbox.rules import Agent, chosen
from app.conversations.inbox.schemas import (
    AssignmentCreate,
    AssignmentSettingPut,
    ConversationRead,
    NoteIn,
)
from app.conversations.inbox.service import GIVE_WAITING, InboxService
from app.core.clock import now
from app.core.pagination import PageRequest
from app.kernel.account.service import AccountService
from app.kernel.departments.service import DepartmentService
from app.kernel.users.service import UserService
from app.kernel.work import Runtime, Work

BATCH = 20
"""Conversations given away in one transaction, which holds everybody's turn."""
_MANY = 500
"""Members read at once."""


class AssignmentService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.settings = AssignmentRepository(work.session)
        self.conversations = ConversationRepository(work.session)

    async def listed(self) -> list[AssignmentSetting]:
        rows = await self.settings.all(self.settings.query().order_by(AssignmentSetting.id))
        return list(rows)

    async def put(self, body: AssignmentSettingPut) -> AssignmentSetting:
        """How a department's conversations, or all others, find somebody.

        Raises DepartmentNotFound.
        """
        if body.department_id is not None:
            await DepartmentService(self.work).get(body.department_id)
        await self.settings.put(body.model_dump())
        row = await self.settings.of(body.department_id)
        if row is None:
            raise LookupError("the row that was just written")
        after = body.model_dump(mode="json")
        self.work.record("conversations.assignment_set", "assignment_setting", row.id, after=after)
        return row

    async def assign(self, conversation_id: UUID, body: AssignmentCreate) -> ConversationRead:
        """Give it to a member, to a department, or back to those who wait; with a note if wanted.

        Raises ConversationNotFound, ConversationNotLive, UserNotFound, AgentNotFound,
        DepartmentNotFound.
        """
        row = await self.conversations.get(conversation_id, lock=True)
        if row.status not in LIVE:
            raise ConversationNotLive(state=row.status)
        if body.department_id is not None:
            await DepartmentService(self.work).get(body.department_id)
            row.department_id = body.department_id
        is_transfer = row.assignee_id is not None or body.department_id is not None
        await self.give(row, body.assignee_id, "transfer" if is_transfer else "manual")
        inbox = InboxService(self.work)
        if body.note is not None:
            who = [body.assignee_id] if body.assignee_id is not None else []
            await inbox.note(row.id, NoteIn(text=body.note, mentions=who))
        await self.conversations.flush()
        # Whoever had it has room now, and so may somebody have for this one.
        self.work.enqueue(GIVE_WAITING, {})
        return await inbox.get(row.id)

    async def give(self, conversation: Conversation, user_id: UUID | None, how: str) -> None:
        """Make it this member's, or nobody's; the conversation is locked by the caller.

        Capacity binds the strategies, not a person who decides. Raises AgentNotFound.
        """
        before = conversation.assignee_id
        if user_id == before:
            return
        if user_id is not None:
            await self._ensure_agent(user_id)
            turn = (await self.settings.turns([user_id]))[user_id]
            turn.last_assigned_at = now()
        self._note(conversation, user_id, how, before)

    async def give_waiting(self, limit: int = BATCH) -> int:
        """Give what waits to whose turn it is, the oldest first; how many were given."""
        rows = {row.department_id: row for row in await self.listed()}
        if all(row.strategy == "manual" for row in rows.values()):
            return 0
        agents, turns = await self._agents()
        if not agents:
            return 0
        served: set[UUID | None] = {d for a in agents for d in a.department_ids}
        served |= {None}
        open_to = {
            d
            for d in served
            if (s := rows.get(d) or rows.get(None)) and chosen(s.strategy, agents, d, s.capacity)
        }
        given = 0
        for conversation in await self.conversations.waiting(open_to, limit) if open_to else ():
            setting = rows.get(conversation.department_id) or rows[None]
            agent = chosen(setting.strategy, agents, conversation.department_id, setting.capacity)
            if agent is None:
                continue
            agent.load, agent.last_assigned_at = agent.load + 1, now()
            turns[agent.id].last_assigned_at = agent.last_assigned_at
            self._note(conversation, agent.id, setting.strategy, None)
            given += 1
        return given

    async def tell_late(self) -> int:
        """Tell once of every clock that ran out; how many."""
        told, at = 0, now()
        for row in await self.conversations.late(at):
            clocks = []
            if row.first_reply_due_at and row.first_reply_due_at < at:
                if row.first_reply_at is None and row.first_reply_told_at is None:
                    clocks.append("first_reply")
                row.first_reply_told_at = row.first_reply_told_at or at
            if row.resolution_due_at and row.resolution_due_at < at:
                if row.resolution_told_at is None:
                    clocks.append("resolution")
                row.resolution_told_at = row.resolution_told_at or at
            for clock in clocks:
                self.work.publish(
                    ServiceLate(conversation_id=row.id, clock=clock, assignee_id=row.assignee_id)
                )
            told += len(clocks)
        return told

    async def _agents(self) -> tuple[list[Agent], dict[UUID, AgentTurn]]:
        """Who is online and may answer, with their places in the round locked."""
        people, page = dict[UUID, frozenset[UUID]](), PageRequest(_MANY)
        while True:
            team = await AccountService(self.work).team(page, status="online", department_id=None)
            people |= {m.id: frozenset(m.department_ids) for m in team.items if m.role != "viewer"}
            if team.next_cursor is None:
                break
            page = PageRequest(_MANY, team.next_cursor)
        turns = await self.settings.turns(list(people))
        loads = await self.conversations.live_by_agent(list(people))
        agents = [
            Agent(id_, departments, loads.get(id_, 0), turns[id_].last_assigned_at)
            for id_, departments in people.items()
        ]
        return agents, turns

    async def _ensure_agent(self, user_id: UUID) -> None:
        if not (await UserService(self.work).get(user_id)).is_active:
            raise AgentNotFound()

    def _note(
        self, conversation: Conversation, user_id: UUID | None, how: str, before: UUID | None
    ) -> None:
        conversation.assignee_id = user_id
        conversation.assigned_at = now() if user_id is not None else None
        conversation.version += 1
        self.work.publish(
            ConversationAssigned(
                conversation_id=conversation.id, assignee_id=user_id, before_id=before, how=how
            )
        )


async def tenants_late(runtime: Runtime) -> list[UUID]:
    """Tenants that have a conversation whose clock ran out untold; at most 200."""
    async with runtime.database.system_driver() as driver:
        return [row["tenant_id"] for row in await driver.fetch(TENANTS_LATE, now())]


async def tenants_waiting(runtime: Runtime, after: UUID, limit: int) -> list[UUID]:
    """Tenants that give conversations in turn and have one that is nobody's, by id."""
    async with runtime.database.system_driver() as driver:
        found = await driver.fetch(TENANTS_WAITING, after, limit)
    return [row["tenant_id"] for row in found]
