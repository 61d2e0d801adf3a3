"""Wire models of stored deliveries, and the rows that their processing reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field, SecretStr

from app.core.schema import Output
from app.kernel.inbox.schemas import MessageState


class DeliveryRead(Output):
    id: UUID
    fields: str = Field(
        description="What WhatsApp tells of in it.", examples=["messages"], validation_alias="type"
    )
    state: MessageState = Field(description="dead: failed too often; it can be replayed.")
    attempts: int
    last_error: str | None
    created_at: datetime
    processed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Door:
    """A number as its webhook is guarded."""

    tenant_id: UUID
    phone_number_id: str
    waba_id: str
    secrets: tuple[SecretStr, ...]
    """The app's secret, and the one before while it is being changed."""
    verify_token: SecretStr


@dataclass(frozen=True, slots=True)
class Number:
    id: UUID
    phone_number_id: str
    department_id: UUID | None
    is_stale: bool
    """Nothing was noted of its webhook for a minute."""
    hours: str | None
    """Attendance hours as JSON, where whoever writes outside of them is told so."""


@dataclass(frozen=True, slots=True)
class Row:
    """A message to insert."""

    id: UUID
    conversation_id: UUID
    number_id: UUID
    contact_id: UUID
    direction: str
    author: str
    kind: str
    text: str | None
    content: dict[str, Any]
    wamid: str
    reply_to: str | None
    status: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """A message as it is stored, as far as notices and changes of it need."""

    id: UUID
    conversation_id: UUID
    contact_id: UUID
    direction: str
    author: str
    status: str
    error_code: str | None
    failed_at: datetime | None
    played_at: datetime | None
    read_at: datetime | None
    delivered_at: datetime | None
    sent_at: datetime | None
