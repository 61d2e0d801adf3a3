"""Queries over tenants: a system table, so these take a system session."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert

from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.tenants.models import Tenant
from app.kernel.tenants.problems import HostTaken, OrganizationSlugTaken, TenantNotFound
from app.kernel.tenants.schemas import TenantFilter

_LOCK_HOSTS = "SELECT pg_advisory_xact_lock(hashtextextended('tenant-hosts', 22))"
_TAKEN = """
SELECT h FROM tenants t, unnest(t.hosts) AS h WHERE t.id <> $1 AND h = ANY ($2::text[]) LIMIT 1
"""


class TenantRepository(Repository[Tenant]):
    model = Tenant
    missing = TenantNotFound
    conflicts: ClassVar = {"tenants_slug_key": OrganizationSlugTaken}

    async def find(self, id: UUID, *, lock: bool = False) -> Tenant | None:
        """The row. Its lock lets others insert rows that refer to the tenant: with FOR UPDATE
        every insert of the tenant would wait, and two Works that insert first would deadlock.
        """
        statement = self.query().where(Tenant.id == id)
        return await self.one_or_none(
            statement.with_for_update(key_share=True) if lock else statement
        )

    async def matching(self, page: PageRequest, wanted: TenantFilter) -> Page[Tenant]:
        statement = self.query()
        if wanted.status is not None:
            statement = statement.where(Tenant.status == wanted.status)
        if wanted.subscription_status is not None:
            statement = statement.where(Tenant.subscription_status == wanted.subscription_status)
        if wanted.plan is not None:
            statement = statement.where(Tenant.plan_code == wanted.plan)
        if wanted.query is not None:
            statement = statement.where(
                or_(
                    Tenant.name.icontains(wanted.query, autoescape=True),
                    Tenant.slug.icontains(wanted.query, autoescape=True),
                )
            )
        return await self.page(statement, page)

    async def platform_id(self) -> UUID | None:
        """The super-admin tenant; the oldest, should there be several."""
        return await self.session.scalar(
            select(Tenant.id).where(Tenant.is_super_admin).order_by(Tenant.id).limit(1)
        )

    async def claim_hosts(self, tenant_id: UUID, hosts: Collection[str]) -> None:
        """Make sure that these hosts lead to no other tenant. Raises HostTaken.

        Who claims hosts waits for whoever claimed before: no two see the same one free.
        """
        driver = await self.raw()
        await driver.execute(_LOCK_HOSTS)
        taken = await driver.fetchval(_TAKEN, tenant_id, list(hosts))
        if taken is not None:
            raise HostTaken(host=taken)

    async def forget(self, tenant_id: UUID) -> None:
        """Delete the row; all of its tenant's rows cascade, which may take minutes."""
        driver = await self.raw()
        await driver.execute("SET LOCAL statement_timeout = '10min'")
        # Rows of one tenant refer to each other: what goes first is found missing only at the end.
        await driver.execute("SET CONSTRAINTS ALL DEFERRED")
        await driver.execute("DELETE FROM tenants WHERE id = $1", tenant_id)

    async def upsert(self, slug: str, fields: Mapping[str, object]) -> None:
        """One statement, so that two scripts starting together make one tenant."""
        values = {"id": new_id(), "slug": slug, "name": slug} | dict(fields)
        await self.session.execute(
            insert(Tenant)
            .values(values)
            .on_conflict_do_update(index_elements=[Tenant.slug], set_={"slug": slug} | dict(fields))
        )
