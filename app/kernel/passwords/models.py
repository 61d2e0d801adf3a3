"""Requests for a new password, each good for one use within its hour."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import TenantModel, unique_within_tenant, within_tenant


class PasswordReset(TenantModel):
    __tablename__ = "password_resets"
    __table_args__ = (
        within_tenant("user_id", "users", ondelete="CASCADE"),
        unique_within_tenant("token_hash"),
        Index("password_resets_tenant_id_user_id_idx", "tenant_id", "user_id"),
    )

    user_id: Mapped[UUID]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
