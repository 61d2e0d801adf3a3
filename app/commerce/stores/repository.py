"""Queries over stores."""

from __future__ import annotations

from sqlalchemy import Select, func, select

from app.commerce.stores.models import Store
from app.commerce.stores.problems import StoreInUse, StoreNotFound, StoreSlugTaken
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository


class StoreRepository(Repository[Store]):
    model = Store
    missing = StoreNotFound
    conflicts = {  # noqa: RUF012 - declared as ClassVar in the base
        "stores_tenant_id_slug_key": StoreSlugTaken,
        "orders_tenant_id_store_id_fkey": StoreInUse,
    }

    async def add(self, row: Store) -> Store:
        await super().add(row)
        await self.session.refresh(row)  # what Postgres filled in is shown at once
        return row

    async def recent(self, request: PageRequest, *, is_active: bool | None) -> Page[Store]:
        statement: Select[Store] = self.query()
        if is_active is not None:
            statement = statement.where(Store.is_active.is_(is_active))
        return await self.page(statement, request)

    async def active_by_slug(self, slug: str) -> Store:
        """The store the public means. Raises StoreNotFound, also when it is switched off."""
        store = await self.one_or_none(
            self.query().where(Store.slug == slug, Store.is_active.is_(True))
        )
        if store is None:
            raise StoreNotFound()
        return store

    async def lock_count(self) -> None:
        """Let nobody else of this tenant add or re-activate a store until the commit."""
        key = func.concat("stores:", func.app_tenant_id())
        await self.session.execute(
            select(func.pg_advisory_xact_lock(func.hashtextextended(key, 21)))
        )

    async def count_active(self) -> int:
        statement = select(func.count()).select_from(Store).where(Store.is_active.is_(True))
        return (await self.session.execute(statement)).scalar_one()

    async def slugs_like(self, slug: str) -> frozenset[str]:
        """``slug`` and its numbered variants that are taken."""
        found = await self.session.execute(
            select(Store.slug).where((Store.slug == slug) | Store.slug.startswith(f"{slug}-"))
        )
        return frozenset(found.scalars())
