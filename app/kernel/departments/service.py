"""Departments and who is in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.pagination import Page, PageRequest
from app.core.problems import Invalid
from app.kernel.departments.models import Department
from app.kernel.departments.repository import DepartmentRepository
from app.kernel.departments.schemas import DepartmentCreate, DepartmentUpdate
from app.kernel.work import Work


@dataclass(frozen=True, slots=True)
class DepartmentView:
    """A department with its members."""

    id: UUID
    name: str
    description: str | None
    user_ids: list[UUID]
    created_at: datetime


class DepartmentService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.departments = DepartmentRepository(work.session)

    async def listed(self, page: PageRequest) -> Page[DepartmentView]:
        found = await self.departments.page(self.departments.query(), page)
        return Page(await self._views(found.items), found.next_cursor)

    async def get(self, department_id: UUID) -> DepartmentView:
        """One department. Raises DepartmentNotFound."""
        return await self._view(await self.departments.get(department_id))

    async def create(self, body: DepartmentCreate) -> DepartmentView:
        """Add a department. Raises DepartmentNameTaken."""
        row = await self.departments.add(
            Department(name=body.name, description=body.description or None)
        )
        await self.work.session.refresh(row)
        self.work.record("department.created", "department", row.id, after=_facts(row))
        return await self._view(row)

    async def update(self, department_id: UUID, body: DepartmentUpdate) -> DepartmentView:
        """Rename or describe. Raises DepartmentNotFound, DepartmentNameTaken."""
        row = await self.departments.get(department_id, lock=True)
        before = _facts(row)
        if body.name is not None:
            row.name = body.name
        if "description" in body.model_fields_set:
            row.description = body.description or None
        if _facts(row) != before:
            await self.departments.flush()
            self.work.record(
                "department.updated", "department", row.id, before=before, after=_facts(row)
            )
        return await self._view(row)

    async def delete(self, department_id: UUID) -> None:
        """Remove a department; its people stay. Raises DepartmentNotFound."""
        row = await self.departments.get(department_id, lock=True)
        self.work.record("department.deleted", "department", row.id, before=_facts(row))
        await self.departments.delete(row)

    async def set_members(self, department_id: UUID, user_ids: Sequence[UUID]) -> DepartmentView:
        """Make these users, and nobody else, the members.

        Raises DepartmentNotFound, Invalid (an id that is no user here).
        """
        row = await self.departments.get(department_id, lock=True)
        before = (await self.departments.members([department_id])).get(department_id, [])
        wanted = list(dict.fromkeys(user_ids))
        joining = [u for u in wanted if u not in set(before)]
        leaving = [u for u in before if u not in set(wanted)]
        unknown = set(joining) - await self.departments.known_users(joining)
        if unknown:
            raise Invalid(
                errors=[
                    {"pointer": f"/body/user_ids/{at}", "detail": "There is no such user."}
                    for at, user_id in enumerate(user_ids)
                    if user_id in unknown
                ]
            )
        if joining or leaving:
            await self.departments.replace_members(department_id, leaving, joining)
            self.work.record(
                "department.members_set", "department", department_id, before=before, after=wanted
            )
        return await self._view(row)

    async def _view(self, row: Department) -> DepartmentView:
        return (await self._views([row]))[0]

    async def _views(self, rows: Sequence[Department]) -> list[DepartmentView]:
        members = await self.departments.members([row.id for row in rows])
        return [
            DepartmentView(r.id, r.name, r.description, members.get(r.id, []), r.created_at)
            for r in rows
        ]


def _facts(row: Department) -> dict[str, object]:
    return {"name": row.name, "description": row.description}
