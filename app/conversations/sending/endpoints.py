"""HTTP for sending: a message of any kind, and what a person decides about one."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body

from app.conversations.inbox.models import Message
from app.conversations.inbox.problems import ConversationNotFound, ConversationNotLive
from app.conversations.inbox.schemas import MessageShown
from app.conversations.media.problems import UploadKindDiffers, UploadNotFound
from app.conversations.sending.problems import (
    ConsentMissing,
    MessageNotCancellable,
    MessageNotFound,
    MessageNotUndecided,
    NumberInactive,
    ReplyTargetUnknown,
    WindowClosed,
)
from app.conversations.sending.schemas import MessageIn
from app.conversations.sending.service import Author, SendingService
from app.conversations.templates.problems import (
    TemplateNotApproved,
    TemplateParametersInvalid,
)
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.idempotency import IdempotencyKeyReused, Idempotent, ReplayableRoute
from app.kernel.work import Work, service

router = APIRouter(prefix="/api/v1", tags=["conversations"], route_class=ReplayableRoute)
Sending = Annotated[SendingService, service(SendingService)]
_WRITE = require_module("conversations", "messages:write")

_EXAMPLE = Body(examples=[{"type": "text", "text": "Oi, Ana! Sua pizza já está no forno."}])


@router.post(
    "/conversations/{conversation_id}/messages",
    status_code=202,
    response_model=MessageShown,
    dependencies=[_WRITE, Idempotent],
    responses=problems(
        ConversationNotFound, ConversationNotLive, WindowClosed, TemplateNotApproved,
        TemplateParametersInvalid, ConsentMissing, NumberInactive, ReplyTargetUnknown,
        UploadNotFound, UploadKindDiffers, IdempotencyKeyReused,
    ),
)  # fmt: skip
async def send_message(
    conversation_id: UUID, body: Annotated[MessageIn, _EXAMPLE], sending: Sending, work: Work
) -> Message:
    """Queue a message to the contact. Outside the 24 hours after their last message only
    templates go; the problem then lists those that may be used."""
    actor = work.actor
    author = Author("user", actor.id if actor.kind == "user" else None)
    return await sending.queue(conversation_id, body, author)


@router.post(
    "/messages/{message_id}/cancellations",
    response_model=MessageShown,
    dependencies=[_WRITE, Idempotent],
    responses=problems(MessageNotFound, MessageNotCancellable, IdempotencyKeyReused),
)
async def cancel_message(message_id: UUID, sending: Sending) -> Message:
    """Take back a message that still waits."""
    return await sending.cancel(message_id)


@router.post(
    "/messages/{message_id}/resends",
    response_model=MessageShown,
    dependencies=[_WRITE, Idempotent],
    responses=problems(MessageNotFound, MessageNotUndecided, IdempotencyKeyReused),
)
async def resend_message(message_id: UUID, sending: Sending) -> Message:
    """Send again a message that may have been sent: the contact may get it twice."""
    return await sending.resend(message_id)


@router.post(
    "/messages/{message_id}/surrenders",
    response_model=MessageShown,
    dependencies=[_WRITE, Idempotent],
    responses=problems(MessageNotFound, MessageNotUndecided, IdempotencyKeyReused),
)
async def give_message_up(message_id: UUID, sending: Sending) -> Message:
    """Take a message whose sending is unknown for not sent."""
    return await sending.give_up(message_id)
