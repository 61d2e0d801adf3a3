"""The desk of the platform: see its tenants, put them on a plan, suspend and reactivate them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from app.core.pagination import Page, PageRequest
from app.kernel.tenants.models import Tenant
from app.kernel.tenants.problems import TenantNotFound
from app.kernel.tenants.schemas import TenantFilter
from app.kernel.tenants.service import TenantRegister
from app.kernel.work import UnitOfWork, Work, platform_work
from app.saas.central.problems import PlatformNotSuspendable
from app.saas.plans.service import PlanService


class CentralService:
    """Each change is one transaction: the tenant's row, its audit line in that tenant's own trail,
    and the doorbell after the commit. The platform's trail gets the same line with the request.
    """

    def __init__(self, work: Work) -> None:
        self.work = work

    async def listed(self, page: PageRequest, wanted: TenantFilter) -> Page[Tenant]:
        async with self._about(self.work.tenant.id) as work:
            return await TenantRegister(work).matching(page, wanted)

    async def get(self, tenant_id: UUID) -> Tenant:
        """Raises TenantNotFound."""
        async with self._about(tenant_id) as work:
            return await TenantRegister(work).get(tenant_id)

    async def apply_plan(self, tenant_id: UUID, code: str) -> Tenant:
        """Give the tenant the plan's modules and limits, in place of what it had.

        What is above a new limit stays, and nothing more is let in. Raises TenantNotFound,
        PlanNotFound, PlanNotOffered.
        """
        async with self._about(tenant_id) as work:
            register = TenantRegister(work)
            tenant = await register.get(tenant_id, lock=True)
            plan = await PlanService(work).assignable(code)
            after = {"plan_code": plan.code, "modules": plan.modules, "limits": plan.limits}
            before = await PlanService(work).put_on(tenant, plan)
            self._tell(work, "tenant.plan_applied", tenant, before=before, after=after)
        return tenant

    async def suspend(self, tenant_id: UUID, reason: str) -> Tenant:
        """Refuse every request of the tenant from now on. Raises TenantNotFound,
        PlatformNotSuspendable.
        """
        async with self._about(tenant_id) as work:
            register = TenantRegister(work)
            tenant = await register.get(tenant_id, lock=True)
            if tenant.is_super_admin:
                raise PlatformNotSuspendable()
            if await register.change(tenant, status="suspended"):
                self._tell(work, "tenant.suspended", tenant, reason=reason)
        return tenant

    async def reactivate(self, tenant_id: UUID) -> Tenant:
        """Let a suspended tenant work again. Raises TenantNotFound."""
        async with self._about(tenant_id) as work:
            register = TenantRegister(work)
            tenant = await register.get(tenant_id, lock=True)
            if await register.change(tenant, status="active"):
                self._tell(work, "tenant.reactivated", tenant)
        return tenant

    @asynccontextmanager
    async def _about(self, tenant_id: UUID) -> AsyncIterator[UnitOfWork]:
        runtime = self.work.runtime
        tenant = await runtime.tenants.find("id", str(tenant_id))
        if tenant is None:
            raise TenantNotFound()
        async with platform_work(runtime, tenant, self.work.actor) as work:
            yield work

    def _tell(self, work: UnitOfWork, action: str, tenant: Tenant, **facts: object) -> None:
        work.record(action, "tenant", tenant.id, **facts)
        if tenant.id != self.work.tenant.id:
            self.work.record(action, "tenant", tenant.id, **facts)
