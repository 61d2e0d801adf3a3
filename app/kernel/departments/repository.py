"""Queries over departments and their members."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from sqlalchemy import delete, select

from app.core.ids import new_id
from app.core.repository import Repository
from app.kernel.departments.models import Department, DepartmentMember
from app.kernel.departments.problems import DepartmentNameTaken, DepartmentNotFound
from app.kernel.users.models import User


class DepartmentRepository(Repository[Department]):
    model = Department
    missing = DepartmentNotFound
    conflicts: ClassVar = {"departments_tenant_id_name_key": DepartmentNameTaken}

    async def members(self, department_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
        """User ids by department, in the order in which they joined."""
        rows = await self.session.execute(
            select(DepartmentMember.department_id, DepartmentMember.user_id)
            .where(DepartmentMember.department_id.in_(department_ids))
            .order_by(DepartmentMember.id)
        )
        found: dict[UUID, list[UUID]] = defaultdict(list)
        for department_id, user_id in rows:
            found[department_id].append(user_id)
        return found

    async def known_users(self, user_ids: Sequence[UUID]) -> set[UUID]:
        """Which of these are users of this tenant; their rows stay until the commit."""
        rows = await self.session.execute(
            select(User.id).where(User.id.in_(user_ids)).with_for_update(key_share=True, read=True)
        )
        return set(rows.scalars())

    async def replace_members(
        self, department_id: UUID, leaving: Sequence[UUID], joining: Sequence[UUID]
    ) -> None:
        if leaving:
            await self.session.execute(
                delete(DepartmentMember).where(
                    DepartmentMember.department_id == department_id,
                    DepartmentMember.user_id.in_(leaving),
                )
            )
        self.session.add_all(
            DepartmentMember(id=new_id(), department_id=department_id, user_id=u) for u in joining
        )
        await self.flush()
