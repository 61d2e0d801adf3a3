"""Queries over the channel's settings, its sessions, and what an agent's items stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from app.commerce.catalog.models import Product, Variant
from app.commerce.orders.models import Order
from app.commerce.stores.models import Store
from app.commerce.ucp.models import UcpSession, UcpSettings
from app.commerce.ucp.problems import UcpSessionNotFound
from app.core.ids import new_id
from app.core.repository import Repository


@dataclass(frozen=True, slots=True)
class Meant:
    """The thing that an item's id stands for."""

    product_id: UUID
    variant_id: UUID | None
    name: str
    price_cents: int


class SessionRepository(Repository[UcpSession]):
    model = UcpSession
    missing = UcpSessionNotFound

    async def order_of(self, session_id: UUID) -> Order | None:
        """The order that the session became, with its lines; also by the buyer's own hand."""
        found = await self.session.execute(
            select(Order).where(Order.cart_id == session_id).options(selectinload(Order.items))
        )
        return found.scalar_one_or_none()


class SettingsRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def current(self) -> tuple[UcpSettings, Store] | None:
        """The settings with the store they name."""
        found = await self.session.execute(
            select(UcpSettings, Store).join(Store, Store.id == UcpSettings.store_id)
        )
        row = found.one_or_none()
        return None if row is None else (row[0], row[1])

    async def put(self, values: dict[str, Any]) -> UUID:
        """Write the tenant's one row; its id."""
        statement = insert(UcpSettings).values(id=new_id(), **values)
        found: UUID | None = await self.session.scalar(
            statement.on_conflict_do_update(
                constraint="ucp_settings_tenant_id_key", set_=values
            ).returning(UcpSettings.id)
        )
        if found is None:
            raise LookupError("the row that was just written")
        return found


class ItemRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def meant(self, names: Sequence[str]) -> dict[str, Meant]:
        """Products and variants that are there, by SKU or id; two statements at any number."""
        wanted, ids = set(names), [id_ for id_ in map(_id, names) if id_ is not None]
        products = await self.session.execute(
            select(Product.id, Product.sku, Product.name, Product.price_cents).where(
                Product.deleted_at.is_(None), or_(Product.sku.in_(wanted), Product.id.in_(ids))
            )
        )
        found: dict[str, Meant] = {}
        for id_, sku, name, cents in products:
            _put(found, wanted, (str(id_), sku), Meant(id_, None, name, cents))
        variants = await self.session.execute(
            select(
                *(Variant.id, Variant.product_id, Variant.sku, Product.name, Variant.name),
                Variant.price_cents,
            )
            .join(Product, Product.id == Variant.product_id)
            .where(
                Product.deleted_at.is_(None),
                Variant.deleted_at.is_(None),
                or_(Variant.sku.in_(wanted), Variant.id.in_(ids)),
            )
        )
        for id_, product_id, sku, name, size, cents in variants:
            _put(found, wanted, (str(id_), sku), Meant(product_id, id_, f"{name} {size}", cents))
        return found


def _put(
    found: dict[str, Meant], wanted: set[str], names: tuple[str | None, ...], meant: Meant
) -> None:
    for name in names:
        if name in wanted and name is not None:
            found[name] = meant


def _id(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
