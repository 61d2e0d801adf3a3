"""What the names in a chat's cart stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.commerce.catalog.models import Product, Variant


@dataclass(frozen=True, slots=True)
class Found:
    product_id: UUID
    variant_id: UUID | None
    """The variant of it that is meant."""
    name: str


class CartRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def named(self, names: Sequence[str]) -> dict[str, Found]:
        """Products and variants by SKU, imported key or id; two statements at any size."""
        wanted, ids = set(names), [id_ for id_ in map(_id, names) if id_ is not None]
        products = await self.session.execute(
            select(Product.id, Product.sku, Product.external_ref, Product.name).where(
                Product.deleted_at.is_(None),
                or_(Product.sku.in_(wanted), Product.external_ref.in_(wanted), Product.id.in_(ids)),
            )
        )
        found: dict[str, Found] = {}
        for id_, sku, external_ref, name in products:
            # The shop's own name for a thing wins over where it came from.
            for key in (str(id_), external_ref, sku):
                if key in wanted:
                    found[key] = Found(id_, None, name)
        variants = await self.session.execute(
            select(Variant.id, Variant.product_id, Variant.sku, Product.name)
            .join(Product, Product.id == Variant.product_id)
            .where(
                Product.deleted_at.is_(None),
                Variant.deleted_at.is_(None),
                or_(Variant.sku.in_(wanted), Variant.id.in_(ids)),
            )
        )
        for id_, product_id, sku, name in variants:
            for key in (str(id_), sku):
                if key in wanted:
                    found[key] = Found(product_id, id_, name)
        return found


def _id(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
