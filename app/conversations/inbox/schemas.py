"""Wire models of conversations, notes, canned replies and assignment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AliasChoices,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
)

from app.core.schema import Input, Instant, Output

Status = Literal["open", "pending", "closed", "archived"]
Priority = Literal["low", "medium", "high", "urgent"]
Strategy = Literal["manual", "round_robin", "least_busy"]
Label = Annotated[str, StringConstraints(min_length=1, max_length=40, strip_whitespace=True)]
_ID = "019a7f5e-8c00-7a3b-9f10-2b7d4c1e9a55"


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """What is looked for; everything given must hold."""

    status: tuple[Status, ...] = ()
    assignee_id: UUID | None = None
    is_unassigned: bool = False
    department_id: UUID | None = None
    number_id: UUID | None = None
    contact_id: UUID | None = None
    label: str | None = None
    is_unread: bool | None = None
    is_snoozed: bool | None = None
    mentions_id: UUID | None = None
    query: str | None = None


class ConversationStart(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"contact_id": _ID, "number_id": _ID}]}
    )

    contact_id: UUID
    number_id: UUID
    department_id: UUID | None = None


class ConversationUpdate(Input):
    """Only what is sent changes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"version": 3, "status": "closed", "labels": ["entrega", "elogio"]}]
        }
    )

    version: int = Field(ge=1, description="As it was read.")
    status: Status | None = None
    priority: Priority | None = None
    department_id: UUID | None = None
    labels: list[Label] | None = Field(None, max_length=20)


class AssignmentCreate(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"note": "Cliente pede nota fiscal; pode seguir?"}]}
    )

    assignee_id: UUID | None = Field(None, description="Nobody when left out: it waits again.")
    department_id: UUID | None = Field(None, description="Hands it over to this department.")
    note: str | None = Field(None, min_length=1, max_length=2000)


class SnoozePut(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"until": "2027-01-04T12:00:00Z"}]})

    until: Instant


class ReadMark(Input):
    model_config = ConfigDict(json_schema_extra={"examples": [{"show_contact": True}]})

    show_contact: bool = Field(True, description="Also show the contact the blue ticks.")


class NoteIn(Input):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "Prefere retirar depois das 19h."}]}
    )

    text: str = Field(min_length=1, max_length=2000)
    mentions: list[UUID] = Field(default=[], max_length=20)


class NoteOut(Output):
    id: UUID
    author_id: UUID | None
    author_name: str
    text: str
    mentions: list[UUID]
    created_at: datetime


class ConversationRead(Output):
    id: UUID
    contact_id: UUID
    contact_name: str
    contact_phone: str | None
    number_id: UUID
    number_name: str
    status: Status
    priority: Priority
    department_id: UUID | None
    assignee_id: UUID | None
    assignee_name: str | None
    assigned_at: datetime | None
    labels: list[str]
    version: int
    unread_count: int
    last_message_at: datetime | None
    last_message_text: str | None
    last_inbound_at: datetime | None
    window_closes_at: datetime | None = Field(
        description="Until then free words may be sent; afterwards templates alone."
    )
    waiting_since: datetime | None
    first_reply_at: datetime | None
    first_reply_due_at: datetime | None
    resolution_due_at: datetime | None
    is_late: bool = Field(description="A promised time is over.")
    snoozed_until: datetime | None
    closed_at: datetime | None
    created_at: datetime


class ConversationCounts(Output):
    """What is open or pending, by the views of the inbox; what is snoozed counts there alone."""

    all: int
    mine: int = Field(description="Mine to answer; nothing for an API key.")
    unassigned: int
    unread: int = Field(description="Conversations with something unread.")
    late: int = Field(description="A promised time is over.")
    snoozed: int
    mentions: int = Field(description="A note names me, snoozed ones too.")


class ConversationPage(Output):
    items: list[ConversationRead]
    next_cursor: str | None


class CannedReplyIn(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"shortcut": "horario", "text": "Oi, {{contact_name}}! Abrimos das 18h às 23h."}
            ]
        }
    )

    shortcut: str = Field(pattern=r"^[a-z0-9_-]{1,40}$")
    text: str = Field(
        min_length=1,
        max_length=4096,
        description="May hold {{contact_name}}, {{contact_first_name}} and {{agent_name}}.",
    )
    department_id: UUID | None = None


class CannedReplyRead(Output):
    id: UUID
    shortcut: str
    text: str
    department_id: UUID | None
    created_at: datetime


class Rendering(Output):
    text: str


class AssignmentSettingPut(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "strategy": "round_robin",
                    "capacity": 8,
                    "first_reply_minutes": 15,
                    "resolution_minutes": 480,
                }
            ]
        }
    )

    department_id: UUID | None = Field(None, description="Left out: for all others.")
    strategy: Strategy
    capacity: int = Field(10, ge=1, le=1000)
    first_reply_minutes: int | None = Field(None, ge=1, le=43_200)
    resolution_minutes: int | None = Field(None, ge=1, le=525_600)


class AssignmentSettingRead(Output):
    department_id: UUID | None
    strategy: Strategy
    capacity: int
    first_reply_minutes: int | None
    resolution_minutes: int | None


class MessageShown(Output):
    id: UUID
    conversation_id: UUID
    direction: Literal["in", "out"]
    author: str
    user_id: UUID | None
    type: str = Field(validation_alias=AliasChoices("kind", "type"))
    text: str | None
    content: dict[str, JsonValue]
    wamid: str | None
    reply_to: str | None
    status: str = Field(
        description="unknown: it may have been sent; it is not sent again by itself."
    )
    provider_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    failed_at: datetime | None
    error_code: str | None
    error: str | None
    edited_at: datetime | None
    revoked_at: datetime | None
    reactions: dict[str, JsonValue]
    needs_decision_at: datetime | None = Field(
        description="Since when a person must resend it or give it up."
    )


class MessagePart(Output):
    items: list[MessageShown]
    before: str | None = Field(description="Place of the oldest; null: nothing is older.")
    after: str | None = Field(description="Place of the newest: ask for what came since.")
