"""Queries over tenants: a system table, so these take a system session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert

from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.tenants.models import Tenant
from app.kernel.tenants.problems import OrganizationSlugTaken, TenantNotFound
from app.kernel.tenants.schemas import TenantFilter


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

    async def upsert(self, slug: str, fields: Mapping[str, object]) -> None:
        """One statement, so that two scripts starting together make one tenant."""
        values = {"id": new_id(), "slug": slug, "name": slug} | dict(fields)
        await self.session.execute(
            insert(Tenant)
            .values(values)
            .on_conflict_do_update(index_elements=[Tenant.slug], set_={"slug": slug} | dict(fields))
        )
