"""Queries over tenants: a system table, so these take a system session."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.dialects.postgresql import insert

from app.core.ids import new_id
from app.core.repository import Repository
from app.kernel.tenants.models import Tenant


class TenantRepository(Repository[Tenant]):
    model = Tenant

    async def upsert(self, slug: str, fields: Mapping[str, object]) -> None:
        """One statement, so that two scripts starting together make one tenant."""
        values = {"id": new_id(), "slug": slug, "name": slug} | dict(fields)
        await self.session.execute(
            insert(Tenant)
            .values(values)
            .on_conflict_do_update(index_elements=[Tenant.slug], set_={"slug": slug} | dict(fields))
        )
