"""HTTP for a tenant that wants to know who of the platform works in its members' names."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.impersonations.problems import ImpersonationNotFound
from app.kernel.impersonations.schemas import ImpersonationRead
from app.kernel.impersonations.service import ImpersonationService
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/admin/impersonations", tags=["users"])
Impersonations = Annotated[ImpersonationService, service(ImpersonationService)]


@router.get("", dependencies=[require_module("platform", "users:read")])
async def list_impersonations(
    impersonations: Impersonations, page: Paging, is_active: bool | None = None
) -> PageRead[ImpersonationRead]:
    """Who of the platform worked in whose name and why, newest first."""
    found = await impersonations.recent(page, is_active)
    return PageRead[ImpersonationRead].model_validate(found)


@router.delete(
    "/{impersonation_id}",
    status_code=204,
    dependencies=[require_module("platform", "users:write")],
    responses=problems(ImpersonationNotFound),
)
async def end_impersonation(impersonation_id: UUID, impersonations: Impersonations) -> None:
    """End it now: its token is refused everywhere within a second."""
    await impersonations.end(impersonation_id, "tenant")
