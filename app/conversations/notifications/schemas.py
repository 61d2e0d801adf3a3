"""Wire models of notifications."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from app.core.schema import Input, Output


class NotificationState(StrEnum):
    PENDING = "pending"
    QUEUED = "queued"
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
        description="unknown: the vendor may have sent it; it is not sent again. queued: the "
        "inbox sends it, and message_id says how that ends."
    )
    attempts: int
    provider_message_id: str | None
    error: str | None = Field(description="Why it failed or waits, in the vendor's words.")
    created_at: datetime
    sent_at: datetime | None
    message_id: UUID | None


Fact = Literal[
    "placed", "confirmed", "preparing", "ready", "out_for_delivery", "delivered", "cancelled",
    "rejected",
]  # fmt: skip
Variable = Literal["customer_name", "order_number", "store_name", "total", "items", "reason"]


class OrderMessagePut(Input):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "is_on": True,
                    "text": "Oi, {{customer_name}}! O pedido {{order_number}} está pronto.",
                    "template_name": "pedido_pronto",
                    "template_language": "pt_BR",
                    "template_values": ["customer_name", "order_number"],
                }
            ]
        }
    )

    is_on: bool = True
    text: str | None = Field(None, min_length=1, max_length=2000, description="Null: our words.")
    template_name: str | None = Field(None, pattern=r"^[a-z0-9_]{1,512}$")
    template_language: str | None = Field(None, pattern=r"^[a-zA-Z_]{2,10}$")
    template_values: list[Variable] = Field(default=[], max_length=6)

    @model_validator(mode="after")
    def _whole(self) -> OrderMessagePut:
        if (self.template_name is None) != (self.template_language is None):
            raise ValueError("a template has a name and a language")
        return self


class OrderMessageRead(Output):
    fact: Fact
    is_on: bool
    text: str | None
    template_name: str | None
    template_language: str | None
    template_values: list[str]
    preview: str | None = Field(description="As a customer would read it; null: never told.")
