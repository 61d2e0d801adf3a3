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
