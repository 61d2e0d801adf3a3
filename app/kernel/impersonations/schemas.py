"""Wire models of impersonations."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import Field

from app.core.schema import Output


class ImpersonationRead(Output):
    id: UUID
    user_id: UUID = Field(description="In whose name.")
    user_email: str
    by_name: str = Field(description="Who of the platform.")
    reason: str
    created_at: datetime
    expires_at: datetime = Field(description="It ends then at the latest.")
    ended_at: datetime | None = Field(description="When it was ended before its time.")
    is_active: bool
