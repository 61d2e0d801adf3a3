"""HTTP for the central console: the tenants of the platform."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import system_admin
from app.kernel.tenants.models import Tenant
from app.kernel.tenants.problems import TenantNotFound
from app.kernel.tenants.schemas import TenantFilter
from app.kernel.work import service
from app.saas.central.problems import PlatformNotSuspendable
from app.saas.central.schemas import (
    PlanApply,
    Status,
    SubscriptionStatus,
    TenantRead,
    TenantSuspend,
)
from app.saas.central.service import CentralService
from app.saas.plans.problems import PlanNotFound, PlanNotOffered

router = APIRouter(prefix="/api/v1/admin/central/tenants", tags=["central"])
Central = Annotated[CentralService, service(CentralService)]


@router.get("", dependencies=[system_admin()])
async def list_tenants(
    central: Central,
    page: Paging,
    status: Status | None = None,
    subscription_status: SubscriptionStatus | None = None,
    plan: Annotated[str | None, Query(max_length=40, description="Code of a plan.")] = None,
    query: Annotated[
        str | None, Query(min_length=1, max_length=80, description="Part of name or slug.")
    ] = None,
) -> PageRead[TenantRead]:
    """The platform's tenants, newest first."""
    wanted = TenantFilter(status, subscription_status, plan, query)
    return PageRead[TenantRead].model_validate(await central.listed(page, wanted))


@router.get(
    "/{tenant_id}",
    response_model=TenantRead,
    dependencies=[system_admin()],
    responses=problems(TenantNotFound),
)
async def get_tenant(tenant_id: UUID, central: Central) -> Tenant:
    """One tenant."""
    return await central.get(tenant_id)


@router.post(
    "/{tenant_id}/plan",
    response_model=TenantRead,
    dependencies=[system_admin()],
    responses=problems(TenantNotFound, PlanNotFound, PlanNotOffered),
)
async def apply_plan(tenant_id: UUID, body: PlanApply, central: Central) -> Tenant:
    """Put a tenant on a plan: its modules and limits become the plan's, everywhere at once."""
    return await central.apply_plan(tenant_id, body.plan_code)


@router.post(
    "/{tenant_id}/suspend",
    response_model=TenantRead,
    dependencies=[system_admin()],
    responses=problems(TenantNotFound, PlatformNotSuspendable),
)
async def suspend_tenant(tenant_id: UUID, body: TenantSuspend, central: Central) -> Tenant:
    """Suspend a tenant: its members and its storefront are refused until it is reactivated."""
    return await central.suspend(tenant_id, body.reason)


@router.post(
    "/{tenant_id}/reactivate",
    response_model=TenantRead,
    dependencies=[system_admin()],
    responses=problems(TenantNotFound),
)
async def reactivate_tenant(tenant_id: UUID, central: Central) -> Tenant:
    """Let a suspended tenant work again."""
    return await central.reactivate(tenant_id)
