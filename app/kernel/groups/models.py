"""Groups grant ``module.action`` to their members, beyond what the role gives."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.model import TenantModel, unique_within_tenant, within_tenant


class Group(TenantModel):
    __tablename__ = "groups"
    __table_args__ = (unique_within_tenant("name"),)

    name: Mapped[str]
    grants: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))


class GroupMember(TenantModel):
    __tablename__ = "group_members"
    __table_args__ = (
        unique_within_tenant("group_id", "user_id"),
        within_tenant("group_id", "groups", ondelete="CASCADE"),
        within_tenant("user_id", "users", ondelete="CASCADE"),
    )

    group_id: Mapped[UUID]
    user_id: Mapped[UUID]
