"""HTTP for the central console: the tenants of the platform."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import system_admin
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.limits import LimitReached
from app.kernel.tenants.models import Tenant
from app.kernel.tenants.problems import HostTaken, OrganizationSlugTaken, TenantNotFound
from app.kernel.tenants.schemas import TenantFilter
from app.kernel.work import service
from app.saas.central.problems import (
    DeletionNotConfirmed,
    PlatformNotSuspendable,
    TenantNotDeletable,
    TenantStillCharged,
)
from app.saas.central.schemas import (
    FirstAccessTest,
    PlanApply,
    Status,
    SubscriptionStatus,
    TenantCreate,
    TenantRead,
    TenantSuspend,
    TenantUpdate,
)
from app.saas.central.service import CentralService
from app.saas.plans.problems import PlanNotFound, PlanNotOffered

router = APIRouter(
    prefix="/api/v1/admin/central/tenants", tags=["central"], route_class=ReplayableRoute
)
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


@router.post(
    "",
    status_code=201,
    response_model=TenantRead,
    dependencies=[system_admin(), Idempotent],
    responses=problems(
        OrganizationSlugTaken, HostTaken, PlanNotFound, PlanNotOffered, LimitReached
    ),
)
async def create_tenant(body: TenantCreate, central: Central) -> Tenant:
    """Make a tenant with its owner, on a plan."""
    return await central.create(body)


@router.get(
    "/{tenant_id}",
    response_model=TenantRead,
    dependencies=[system_admin()],
    responses=problems(TenantNotFound),
)
async def get_tenant(tenant_id: UUID, central: Central) -> Tenant:
    """One tenant."""
    return await central.get(tenant_id)


@router.patch(
    "/{tenant_id}",
    response_model=TenantRead,
    dependencies=[system_admin()],
    responses=problems(TenantNotFound, HostTaken),
)
async def update_tenant(tenant_id: UUID, body: TenantUpdate, central: Central) -> Tenant:
    """Change a tenant: name, hosts, region, and what it has beside its plan."""
    return await central.update(tenant_id, body)


@router.delete(
    "/{tenant_id}",
    status_code=204,
    dependencies=[system_admin()],
    responses=problems(
        TenantNotFound, TenantNotDeletable, TenantStillCharged, DeletionNotConfirmed
    ),
)
async def delete_tenant(
    tenant_id: UUID,
    central: Central,
    confirm: Annotated[str, Query(max_length=63, description="The tenant's slug, typed again.")],
) -> None:
    """Delete a suspended tenant with everything it has: there is no way back."""
    await central.delete(tenant_id, confirm)


@router.put(
    "/{tenant_id}/first-access-test",
    response_model=TenantRead,
    dependencies=[system_admin()],
    responses=problems(TenantNotFound),
)
async def test_first_access(tenant_id: UUID, body: FirstAccessTest, central: Central) -> Tenant:
    """Show the tenant's members the first steps as on their first day, or stop."""
    return await central.test_first_access(tenant_id, is_on=body.is_on)


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
