"""Queries over stores and over what their pre-order slots hold."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, func, select

from app.commerce.stores.models import PreorderSlot, Store
from app.commerce.stores.problems import StoreInUse, StoreNotFound, StoreSlugTaken
from app.commerce.stores.rules import Channel, SlotUse
from app.core.database import raw
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository

# One guarded statement: a slot's row is the lock, and whoever finds it full changes nothing. The
# limits are the store's of this very moment, not those of the page the customer saw.
_TAKE = """
INSERT INTO preorder_slots AS s (id, store_id, starts_at, delivery, pickup)
VALUES ($1, $2, $3, $4::bigint, 1 - $4::bigint)
ON CONFLICT (tenant_id, store_id, starts_at) DO UPDATE
SET delivery = s.delivery + $4::bigint, pickup = s.pickup + 1 - $4::bigint
WHERE (SELECT coalesce(s.delivery + s.pickup < t.preorder_capacity, true)
    AND coalesce($4::bigint = 0 OR s.delivery < t.preorder_delivery_capacity, true)
    AND coalesce($4::bigint = 1 OR s.pickup < t.preorder_pickup_capacity, true)
  FROM stores t WHERE t.id = s.store_id)
RETURNING s.id
"""
_CLAIM = "INSERT INTO slot_claims (id, slot_id, order_id, channel) VALUES ($2, $1, $2, $3)"
_GIVE_BACK = """
WITH gone AS (DELETE FROM slot_claims WHERE order_id = $1 RETURNING slot_id, channel)
UPDATE preorder_slots s SET delivery = s.delivery - (g.channel = 'delivery')::int,
  pickup = s.pickup - (g.channel = 'pickup')::int
FROM gone g WHERE s.id = g.slot_id
"""


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

    async def slot_use(
        self, store_ids: Iterable[UUID], since: datetime
    ) -> dict[UUID, dict[datetime, SlotUse]]:
        """What the slots from ``since`` on hold, by store and start."""
        rows = await self.session.execute(
            select(
                PreorderSlot.store_id,
                PreorderSlot.starts_at,
                PreorderSlot.delivery,
                PreorderSlot.pickup,
            ).where(PreorderSlot.store_id.in_(list(store_ids)), PreorderSlot.starts_at >= since)
        )
        found: dict[UUID, dict[datetime, SlotUse]] = {}
        for store_id, starts_at, delivery, pickup in rows:
            found.setdefault(store_id, {})[starts_at] = SlotUse(delivery, pickup)
        return found

    async def take_slot(self, store_id: UUID, start: datetime, channel: Channel) -> UUID | None:
        """Count one more order in a slot; None, and nothing changed, when it is full."""
        is_delivery = int(channel is Channel.DELIVERY)
        driver = await raw(self.session)
        found: UUID | None = await driver.fetchval(_TAKE, new_id(), store_id, start, is_delivery)
        return found

    async def claim_slot(self, slot_id: UUID, order_id: UUID, channel: Channel) -> None:
        """Note whose place in the slot it is."""
        await (await raw(self.session)).execute(_CLAIM, slot_id, order_id, channel.value)

    async def give_back_slot(self, order_id: UUID) -> None:
        """Free the order's place; of an order without one, or given back already, nothing."""
        await (await raw(self.session)).execute(_GIVE_BACK, order_id)
