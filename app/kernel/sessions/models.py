"""Server-side sessions: every authenticated request is answered only while its row is alive."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Index, LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from app.core.crypto import Sealed
from app.core.model import TenantModel, unique_within_tenant, within_tenant


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
    device: Mapped[str | None]
    """What its owner recognises it by, e.g. ``Chrome no Android``."""

    def is_alive(self, at: datetime, idle_minutes: int) -> bool:
        """Neither ended, nor past its cap, nor unused for too long."""
        return (
            self.revoked_at is None
            and self.expires_at > at
            and self.last_seen_at > at - timedelta(minutes=idle_minutes)
        )


class RefreshToken(TenantModel):
    """One link of a session's chain: the session is the family (RFC 9700 §4.14)."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        within_tenant("session_id", "user_sessions", ondelete="CASCADE"),
        unique_within_tenant("token_hash"),
        Index("refresh_tokens_tenant_id_session_id_idx", "tenant_id", "session_id"),
    )

    session_id: Mapped[UUID]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    successor: Mapped[str | None]
    """The pair it was exchanged for, encrypted; kept until that pair is exchanged in turn."""


SUCCESSOR = Sealed("refresh_tokens", "successor", ("{tenant_id}:refresh_tokens:{id}",))
SEALED = (SUCCESSOR,)
