"""Creating and changing tenants, for scripts and the central console: no Work is in scope."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypedDict, Unpack
from uuid import UUID

from app.core.pagination import Page, PageRequest
from app.kernel import identity as identities
from app.kernel.tenancy import TOPIC, TenantContext, UnknownTenant
from app.kernel.tenants.models import Tenant
from app.kernel.tenants.repository import TenantRepository
from app.kernel.tenants.schemas import TenantFilter
from app.kernel.work import Runtime, UnitOfWork, system_work


class TenantFields(TypedDict, total=False):
    """What may be said of a tenant; whatever is left out keeps its value or its default."""

    name: str
    status: Literal["active", "suspended"]
    subscription_status: Literal["trialing", "active", "past_due", "canceled", "unpaid"]
    modules: list[str]
    limits: dict[str, int]
    hosts: list[str]
    timezone: str
    currency: str
    locale: str
    is_super_admin: bool
    plan_code: str | None
    trial_ends_at: datetime | None
    onboarding: dict[str, Any]
    onboarding_completed_at: datetime | None
    module_overrides: dict[str, bool]
    limit_overrides: dict[str, int | None]
    first_access_test: bool


class TenantService:
    """Use cases of the platform itself; takes the Runtime because no tenant is in scope."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def platform_id(self) -> UUID | None:
        """The tenant that runs the platform; None while there is none."""
        async with system_work(self.runtime) as session:
            return await TenantRepository(session).platform_id()

    async def ensure(self, slug: str, **fields: Unpack[TenantFields]) -> TenantContext:
        """Create the tenant or change the given fields; every process forgets the old values."""
        async with system_work(self.runtime) as session:
            await TenantRepository(session).upsert(slug, fields)
        found = await self.runtime.tenants.fresh("slug", slug)
        if found is None:
            raise UnknownTenant()
        await self.runtime.bus.ring(TOPIC, str(found.id))
        return found


async def ensure_tenant(
    runtime: Runtime, slug: str, **fields: Unpack[TenantFields]
) -> TenantContext:
    """``TenantService.ensure`` as a plain function, for scripts."""
    return await TenantService(runtime).ensure(slug, **fields)


class TenantRegister:
    """Tenants as rows, for the central console; takes a ``platform_work``."""

    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.tenants = TenantRepository(work.session)

    async def get(self, tenant_id: UUID, *, lock: bool = False) -> Tenant:
        """One tenant of any state. Raises TenantNotFound."""
        return await self.tenants.get(tenant_id, lock=lock)

    async def add(self, tenant: Tenant) -> Tenant:
        """Raises OrganizationSlugTaken, HostTaken."""
        if tenant.hosts:
            await self.tenants.claim_hosts(tenant.id, tenant.hosts)
        return await self.tenants.add(tenant)

    async def matching(self, page: PageRequest, wanted: TenantFilter) -> Page[Tenant]:
        return await self.tenants.matching(page, wanted)

    async def forget(self, tenant: Tenant) -> None:
        """Delete a locked tenant and every row that it owns; every process looks again."""
        await self.tenants.forget(tenant.id)
        self.work.ring(TOPIC, str(tenant.id))
        self.work.ring(identities.TOPIC, str(tenant.id))

    async def change(self, tenant: Tenant, **fields: Unpack[TenantFields]) -> dict[str, object]:
        """Set these fields of a locked tenant and make every process look again.

        Answers the values before of those that changed; none: nothing was written.
        Raises HostTaken.
        """
        before = {k: old for k, v in fields.items() if (old := getattr(tenant, k)) != v}
        if "hosts" in before:
            await self.tenants.claim_hosts(tenant.id, fields["hosts"])
        for name in before:
            setattr(tenant, name, fields[name])  # type: ignore[literal-required]
        if before:
            await self.tenants.flush()
            self.work.ring(TOPIC, str(tenant.id))
        return before
