"""Sessions in which somebody of the platform works in a member's name, for a reason and a while."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Mapped

from app.core.model import TenantModel, unique_within_tenant, within_tenant


class Impersonation(TenantModel):
    """What makes a session one of the platform's; when it ends is the session's own to say."""

    __tablename__ = "impersonations"
    __table_args__ = (
        within_tenant("session_id", "user_sessions", ondelete="CASCADE"),
        unique_within_tenant("session_id"),
    )

    session_id: Mapped[UUID]
    user_id: Mapped[UUID]
    """In whose name."""
    by_tenant_id: Mapped[UUID]
    """The platform's own tenant: these three leave the tenant on purpose, hence no references."""
    by_user_id: Mapped[UUID]
    by_session_id: Mapped[UUID]
    by_name: Mapped[str]
    """E-mail at that time, for a tenant that cannot look the person up."""
    reason: Mapped[str]
