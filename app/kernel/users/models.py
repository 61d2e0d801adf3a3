"""People who work for a tenant. Under row level security: only the login crosses tenants."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant, within_tenant

STATUSES = ("online", "away", "offline")
ROLES = ("owner", "admin", "manager", "agent", "viewer")


class User(TenantModel):
    __tablename__ = "users"
    __table_args__ = (
        unique_within_tenant("email"),
        CheckConstraint(one_of("role", ROLES), name="role"),
        CheckConstraint(one_of("status", STATUSES), name="status"),
        within_tenant("avatar_file_id", "files"),
        CheckConstraint("email = lower(email)", name="email_lower"),
        # Whoever logs in without naming a tenant is looked for in all of them.
        Index("users_email_idx", "email"),
    )

    email: Mapped[str]
    name: Mapped[str]
    password_hash: Mapped[str]
    role: Mapped[str]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    last_login_at: Mapped[datetime | None]
    phone: Mapped[str | None]
    avatar_file_id: Mapped[UUID | None]
    status: Mapped[str] = mapped_column(server_default=text("'offline'"))
    """What the user says of their presence; shown as offline once their sessions fall silent."""
    status_at: Mapped[datetime | None]
