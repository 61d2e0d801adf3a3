"""HTTP for helping a tenant: work in a member's name, set up its messaging, see its use."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request

from app.core.problems import problems
from app.kernel.access import system_admin
from app.kernel.connections.problems import ConnectionNotFound, TooManyConnections
from app.kernel.connections.schemas import ConnectionPut, IntegrationRead
from app.kernel.impersonations.problems import ImpersonationNotFound, UserInactive
from app.kernel.jobs.problems import JobNotFound, JobNotHeld
from app.kernel.jobs.schemas import LARGEST, JobList, JobState
from app.kernel.tenants.problems import TenantNotFound
from app.kernel.usage.schemas import UsageRead
from app.kernel.users.problems import UserNotFound
from app.kernel.work import service
from app.saas.support.problems import PlatformNotImpersonable, TenantNotActive
from app.saas.support.schemas import ImpersonationStart, ImpersonationStarted
from app.saas.support.service import Channel, SupportService

router = APIRouter(prefix="/api/v1/admin/central/tenants/{tenant_id}", tags=["central"])
Support = Annotated[SupportService, service(SupportService)]


@router.post(
    "/impersonations",
    status_code=201,
    dependencies=[system_admin()],
    responses=problems(
        TenantNotFound, UserNotFound, UserInactive, PlatformNotImpersonable, TenantNotActive
    ),
)
async def start_impersonation(
    request: Request, tenant_id: UUID, body: ImpersonationStart, support: Support
) -> ImpersonationStarted:
    """Work in a member's name for up to 30 minutes; the tenant sees who, why, and every action.

    What hands out access (users, groups, API keys) and what is the member's own (password, second
    factor, profile) stays closed. It ends with the session it was begun from, at the latest.
    """
    started = await support.impersonate(request.scope["meta"].identity, tenant_id, body)
    return ImpersonationStarted.model_validate(started)


@router.delete(
    "/impersonations/{impersonation_id}",
    status_code=204,
    dependencies=[system_admin()],
    responses=problems(TenantNotFound, ImpersonationNotFound),
)
async def stop_impersonation(tenant_id: UUID, impersonation_id: UUID, support: Support) -> None:
    """End it now, whoever began it: its token is refused everywhere within a second."""
    await support.end_impersonation(tenant_id, impersonation_id)


@router.get("/jobs", dependencies=[system_admin()], responses=problems(TenantNotFound))
async def list_jobs_of_tenant(
    tenant_id: UUID,
    support: Support,
    state: JobState | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
) -> JobList:
    """A tenant's jobs that wait, run or are held, newest first."""
    return JobList.model_validate(await support.jobs(tenant_id, state, cursor, limit))


@router.post(
    "/jobs/{job_id}/retry",
    status_code=204,
    dependencies=[system_admin()],
    responses=problems(TenantNotFound, JobNotFound, JobNotHeld),
)
async def retry_job_of_tenant(
    tenant_id: UUID, job_id: Annotated[int, Path(ge=1, le=LARGEST)], support: Support
) -> None:
    """Put a tenant's held job back in line; its earlier tries are forgotten."""
    await support.retry_job(tenant_id, job_id)


@router.get("/messaging", dependencies=[system_admin()], responses=problems(TenantNotFound))
async def list_messaging(tenant_id: UUID, support: Support) -> list[IntegrationRead]:
    """A tenant's accounts at WhatsApp and Telegram; never a secret."""
    return await support.messaging(tenant_id)


@router.put(
    "/messaging/{channel}",
    dependencies=[system_admin()],
    responses=problems(TenantNotFound, TooManyConnections),
)
async def put_messaging(
    tenant_id: UUID, channel: Channel, body: ConnectionPut, support: Support
) -> IntegrationRead:
    """Set up a tenant's account at a messaging vendor; the secret is write-only."""
    return await support.put_messaging(tenant_id, channel, body)


@router.delete(
    "/messaging/{channel}",
    status_code=204,
    dependencies=[system_admin()],
    responses=problems(TenantNotFound, ConnectionNotFound),
)
async def drop_messaging(tenant_id: UUID, channel: Channel, support: Support) -> None:
    """Forget a tenant's account at a messaging vendor, and its secret."""
    await support.drop_messaging(tenant_id, channel)


@router.get("/usage", dependencies=[system_admin()], responses=problems(TenantNotFound))
async def show_usage_of_tenant(tenant_id: UUID, support: Support) -> UsageRead:
    """A tenant's plan, its limits, and what is used of each."""
    return await support.usage(tenant_id)
