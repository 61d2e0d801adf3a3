"""HTTP for the audit trail: the tenant's, its export, and one's own part of it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.core.pagination import PageRead, Paging
from app.core.schema import Instant
from app.kernel.access import require_module, tenant_member
from app.kernel.audit.schemas import AuditFilter, AuditRead
from app.kernel.audit.service import AuditService, export
from app.kernel.work import Works, service

router = APIRouter(prefix="/api/v1", tags=["audit"])
Audit = Annotated[AuditService, service(AuditService)]
Word = Annotated[str | None, Query(max_length=100)]
Since = Annotated[Instant | None, Query(alias="from")]
Until = Annotated[Instant | None, Query(alias="to", description="Exclusive.")]


async def _wanted(
    action: Word = None,
    resource: Word = None,
    resource_id: UUID | None = None,
    actor_id: UUID | None = None,
    since: Since = None,
    until: Until = None,
) -> AuditFilter:
    return AuditFilter(action, resource, resource_id, actor_id, since, until)


Wanted = Annotated[AuditFilter, Depends(_wanted)]


@router.get("/admin/audit", dependencies=[require_module("platform", "audit:read")])
async def list_audit_entries(audit: Audit, page: Paging, wanted: Wanted) -> PageRead[AuditRead]:
    """What happened in this tenant, newest first."""
    return PageRead[AuditRead].model_validate(await audit.matching(page, wanted))


@router.get(
    "/admin/audit/export",
    dependencies=[require_module("platform", "audit:read")],
    response_class=Response,
    responses={
        200: {"description": "CSV, UTF-8.", "content": {"text/csv": {"schema": {"type": "string"}}}}
    },
)
async def export_audit_entries(works: Works, wanted: Wanted) -> StreamingResponse:
    """All matching entries as a CSV file, streamed; the export itself is audited."""
    return StreamingResponse(
        await export(works, wanted),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="audit.csv"'},
    )


@router.get("/user/audit-logs", dependencies=[tenant_member()])
async def list_own_audit_entries(
    request: Request,
    audit: Audit,
    page: Paging,
    action: Word = None,
    since: Since = None,
    until: Until = None,
) -> PageRead[AuditRead]:
    """What one did oneself, newest first."""
    wanted = AuditFilter(action=action, since=since, until=until)
    found = await audit.own(request.scope["meta"].identity, page, wanted)
    return PageRead[AuditRead].model_validate(found)
