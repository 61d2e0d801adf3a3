"""The desk of the platform: its tenants made, changed, put on a plan, suspended, deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.problems import Invalid
from app.kernel.files.service import FileService
from app.kernel.tenancy import TOPIC, TenantContext
from app.kernel.tenants.models import Tenant
from app.kernel.tenants.problems import TenantNotFound
from app.kernel.tenants.schemas import TenantFilter
from app.kernel.tenants.service import TenantRegister
from app.kernel.users.service import UserService
from app.kernel.work import (
    Actor,
    Runtime,
    UnitOfWork,
    Work,
    bind_to_tenant,
    platform_work,
    unit_of_work,
)
from app.saas.billing.service import is_charged
from app.saas.central.problems import (
    DeletionNotConfirmed,
    PlatformNotSuspendable,
    TenantNotDeletable,
    TenantStillCharged,
)
from app.saas.central.schemas import TenantCreate, TenantUpdate
from app.saas.plans.service import PlanService

ERASE_LEFT_FILES = "saas.central.erase_left_files"
_KEYS_PER_JOB = 500


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

    async def create(self, body: TenantCreate) -> Tenant:
        """A tenant and its owner, in one transaction: never one without the other.

        Raises OrganizationSlugTaken, HostTaken, PlanNotFound, PlanNotOffered, LimitReached.
        """
        runtime = self.work.runtime
        hashed = await runtime.passwords.hash(body.owner.password)
        fields = body.model_dump(exclude={"owner"})
        _ensure_own(body.hosts, runtime.settings.base_domain)
        async with platform_work(runtime, _unborn(body), platform_actor(self.work)) as work:
            plan = await PlanService(work).assignable(body.plan_code)
            tenant = Tenant(id=work.tenant.id, modules=plan.modules, limits=plan.limits, **fields)
            tenant = await TenantRegister(work).add(tenant)
            await work.session.refresh(tenant)
            # ``ensure_room`` asks the Work's tenant, which is only now known in full.
            work.tenant = replace(work.tenant, limits=tenant.effective_limits)
            await bind_to_tenant(work)
            await UserService(work).admit(
                email=body.owner.email, name=body.owner.name, role="owner", hashed=hashed
            )
            after = fields | {"owner": body.owner.email}
            self._tell(work, "tenant.created", tenant, after=after)
            work.ring(TOPIC)
        return tenant

    async def update(self, tenant_id: UUID, body: TenantUpdate) -> Tenant:
        """Change what is sent, in every process at once. Raises TenantNotFound, HostTaken."""
        wanted = {k: v for k in body.model_fields_set if (v := getattr(body, k)) is not None}
        _ensure_own(wanted.get("hosts", ()), self.work.runtime.settings.base_domain)
        return await self._change(tenant_id, "tenant.updated", wanted)

    async def test_first_access(self, tenant_id: UUID, *, is_on: bool) -> Tenant:
        """Show its members the first steps as on their first day. Raises TenantNotFound."""
        action = "tenant.first_access_test_set"
        return await self._change(tenant_id, action, {"first_access_test": is_on})

    async def _change(self, tenant_id: UUID, action: str, wanted: dict[str, Any]) -> Tenant:
        async with self._about(tenant_id) as work:
            register = TenantRegister(work)
            tenant = await register.get(tenant_id, lock=True)
            before = await register.change(tenant, **wanted)
            if before:
                after = {name: wanted[name] for name in before}
                self._tell(work, action, tenant, before=before, after=after)
        return tenant

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

    async def delete(self, tenant_id: UUID, confirm: str) -> None:
        """Forget a suspended tenant with everything it has: no way back. Its trail goes with it,
        the console's keeps that it was. The bytes of its files are removed by jobs.

        Raises TenantNotFound, TenantNotDeletable, TenantStillCharged, DeletionNotConfirmed.
        """
        runtime = self.work.runtime
        gone = await tenant_of(runtime, tenant_id)
        async with unit_of_work(runtime, gone, platform_actor(self.work)) as work:
            keys = await FileService(work).every_key()
        async with platform_work(runtime, self.work.tenant, self.work.actor) as work:
            register = TenantRegister(work)
            tenant = await register.get(tenant_id, lock=True)
            if tenant.is_super_admin or tenant.status != "suspended":
                raise TenantNotDeletable()
            if await is_charged(work, tenant.id):
                raise TenantStillCharged()
            if confirm != tenant.slug:
                raise DeletionNotConfirmed()
            await register.forget(tenant)
            facts = {"slug": tenant.slug, "name": tenant.name, "files": len(keys)}
            work.record("tenant.deleted", "tenant", tenant.id, before=facts)
            for at in range(0, len(keys), _KEYS_PER_JOB):
                work.enqueue(ERASE_LEFT_FILES, {"keys": keys[at : at + _KEYS_PER_JOB]})

    @asynccontextmanager
    async def _about(self, tenant_id: UUID) -> AsyncIterator[UnitOfWork]:
        runtime = self.work.runtime
        tenant = await tenant_of(runtime, tenant_id)
        async with platform_work(runtime, tenant, platform_actor(self.work)) as work:
            yield work

    def _tell(self, work: UnitOfWork, action: str, tenant: Tenant, **facts: object) -> None:
        work.record(action, "tenant", tenant.id, **facts)
        if tenant.id != self.work.tenant.id:
            self.work.record(action, "tenant", tenant.id, slug=tenant.slug, **facts)


async def tenant_of(runtime: Runtime, tenant_id: UUID) -> TenantContext:
    """The tenant that the console is asked about. Raises TenantNotFound."""
    tenant = await runtime.tenants.find("id", str(tenant_id))
    if tenant is None:
        raise TenantNotFound()
    return tenant


def platform_actor(work: UnitOfWork) -> Actor:
    """Who acts at the console, as the trail of the tenant it concerns tells them apart from its
    own people."""
    return replace(work.actor, kind="platform")


def _ensure_own(hosts: Iterable[str], domain: str) -> None:
    """Addresses below our own domain are slugs: as a host they would never be asked for."""
    for at, host in enumerate(hosts):
        if domain and (host == domain or host.endswith(f".{domain}")):
            detail = f"below {domain} a tenant is reached by its slug: leave this host out"
            raise Invalid(errors=[{"pointer": f"/body/hosts/{at}", "detail": detail}])


def _unborn(body: TenantCreate) -> TenantContext:
    return TenantContext(
        id=new_id(),
        slug=body.slug,
        name=body.name,
        status="active",
        subscription_status=body.subscription_status,
        modules=frozenset(),
        limits={},
        timezone=body.timezone,
        currency=body.currency,
        locale=body.locale,
    )
