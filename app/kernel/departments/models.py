"""Departments: who works together, for handing over conversations; they grant nothing."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Mapped

from app.core.model import TenantModel, unique_within_tenant, within_tenant


class Department(TenantModel):
    __tablename__ = "departments"
    __table_args__ = (unique_within_tenant("name"),)

    name: Mapped[str]
    description: Mapped[str | None]


class DepartmentMember(TenantModel):
    __tablename__ = "department_members"
    __table_args__ = (
        unique_within_tenant("department_id", "user_id"),
        within_tenant("department_id", "departments", ondelete="CASCADE"),
        within_tenant("user_id", "users", ondelete="CASCADE"),
    )

    department_id: Mapped[UUID]
    user_id: Mapped[UUID]
