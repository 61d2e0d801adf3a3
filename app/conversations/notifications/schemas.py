"""Wire models of notifications."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from app.core.schema import Output


class NotificationState(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"


class NotificationChannel(StrEnum):
    WHATSAPP = "whatsapp"
    TELEGRAM = "telegram"


class NotificationRead(Output):
    id: UUID
    channel: NotificationChannel
    order_id: UUID | None
    recipient: str = Field(description="Phone number (E.164) or chat id.")
    body: str
    state: NotificationState = Field(
        description="unknown: the vendor may have sent it; it is not sent again."
    )
    attempts: int
    provider_message_id: str | None
    error: str | None = Field(description="Why it failed or waits, in the vendor's words.")
    created_at: datetime
    sent_at: datetime | None
