"""What is told of conversations and their messages."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from app.contracts.events import Event


class _Told(Event):
    resource: ClassVar[str] = "conversation"
    topic: ClassVar[str | None] = "conversations"
    conversation_id: UUID


class ConversationOpened(_Told):
    """A contact and a number have something going that they had not before."""

    name: ClassVar[str] = "conversations.opened"
    contact_id: UUID
    number_id: UUID


class MessageReceived(_Told):
    """A contact wrote, or the tenant did in the phone's own app (``direction`` is ``out``)."""

    name: ClassVar[str] = "conversations.message_received"
    message_id: UUID
    contact_id: UUID
    number_id: UUID
    kind: str
    direction: str
    text: str
    """The first 200 characters of what a person reads."""


class MessageChanged(_Told):
    """A message was edited, revoked or reacted to."""

    name: ClassVar[str] = "conversations.message_changed"
    message_id: UUID
    change: str
    """``edit``, ``revoke`` or ``reaction``."""


class MediaChanged(_Told):
    """A message's medium can be seen now, is being fetched again, or did not come."""

    name: ClassVar[str] = "conversations.media_changed"
    message_id: UUID
    state: str
    """``ready``, ``pending``, ``failed``, ``too_large``, ``expired`` or ``invalid``."""
    reason: str | None


class MessageStatusChanged(_Told):
    """The vendor told how far a message of ours got."""

    name: ClassVar[str] = "conversations.message_status_changed"
    message_id: UUID
    contact_id: UUID
    number_id: UUID
    status: str
    error_code: str | None = None


class AccountNoticed(Event):
    """The vendor told something of an account, a number or a template, in its own words."""

    name: ClassVar[str] = "conversations.account_noticed"
    resource: ClassVar[str] = "whatsapp_account"
    waba_id: str
    phone_number_id: str | None
    field: str
    value: dict[str, Any]


class ConversationChanged(_Told):
    """Status, priority, department, labels, snooze or the unread count are different now."""

    name: ClassVar[str] = "conversations.changed"
    changes: list[str]
    status: str


class ConversationAssigned(_Told):
    name: ClassVar[str] = "conversations.assigned"
    assignee_id: UUID | None
    """None: nobody has it any more."""
    before_id: UUID | None
    how: str
    """``manual``, ``transfer``, ``round_robin`` or ``least_busy``."""


class ConversationNoted(_Told):
    name: ClassVar[str] = "conversations.noted"
    note_id: UUID
    author_id: UUID | None = None
    author_name: str
    mentions: list[UUID]


class ServiceLate(_Told):
    """A clock ran out: nobody answered, or nobody solved it, in the time that was promised."""

    name: ClassVar[str] = "conversations.service_late"
    clock: str
    """``first_reply`` or ``resolution``."""
    assignee_id: UUID | None


class MessageQueued(_Told):
    name: ClassVar[str] = "conversations.message_queued"
    message_id: UUID
    kind: str
    author: str


class MessageSent(_Told):
    """How a send ended, as far as we know by ourselves; the vendor's notices come after."""

    name: ClassVar[str] = "conversations.message_sent"
    message_id: UUID
    status: str
    """``accepted``, ``failed``, ``unknown``, ``cancelled``, or ``queued`` for another try."""
    error_code: str | None = None


class MessageUndecided(_Told):
    """Whether a message was sent stayed unknown: a person must resend it or give it up."""

    name: ClassVar[str] = "conversations.message_undecided"
    message_id: UUID
