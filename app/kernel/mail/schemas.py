"""Wire models of letters."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from app.core.schema import Output

LetterState = Literal["pending", "sending", "sent", "failed", "unknown"]


class LetterRead(Output):
    id: UUID
    template: str
    recipient: str
    state: LetterState = Field(
        description="unknown: the server may have taken it; it is not sent again."
    )
    attempts: int
    error: str | None = Field(description="Why it failed or waits, in the server's words.")
    created_at: datetime
    sent_at: datetime | None
