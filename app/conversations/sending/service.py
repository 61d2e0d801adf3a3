"""Owing somebody a message: checked and queued here, sent by a job.

A message and its job are one transaction. Everything that forbids a send is asked again when it
is sent, as minutes may lie between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.contracts.conversations import MessageQueued, MessageSent
from app.contracts.gateways.whatsapp import OUTBOUND, OutboundMessage
from app.conversations.inbound.service import answered_nobody
from app.conversations.inbox.models import LIVE, Conversation, Message
from app.conversations.inbox.problems import ConversationNotLive
from app.conversations.media.uploads import UploadService
from app.conversations.numbers.models import WhatsAppNumber
from app.conversations.sending.problems import (
    ConsentMissing,
    MessageNotCancellable,
    MessageNotUndecided,
    NumberInactive,
    ReplyTargetUnknown,
    WindowClosed,
)
from app.conversations.sending.repository import SendingRepository
from app.conversations.sending.rules import BULK, URGENCY, is_open
from app.conversations.sending.schemas import (
    MediaMessage,
    MessageIn,
    OwnInteractive,
    ReactionMessage,
    TemplateChoice,
    TemplateMessageIn,
)
from app.conversations.templates.models import MessageTemplate
from app.conversations.templates.problems import (
    TemplateNotApproved,
    TemplateParametersInvalid,
)
from app.conversations.templates.service import TemplateService
from app.core.clock import now
from app.kernel.consents.service import ConsentService
from app.kernel.work import Work

SEND = "conversations.sending.send"
CHANNEL = "whatsapp"
_SHOWN = 200
Body = MessageIn | OwnInteractive


@dataclass(frozen=True, slots=True)
class Author:
    """Who says it, which decides who goes first: a member (``user``), then a ``bot``, then the
    ``system``, and a ``campaign`` last. ``category`` is what consent is asked for."""

    kind: str
    user_id: UUID | None = None
    category: str = "service"


class SendingService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.messages = SendingRepository(work.session)

    async def queue(self, conversation_id: UUID, body: Body, author: Author) -> Message:
        """Owe this message, or refuse it without asking the vendor.

        Raises ConversationNotFound, ConversationNotLive, NumberInactive, WindowClosed,
        TemplateNotApproved, TemplateParametersInvalid, ConsentMissing, ReplyTargetUnknown,
        UploadNotFound, UploadKindDiffers.
        """
        conversation = await self.messages.conversation(conversation_id, lock=True)
        if conversation.status not in LIVE:
            raise ConversationNotLive(state=conversation.status)
        number = await self.messages.number(conversation.number_id)
        if not number.is_active:
            raise NumberInactive()
        category = await self._permitted(conversation, number, body, author)
        permission = await ConsentService(self.work).may_send(
            conversation.contact_id, CHANNEL, category
        )
        if not permission.is_allowed:
            raise ConsentMissing(reason=permission.reason, category=category)
        message = await self._written(conversation, body, author)
        self._enqueue(message, URGENCY[author.kind])
        self.work.publish(
            MessageQueued(
                conversation_id=conversation.id,
                message_id=message.id,
                kind=message.kind,
                author=message.author,
            )
        )
        return message

    async def choices(self, number: WhatsAppNumber) -> Sequence[MessageTemplate]:
        """The templates that may be sent at any time."""
        return await self.messages.templates(number.waba_id)

    async def cancel(self, message_id: UUID) -> Message:
        """Take back what still waits. Raises MessageNotFound, MessageNotCancellable."""
        message = await self.messages.in_turn(message_id)
        if message.status != "queued" or message.direction != "out":
            raise MessageNotCancellable(state=message.status)
        message.status = "cancelled"
        self._tell(message)
        await answered_nobody(self.work, message)
        return message

    async def resend(self, message_id: UUID) -> Message:
        """Send again what may have been sent. Raises MessageNotFound, MessageNotUndecided."""
        message = await self._undecided(message_id)
        message.status, message.needs_decision_at = "queued", None
        message.error_code = message.error = None
        self._enqueue(message, URGENCY.get(message.author, BULK))
        self._tell(message)
        return message

    async def give_up(self, message_id: UUID) -> Message:
        """Take it for not sent. Raises MessageNotFound, MessageNotUndecided."""
        message = await self._undecided(message_id)
        message.status, message.needs_decision_at = "failed", None
        message.failed_at, message.error_code = now(), "given-up"
        self._tell(message)
        await answered_nobody(self.work, message)
        return message

    async def _undecided(self, message_id: UUID) -> Message:
        message = await self.messages.in_turn(message_id)
        if message.status != "unknown":
            raise MessageNotUndecided(state=message.status)
        return message

    async def _permitted(
        self,
        conversation: Conversation,
        number: WhatsAppNumber,
        body: Body,
        author: Author,
    ) -> str:
        """The category that consent is asked for, when window and template allow the message."""
        if isinstance(body, TemplateMessageIn):
            template = await self.messages.template(number.waba_id, body.name, body.language)
            if template is None:
                raise TemplateNotApproved(name=body.name, language=body.language)
            found = TemplateService(self.work).faults(template, body.components)
            if found:
                raise TemplateParametersInvalid(errors=found)
            return template.category
        last_inbound_at = await self.messages.last_inbound(conversation)
        if not is_open(last_inbound_at, now()):
            choices = await self.choices(number)
            raise WindowClosed(
                last_inbound_at=last_inbound_at,
                templates=[
                    TemplateChoice.model_validate(t).model_dump(mode="json") for t in choices
                ],
            )
        return author.category

    async def _written(self, conversation: Conversation, body: Body, author: Author) -> Message:
        kind, content, text = body.content()
        reply_to = None
        if isinstance(body, ReactionMessage):
            reply_to = await self._wamid(conversation.id, body.message_id)
            content["message_id"] = reply_to
        elif body.reply_to_id is not None:
            reply_to = await self._wamid(conversation.id, body.reply_to_id)
        at = now()
        message = await self.messages.add(
            Message(
                conversation_id=conversation.id,
                number_id=conversation.number_id,
                contact_id=conversation.contact_id,
                direction="out",
                author=author.kind,
                user_id=author.user_id,
                kind=kind,
                text=text or None,
                content=content,
                reply_to=reply_to,
                status="queued",
                provider_at=at,
            )
        )
        if isinstance(body, MediaMessage) and body.upload_id is not None:
            await UploadService(self.work).attach(message, body.upload_id)
            text = message.text or ""
        if kind != "reaction":
            conversation.last_message_at = max(conversation.last_message_at or at, at)
            conversation.last_message_text = (text or kind)[:_SHOWN]
        if author.kind == "user":
            conversation.first_reply_at = conversation.first_reply_at or at
            conversation.waiting_since = None
        await self.messages.flush()
        await self.work.session.refresh(message)
        return message

    async def _wamid(self, conversation_id: UUID, message_id: UUID) -> str:
        found = await self.messages.find(message_id)
        if found is None or found.conversation_id != conversation_id or found.wamid is None:
            raise ReplyTargetUnknown()
        return found.wamid

    def _enqueue(self, message: Message, priority: int) -> None:
        self.work.enqueue(SEND, {"message_id": str(message.id)}, priority=priority)

    def _tell(self, message: Message) -> None:
        self.work.publish(
            MessageSent(
                conversation_id=message.conversation_id,
                message_id=message.id,
                status=message.status,
                error_code=message.error_code,
            )
        )


def as_outbound(message: Message) -> OutboundMessage:
    """A stored message as the client takes it, checked against the vendor's limits again."""
    wanted: dict[str, object] = {"type": message.kind, message.kind: message.content}
    if message.reply_to is not None and message.kind != "reaction":
        wanted["context"] = {"message_id": message.reply_to}
    return OUTBOUND.validate_python(wanted)
