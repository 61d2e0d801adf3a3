"""HTTP for the platform's view of the inbox; each provider's own route calls ``receive``."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import system_admin
from app.kernel.inbox.models import InboxMessage
from app.kernel.inbox.problems import (
    InboxMessageNotFound,
    InboxMessageNotReplayable,
    InboxTenantUnknown,
)
from app.kernel.inbox.schemas import MessageDetail, MessageFilter, MessageRead, MessageState
from app.kernel.inbox.service import InboxDesk
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/admin/central/inbox-messages", tags=["central"])
Desk = Annotated[InboxDesk, service(InboxDesk)]


@router.get("", dependencies=[system_admin()])
async def list_inbox_messages(
    desk: Desk,
    page: Paging,
    state: MessageState | None = None,
    provider: Annotated[str | None, Query(max_length=40, examples=["stripe"])] = None,
    tenant_id: UUID | None = None,
) -> PageRead[MessageRead]:
    """What providers sent, newest first; ``state=dead`` shows the dead letters."""
    wanted = MessageFilter(state, provider, tenant_id)
    return PageRead[MessageRead].model_validate(await desk.listed(page, wanted))


@router.get(
    "/{message_id}",
    dependencies=[system_admin()],
    responses=problems(InboxMessageNotFound),
)
async def get_inbox_message(message_id: UUID, desk: Desk) -> MessageDetail:
    """One notice with its exact body."""
    return await desk.get(message_id)


@router.post(
    "/{message_id}/replay",
    response_model=MessageRead,
    dependencies=[system_admin()],
    responses=problems(InboxMessageNotFound, InboxMessageNotReplayable, InboxTenantUnknown),
)
async def replay_inbox_message(message_id: UUID, desk: Desk) -> InboxMessage:
    """Process a dead or unclaimed notice again; what it did already it does not do twice."""
    return await desk.replay(message_id)
