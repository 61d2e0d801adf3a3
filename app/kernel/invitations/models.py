"""Invitations: who was asked to join, as what, until when."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.ddl import one_of
from app.core.model import TenantModel, unique_within_tenant
from app.kernel.users.models import ROLES

STATES = ("pending", "accepted", "revoked")


class Invitation(TenantModel):
    __tablename__ = "invitations"
    __table_args__ = (
        unique_within_tenant("token_hash"),
        CheckConstraint(one_of("role", ROLES), name="role"),
        CheckConstraint(one_of("state", STATES), name="state"),
        Index(
            "invitations_pending_idx",
            "tenant_id",
            "email",
            unique=True,
            postgresql_where=text("state = 'pending'"),
        ),
    )

    email: Mapped[str]
    role: Mapped[str]
    invited_by: Mapped[str]
    """As a name: it is what the letter says."""
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(server_default="pending")
    sent: Mapped[int] = mapped_column(server_default="1")
    """How many letters it has caused; each has a token of its own, the last one counts."""
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
