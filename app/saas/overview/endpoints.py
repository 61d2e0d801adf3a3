"""HTTP for the platform's view over all its tenants."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.core.pagination import PageRead, Paging
from app.core.schema import Instant
from app.kernel.access import system_admin
from app.kernel.audit.schemas import AuditFilter, AuditRead
from app.kernel.work import service
from app.saas.overview.schemas import (
    Dashboard,
    ImpersonationOfTenant,
    JobHealth,
    WebhookHealth,
)
from app.saas.overview.service import OverviewService

router = APIRouter(prefix="/api/v1/admin/central", tags=["central"])
Overview = Annotated[OverviewService, service(OverviewService)]
_CONSOLE = ("tenant", "plan")
"""What the console does things to."""


@router.get("/dashboard", dependencies=[system_admin()])
async def show_dashboard(overview: Overview) -> Dashboard:
    """The whole platform in numbers: tenants, sales, health, and who needs a bigger plan."""
    return await overview.dashboard()


@router.get("/jobs", dependencies=[system_admin()])
async def show_job_health(overview: Overview) -> JobHealth:
    """Jobs of all tenants that are not done, by tenant, kind and state."""
    return await overview.jobs()


@router.get("/webhooks", dependencies=[system_admin()])
async def show_webhook_health(overview: Overview) -> WebhookHealth:
    """Webhook endpoints of all tenants that fail or were switched off for it."""
    return await overview.webhooks()


@router.get("/impersonations", dependencies=[system_admin()])
async def list_all_impersonations(
    overview: Overview, page: Paging, is_active: bool | None = None
) -> PageRead[ImpersonationOfTenant]:
    """Who of the platform worked in whose name, at every tenant, newest first."""
    found = await overview.impersonations(page, is_active)
    return PageRead[ImpersonationOfTenant].model_validate(found)


@router.get("/audit", dependencies=[system_admin()])
async def list_console_audit(
    overview: Overview,
    page: Paging,
    action: Annotated[str | None, Query(max_length=100, examples=["tenant.suspended"])] = None,
    tenant: Annotated[UUID | None, Query(description="Only what concerns this tenant.")] = None,
    actor: Annotated[UUID | None, Query(description="Only what this person did.")] = None,
    since: Annotated[Instant | None, Query(alias="from")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Exclusive.")] = None,
) -> PageRead[AuditRead]:
    """What was done at this console, newest first."""
    wanted = AuditFilter(
        action=action,
        resources=_CONSOLE,
        resource_id=tenant,
        actor_id=actor,
        since=since,
        until=until,
    )
    return PageRead[AuditRead].model_validate(await overview.audit(page, wanted))
