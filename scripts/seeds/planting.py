"""Writes blueprints into the database; what is there already is left exactly as it is.

Parts of a thing (a product's variants, a store's shipping rules) are written with it and never
again: a merchant's own changes and deletions stand, however often this runs.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeVar
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.commerce.catalog.models import (
    Category,
    Modifier,
    ModifierGroup,
    Product,
    ProductModifierGroup,
    Variant,
)
from app.commerce.imports.rules import slug_of
from app.commerce.inventory.models import StockLevel, StockMovement
from app.commerce.promotions.models import Promotion
from app.commerce.shipping.models import ShippingRule
from app.commerce.stores.models import Store
from app.core.database import begun
from app.core.ids import new_id
from app.core.model import Model
from app.kernel.audit.models import AuditEntry
from app.kernel.connections.models import Connection
from app.kernel.connections.schemas import ConnectionPut
from app.kernel.connections.service import ConnectionService
from app.kernel.tenancy import TenantContext
from app.kernel.tenants.service import ensure_tenant
from app.kernel.users.models import User
from app.kernel.work import Actor, Runtime, UnitOfWork, unit_of_work
from scripts.seeds.blueprint import Blueprint, Item, Offer, Shop

ACTOR = Actor("system", "seed")
_SELL = """
UPDATE plans SET stripe_price_ids = ARRAY['price_largo_' || code]
WHERE stripe_price_ids = '{}' AND code IN ('starter', 'pro', 'team', 'enterprise') RETURNING id
"""
STAMP = "seed.planted"
M = TypeVar("M", bound=Model)

_ADD_AREAS = """
INSERT INTO postal_areas (id, prefix, latitude, longitude, city, state)
SELECT i.id, i.prefix, i.latitude, i.longitude, 'São Paulo', 'SP'
FROM json_to_recordset($1::text::json)
  AS i(id uuid, prefix text, latitude float8, longitude float8)
