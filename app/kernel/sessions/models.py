"""Server-side sessions: every authenticated request is answered only while its row is alive."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, func
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import TenantModel, within_tenant


class UserSession(TenantModel):
    __tablename__ = "user_sessions"
    __table_args__ = (
        within_tenant("user_id", "users", ondelete="CASCADE"),
        Index("user_sessions_tenant_id_user_id_idx", "tenant_id", "user_id"),
    )

    user_id: Mapped[UUID]
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    """Absolute cap; the sliding limit is ``last_seen_at`` plus a setting."""
    revoked_at: Mapped[datetime | None]
    revoked_reason: Mapped[str | None]
    ip: Mapped[str | None]
    user_agent: Mapped[str | None]
