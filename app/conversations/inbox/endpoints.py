"""HTTP for the shared inbox."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from app.conversations.inbox.assignment import AssignmentService
from app.conversations.inbox.canned import CannedReplyService
from app.conversations.inbox.models import AssignmentSetting, CannedReply, ConversationNote
from app.conversations.inbox.problems import (
    AgentNotFound,
    CannedReplyNotFound,
    CannedShortcutTaken,
    ConversationLiveAlready,
    ConversationNotFound,
    ConversationNotLive,
    ConversationVersionConflict,
    WhatsAppNumberMissing,
)
from app.conversations.inbox.schemas import (
    AssignmentCreate,
    AssignmentSettingPut,
    AssignmentSettingRead,
    CannedReplyIn,
    CannedReplyRead,
    ConversationCounts,
    ConversationFilter,
    ConversationPage,
    ConversationRead,
    ConversationStart,
    ConversationUpdate,
    MessagePart,
    MessageShown,
    NoteIn,
    NoteOut,
    ReadMark,
    Rendering,
    SnoozePut,
    Status,
)
from app.conversations.inbox.service import InboxService, Timeline
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.contacts.problems import ContactMerged, ContactNotFound
from app.kernel.departments.problems import DepartmentNotFound
from app.kernel.idempotency import IdempotencyKeyReused, Idempotent, ReplayableRoute
from app.kernel.users.problems import UserNotFound
from app.kernel.work import service

router = APIRouter(
    prefix="/api/v1/conversations", tags=["conversations"], route_class=ReplayableRoute
)
team_router = APIRouter(prefix="/api/v1", tags=["conversations"], route_class=ReplayableRoute)
Inbox = Annotated[InboxService, service(InboxService)]
Assignments = Annotated[AssignmentService, service(AssignmentService)]
Canned = Annotated[CannedReplyService, service(CannedReplyService)]
_READ = require_module("conversations", "messages:read")
_WRITE = require_module("conversations", "messages:write")
_MANAGE = require_module("conversations", "messages:manage")
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[
    str | None, Query(max_length=80, description="`next_cursor` of the page before.")
]


async def _wanted(
    request: Request,
    status: Annotated[list[Status] | None, Query(max_length=4)] = None,
    assignee_id: UUID | None = None,
    is_unassigned: bool = False,
    department_id: UUID | None = None,
    number_id: UUID | None = None,
    contact_id: UUID | None = None,
    label: Annotated[str | None, Query(max_length=40)] = None,
    is_unread: bool | None = None,
    is_snoozed: bool | None = None,
    mentions_me: bool = False,
    query: Annotated[
        str | None, Query(max_length=120, description="Part of the contact's name or phone.")
    ] = None,
) -> ConversationFilter:
    identity = request.scope["meta"].identity
    me = identity.user_id if mentions_me and identity is not None else None
    return ConversationFilter(
        tuple(status or ()), assignee_id, is_unassigned, department_id, number_id, contact_id,
        label, is_unread, is_snoozed, me, query,
    )  # fmt: skip


@router.get("", dependencies=[_READ])
async def list_conversations(
    inbox: Inbox,
    wanted: Annotated[ConversationFilter, Depends(_wanted)],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ConversationPage:
    """Conversations that every given filter holds for, the last written in first."""
    return await inbox.listed(wanted, limit, cursor)


@router.get("/counts", dependencies=[_READ])
async def count_conversations(request: Request, inbox: Inbox) -> ConversationCounts:
    """What is open or pending, by view: the figures beside the inbox's filters."""
    identity = request.scope["meta"].identity
    is_person = identity is not None and identity.key is None
    return await inbox.counts(identity.user_id if is_person else None)


@router.post(
    "",
    status_code=201,
    dependencies=[_WRITE, Idempotent],
    responses=problems(
        ContactNotFound, ContactMerged, WhatsAppNumberMissing, DepartmentNotFound,
        IdempotencyKeyReused,
    ),
)  # fmt: skip
async def start_conversation(body: ConversationStart, inbox: Inbox) -> ConversationRead:
    """Open a conversation with a contact, or find the one that is going."""
    return await inbox.start(body)


@router.get("/{conversation_id}", dependencies=[_READ], responses=problems(ConversationNotFound))
async def get_conversation(conversation_id: UUID, inbox: Inbox) -> ConversationRead:
    """One conversation."""
    return await inbox.get(conversation_id)


@router.patch(
    "/{conversation_id}",
    dependencies=[_WRITE],
    responses=problems(
        ConversationNotFound, ConversationVersionConflict, ConversationLiveAlready,
        DepartmentNotFound,
    ),
)  # fmt: skip
async def update_conversation(
    conversation_id: UUID, body: ConversationUpdate, inbox: Inbox
) -> ConversationRead:
    """Change status, priority, department or labels; fields left out stay as they are."""
    return await inbox.update(conversation_id, body)


@router.get(
    "/{conversation_id}/messages",
    response_model=MessagePart,
    dependencies=[_READ],
    responses=problems(ConversationNotFound),
)
async def list_messages(
    conversation_id: UUID,
    inbox: Inbox,
    limit: Limit = 50,
    before: Cursor = None,
    after: Cursor = None,
) -> Timeline:
    """Messages, oldest first, by the time of WhatsApp: the newest ones, or those before or after
    a place."""
    return await inbox.timeline(conversation_id, before, after, limit)


@router.post(
    "/{conversation_id}/assignments",
    dependencies=[_WRITE, Idempotent],
    responses=problems(
        ConversationNotFound, ConversationNotLive, UserNotFound, AgentNotFound,
        DepartmentNotFound, IdempotencyKeyReused,
    ),
)  # fmt: skip
async def assign_conversation(
    conversation_id: UUID, body: AssignmentCreate, assignments: Assignments
) -> ConversationRead:
    """Give it to a member or a department, with a note if wanted, or back to those who wait."""
    return await assignments.assign(conversation_id, body)


