"""HTTP for departments."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.departments.problems import DepartmentNameTaken, DepartmentNotFound
from app.kernel.departments.schemas import (
    DepartmentCreate,
    DepartmentMembers,
    DepartmentRead,
    DepartmentUpdate,
)
from app.kernel.departments.service import DepartmentService, DepartmentView
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.work import service

router = APIRouter(
    prefix="/api/v1/admin/departments", tags=["departments"], route_class=ReplayableRoute
)
Departments = Annotated[DepartmentService, service(DepartmentService)]
_READ = require_module("platform", "departments:read")
_WRITE = require_module("platform", "departments:write")


@router.get("", dependencies=[_READ])
async def list_departments(departments: Departments, page: Paging) -> PageRead[DepartmentRead]:
    """Departments with their members, newest first."""
    return PageRead[DepartmentRead].model_validate(await departments.listed(page))


@router.post(
    "",
    status_code=201,
    response_model=DepartmentRead,
    dependencies=[_WRITE, Idempotent],
    responses=problems(DepartmentNameTaken),
)
async def create_department(body: DepartmentCreate, departments: Departments) -> DepartmentView:
    """Add a department."""
    return await departments.create(body)


@router.get(
    "/{department_id}",
    response_model=DepartmentRead,
    dependencies=[_READ],
    responses=problems(DepartmentNotFound),
)
async def get_department(department_id: UUID, departments: Departments) -> DepartmentView:
    """One department."""
    return await departments.get(department_id)


@router.patch(
    "/{department_id}",
    response_model=DepartmentRead,
    dependencies=[_WRITE],
    responses=problems(DepartmentNotFound, DepartmentNameTaken),
)
async def update_department(
    department_id: UUID, body: DepartmentUpdate, departments: Departments
) -> DepartmentView:
    """Rename or describe a department; fields left out stay as they are."""
    return await departments.update(department_id, body)


@router.delete(
    "/{department_id}",
    status_code=204,
    dependencies=[_WRITE],
    responses=problems(DepartmentNotFound),
)
async def delete_department(department_id: UUID, departments: Departments) -> None:
    """Remove a department; its people stay."""
    await departments.delete(department_id)


@router.put(
    "/{department_id}/members",
    response_model=DepartmentRead,
    dependencies=[_WRITE],
    responses=problems(DepartmentNotFound),
)
async def set_department_members(
    department_id: UUID, body: DepartmentMembers, departments: Departments
) -> DepartmentView:
    """Make these users, and nobody else, the department's members."""
    return await departments.set_members(department_id, body.user_ids)
