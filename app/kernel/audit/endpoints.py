"""HTTP for the audit trail."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from app.core.pagination import PageRead, Paging
from app.kernel.access import require_module
from app.kernel.audit.schemas import AuditFilter, AuditRead
from app.kernel.audit.service import AuditService
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/admin/audit", tags=["audit"])
Audit = Annotated[AuditService, service(AuditService)]
Word = Annotated[str | None, Query(max_length=100)]


@router.get("", dependencies=[require_module("platform", "audit:read")])
async def list_audit_entries(
    audit: Audit,
    page: Paging,
    action: Word = None,
    resource: Word = None,
    resource_id: UUID | None = None,
    actor_id: UUID | None = None,
    since: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="Exclusive.")] = None,
) -> PageRead[AuditRead]:
    """What happened in this tenant, newest first."""
    wanted = AuditFilter(action, resource, resource_id, actor_id, since, until)
    return PageRead[AuditRead].model_validate(await audit.matching(page, wanted))