@router.put(
    "/{conversation_id}/snooze",
    dependencies=[_WRITE],
    responses=problems(ConversationNotFound, ConversationNotLive),
)
async def snooze_conversation(
    conversation_id: UUID, body: SnoozePut, inbox: Inbox
) -> ConversationRead:
    """Put it aside; it comes back by itself."""
    return await inbox.snooze(conversation_id, body.until)


@router.delete(
    "/{conversation_id}/snooze",
    dependencies=[_WRITE],
    responses=problems(ConversationNotFound, ConversationNotLive),
)
async def wake_conversation(conversation_id: UUID, inbox: Inbox) -> ConversationRead:
    """Take it up again now."""
    return await inbox.snooze(conversation_id, None)


@router.post(
    "/{conversation_id}/reads",
    dependencies=[_WRITE, Idempotent],
    responses=problems(ConversationNotFound, IdempotencyKeyReused),
)
async def read_conversation(
    conversation_id: UUID, body: ReadMark, inbox: Inbox
) -> ConversationRead:
    """Nothing in it is unread any more."""
    return await inbox.read(conversation_id, show_contact=body.show_contact)


@router.post(
    "/{conversation_id}/typing",
    status_code=204,
    dependencies=[_WRITE, Idempotent],
    responses=problems(ConversationNotFound, IdempotencyKeyReused),
)
async def show_typing(conversation_id: UUID, inbox: Inbox) -> None:
    """Show the contact that somebody types; WhatsApp also marks their last message as read."""
    await inbox.typing(conversation_id)


@router.get(
    "/{conversation_id}/notes", dependencies=[_READ], responses=problems(ConversationNotFound)
)
async def list_conversation_notes(
    conversation_id: UUID, inbox: Inbox, page: Paging
) -> PageRead[NoteOut]:
    """What the team noted, newest first; the contact never sees it."""
    return PageRead[NoteOut].model_validate(await inbox.notes_of(conversation_id, page))


@router.post(
    "/{conversation_id}/notes",
    status_code=201,
    response_model=NoteOut,
    dependencies=[_WRITE, Idempotent],
    responses=problems(ConversationNotFound, IdempotencyKeyReused),
)
async def add_conversation_note(
    conversation_id: UUID, body: NoteIn, inbox: Inbox
) -> ConversationNote:
    """Note something for the team; whoever is mentioned is told, live and by a notice."""
    return await inbox.note(conversation_id, body)


@team_router.get("/messages", dependencies=[_READ])
async def search_messages(
    inbox: Inbox, page: Paging, query: Annotated[str, Query(min_length=2, max_length=120)]
) -> PageRead[MessageShown]:
    """Messages that hold every word, accents and case aside, newest first."""
    return PageRead[MessageShown].model_validate(await inbox.search(query, page))


@team_router.get("/assignment-settings", dependencies=[_READ])
async def list_assignment_settings(assignments: Assignments) -> list[AssignmentSettingRead]:
    """How conversations find somebody, by department."""
    return [AssignmentSettingRead.model_validate(row) for row in await assignments.listed()]


@team_router.put(
    "/assignment-settings",
    response_model=AssignmentSettingRead,
    dependencies=[_MANAGE],
    responses=problems(DepartmentNotFound),
)
async def set_assignment(body: AssignmentSettingPut, assignments: Assignments) -> AssignmentSetting:
    """How a department's conversations, or all others, find somebody, and by when."""
    return await assignments.put(body)


@team_router.get("/canned-replies", dependencies=[_READ])
async def list_canned_replies(canned: Canned, page: Paging) -> PageRead[CannedReplyRead]:
    """Replies kept ready, newest first."""
    return PageRead[CannedReplyRead].model_validate(await canned.listed(page))


@team_router.post(
    "/canned-replies",
    status_code=201,
    response_model=CannedReplyRead,
    dependencies=[_MANAGE, Idempotent],
    responses=problems(CannedShortcutTaken, DepartmentNotFound, IdempotencyKeyReused),
)
async def create_canned_reply(body: CannedReplyIn, canned: Canned) -> CannedReply:
    """Keep a reply ready."""
    return await canned.create(body)


@team_router.put(
    "/canned-replies/{canned_reply_id}",
    response_model=CannedReplyRead,
    dependencies=[_MANAGE],
    responses=problems(CannedReplyNotFound, CannedShortcutTaken, DepartmentNotFound),
)
async def replace_canned_reply(
    canned_reply_id: UUID, body: CannedReplyIn, canned: Canned
) -> CannedReply:
    """Write a canned reply anew."""
    return await canned.replace(canned_reply_id, body)


@team_router.delete(
    "/canned-replies/{canned_reply_id}",
    status_code=204,
    dependencies=[_MANAGE],
    responses=problems(CannedReplyNotFound),
)
async def delete_canned_reply(canned_reply_id: UUID, canned: Canned) -> None:
    """Remove a canned reply."""
    await canned.delete(canned_reply_id)


@team_router.get(
    "/canned-replies/{canned_reply_id}/rendering",
    dependencies=[_READ],
    responses=problems(CannedReplyNotFound, ConversationNotFound),
)
async def render_canned_reply(
    canned_reply_id: UUID, conversation_id: UUID, canned: Canned
) -> Rendering:
    """Its text for one conversation, to be looked at and then sent."""
    return Rendering(text=await canned.render(canned_reply_id, conversation_id))
