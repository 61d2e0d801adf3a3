"""When a tenant answers its chats, and what it says when it does not."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.core.hours import Schedule
from app.core.model import TenantModel, within_tenant


class InboxHours(TenantModel):
    """Attendance hours of one number; the row without a number is for all others."""

    __tablename__ = "inbox_hours"
    __table_args__ = (
        UniqueConstraint("tenant_id", "number_id", postgresql_nulls_not_distinct=True),
        within_tenant("number_id", "whatsapp_numbers", ondelete="CASCADE"),
    )

    number_id: Mapped[UUID | None]
    timezone: Mapped[str]
    hours: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    exceptions: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    is_away_told: Mapped[bool] = mapped_column(server_default=text("true"))
    """Whoever writes while it is closed is told so, once in each closure."""
    away_text: Mapped[str | None]
    """None: our own words."""
    clocks_pause: Mapped[bool] = mapped_column(server_default=text("false"))
    """The clocks of first reply and resolution run in open time alone."""

    def schedule(self) -> Schedule:
        return Schedule.from_rows(self.timezone, self.hours, self.exceptions)