ON CONFLICT (prefix) DO NOTHING RETURNING prefix
"""


class Planter:
    """Plants one blueprint in its tenant's Work and counts what was new."""

    def __init__(self, work: UnitOfWork, password_hash: str) -> None:
        self._work = work
        self._session: AsyncSession = work.session
        self._hash = password_hash
        self.added: Counter[str] = Counter()

    async def plant(self, plan: Blueprint) -> None:
        for person in plan.people:
            await self._once(
                User, {"email": person.email}, name=person.name, role=person.role,
                password_hash=self._hash,
            )  # fmt: skip
        stores = [await self._store(shop) for shop in plan.shops]
        await self._extras(plan)
        categories = await self._menu(plan, stores)
        for offer in plan.offers:
            await self._offer(offer, categories)
        for provider, (config, secret) in plan.connections.items():
            if await self._found(Connection, {"provider": provider}) is None:
                body = ConnectionPut(config=config, secret=secret)
                await ConnectionService(self._work).put(provider, body)
                self.added["connections"] += 1

    async def _found(self, model: type[M], key: dict[str, Any]) -> M | None:
        rows = await self._session.scalars(select(model).filter_by(**key).limit(1))
        return rows.first()

    async def _once(self, model: type[M], key: dict[str, Any], **values: Any) -> tuple[M, bool]:
        """The row of this key and whether it is new."""
        found = await self._found(model, key)
        if found is not None:
            return found, False
        row = model(id=new_id(), **key, **values)
        self._session.add(row)
        await self._session.flush()
        self.added[model.__tablename__] += 1
        return row, True

    async def _store(self, shop: Shop) -> Store:
        store, is_new = await self._once(
            Store,
            {"slug": shop.slug},
            name=shop.name,
            phone=shop.phone,
            address=shop.address,
            latitude=shop.latitude,
            longitude=shop.longitude,
            timezone="America/Sao_Paulo",
            hours=[{"weekday": day, "opens": o, "closes": c} for day, o, c in shop.hours],
            exceptions=[
                {"date": day, "intervals": [{"opens": o, "closes": c} for o, c in intervals]}
                for day, intervals in shop.exceptions
            ],
            preorder_enabled=True,
            min_order_cents=shop.min_order_cents,
            free_shipping_above_cents=shop.free_shipping_above_cents,
            preparation_minutes=shop.preparation_minutes,
        )
        if is_new:
            self._rules(shop, store.id)
        return store

    def _rules(self, shop: Shop, store_id: UUID) -> None:
        for position, rule in enumerate(shop.rules):
            first, last = rule.ceps or (None, None)
            self._session.add(
                ShippingRule(
                    store_id=store_id,
                    kind="cep_range" if rule.ceps else "distance",
                    position=position,
                    max_meters=rule.kilometres and rule.kilometres * 1000,
                    cep_from=first,
                    cep_to=last,
                    fee_cents=rule.fee_cents,
                    minutes=rule.minutes,
                )
            )

    async def _extras(self, plan: Blueprint) -> None:
        for extras in plan.extras:
            group, is_new = await self._once(
                ModifierGroup,
                {"name": extras.name},
                min_choices=extras.least,
                max_choices=extras.most,
            )
            if is_new:
                self._session.add_all(
                    Modifier(
                        id=new_id(), group_id=group.id, name=name, price_cents=cents, position=at
                    )
                    for at, (name, cents) in enumerate(extras.choices)
                )

    async def _menu(self, plan: Blueprint, stores: list[Store]) -> dict[str, UUID]:
        groups = {
            group.name: group.id for group in await self._session.scalars(select(ModifierGroup))
        }
        categories: dict[str, UUID] = {}
        for at, (name, items) in enumerate(plan.menu.items()):
            category, _ = await self._once(
                Category, {"slug": slug_of(name)}, name=name, position=at
            )
            categories[name] = category.id
            for position, item in enumerate(items):
                product, is_new = await self._once(
                    Product,
                    {"slug": slug_of(item.name)},
                    category_id=category.id,
                    name=item.name,
                    description=item.description,
                    price_cents=item.cents,
                    compare_at_cents=item.compare_at_cents,
                    dietary_tags=list(item.tags),
                    position=position,
                )
                if is_new:
                    self._product_parts(item, product.id, groups, stores)
        return categories

    def _product_parts(
        self, item: Item, product_id: UUID, groups: dict[str, UUID], stores: list[Store]
    ) -> None:
        for at, (name, cents) in enumerate(item.sizes):
            self._session.add(
                Variant(
                    id=new_id(), product_id=product_id, name=name, price_cents=cents, position=at
                )
            )
        for at, name in enumerate(item.extras):
            self._session.add(
                ProductModifierGroup(product_id=product_id, group_id=groups[name], position=at)
            )
        for store in stores if item.stock is not None else ():
            stock = {"store_id": store.id, "item_kind": "product", "item_id": product_id}
            quantity = item.stock or 0
            self._session.add(StockLevel(**stock, on_hand=quantity, low_at=quantity // 10))
            self._session.add(
                StockMovement(
                    **stock, kind="receipt", quantity=quantity, reason="Estoque inicial",
                    actor_name="seed",
                )
            )  # fmt: skip

    async def _offer(self, offer: Offer, categories: dict[str, UUID]) -> None:
        await self._once(
            Promotion,
            {"code": offer.code} if offer.code else {"name": offer.name},
            **({"name": offer.name} if offer.code else {}),
            kind=offer.kind,
            value=offer.basis_points,
            scope="category" if offer.categories else "all",
            target_ids=[categories[name] for name in offer.categories],
            min_subtotal_cents=offer.min_subtotal_cents,
            max_discount_cents=offer.max_discount_cents,
            weekdays=list(offer.weekdays),
            usage_limit=offer.usage_limit,
            per_customer_limit=offer.per_customer_limit,
        )


async def plant(runtime: Runtime, plan: Blueprint, password_hash: str) -> Counter[str]:
    """Plant one tenant in one transaction; what was new, by table."""
    tenant = await runtime.tenants.find("slug", plan.slug)
    is_new = tenant is None
    if tenant is None:
        tenant = await _tenant(runtime, plan)
    async with unit_of_work(runtime, tenant, ACTOR) as work:
        planter = Planter(work, password_hash)
        await planter.plant(plan)
        if planter.added:
            work.ring("catalog")
    planter.added["tenants"] += is_new
    return +planter.added


async def _tenant(runtime: Runtime, plan: Blueprint) -> TenantContext:
    return await ensure_tenant(
        runtime,
        plan.slug,
        name=plan.name,
        subscription_status="active",
        modules=list(plan.modules),
        is_super_admin=plan.is_super_admin,
    )


async def plant_areas(runtime: Runtime, areas: dict[str, tuple[float, float]]) -> int:
    """Add the postal areas that are not known; how many were not."""
    rows = [
        {"id": new_id(), "prefix": prefix, "latitude": lat, "longitude": lng}
        for prefix, (lat, lng) in areas.items()
    ]
    async with runtime.database.system_engine.begin() as connection:
        driver = await begun(connection)
        return len(await driver.fetch(_ADD_AREAS, orjson.dumps(rows).decode()))


async def plant_prices(runtime: Runtime) -> int:
    """Give plans without prices those that the sandbox's Stripe sells; how many got one."""
    if runtime.settings.stripe_api_base_url.startswith("https://"):
        return 0  # the real one: its prices are not ours to make up
    async with runtime.database.system_driver() as driver:
        return len(await driver.fetch(_SELL))


async def stamp(runtime: Runtime, slug: str, fingerprint: str) -> None:
    """Note in the tenant's audit trail which version of the seed is planted."""
    tenant = await runtime.tenants.find("slug", slug)
    if tenant is None:
        raise LookupError(slug)
    async with unit_of_work(runtime, tenant, ACTOR) as work:
        found = await work.session.scalars(
            select(AuditEntry).where(AuditEntry.action == STAMP).order_by(AuditEntry.id.desc())
        )
        last = found.first()
        if last is None or last.facts.get("fingerprint") != fingerprint:
            work.record(STAMP, "tenant", tenant.id, fingerprint=fingerprint)
