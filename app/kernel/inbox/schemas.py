"""Wire models of the inbox, as the platform's owner sees it, and what a filter may say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from app.core.schema import Output

MessageState = Literal["pending", "done", "dead", "unclaimed"]


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """What a list of messages may be narrowed to; None: not narrowed."""

    state: MessageState | None = None
    provider: str | None = None
    tenant_id: UUID | None = None


class Received(Output):
    received: bool = True


class MessageRead(Output):
    id: UUID
    provider: str
    event_id: str
    type: str
    tenant_id: UUID | None
    state: MessageState = Field(
        description="dead: failed too often; unclaimed: names no tenant of ours. Both wait."
    )
    attempts: int
    last_error: str | None
    created_at: datetime
    processed_at: datetime | None


class MessageDetail(MessageRead):
    headers: dict[str, str]
    body: str = Field(description="As it was sent; bytes that are no text are replaced.")
