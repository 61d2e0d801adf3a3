"""Queries of the catalogue's editors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from asyncpg import Record
from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import selectinload
from sqlalchemy.orm.interfaces import ORMOption

from app.commerce.catalog.menu import FIND, page_of_ids
from app.commerce.catalog.models import (
    Category,
    Modifier,
    ModifierGroup,
    Product,
    ProductModifierGroup,
    StoreProduct,
    Variant,
)
from app.commerce.catalog.problems import (
    CategoryNotFound,
    ExternalRefTaken,
    ModifierGroupNotFound,
    ProductNotFound,
    SkuTaken,
    SlugTaken,
    VariantNotFound,
)
from app.commerce.stores.models import Store
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository

PRICES = ("price_cents", "delivery_price_cents", "pickup_price_cents")
"""The usual one, and those by how it is handed over, which may be None."""
# Edits of many products: rows are taken in the order of their ids, then one statement per kind.
_HELD = """
SELECT id, name, price_cents, delivery_price_cents, pickup_price_cents, compare_at_cents,
  dietary_tags, is_active, category_id
FROM products WHERE id = ANY ($1) AND deleted_at IS NULL ORDER BY id FOR UPDATE
"""
_OF_CATEGORY = """
SELECT id, name, position FROM products
WHERE category_id = $1 AND deleted_at IS NULL ORDER BY id FOR UPDATE
"""
_VARIANTS_HELD = """
SELECT id, product_id, price_cents, delivery_price_cents, pickup_price_cents FROM variants
WHERE product_id = ANY ($1) AND deleted_at IS NULL ORDER BY id FOR UPDATE
"""
_EDITS = {
    (table, column): f"UPDATE {table} p SET {column} = {value} "  # noqa: S608 - made of constants
    "FROM unnest($1::uuid[], $2::text[]) x (id, v) WHERE p.id = x.id"
    for table, column, value in (
        *((table, price, "x.v::bigint") for table in ("products", "variants") for price in PRICES),
        ("products", "position", "x.v::bigint"),
        ("products", "is_active", "x.v::boolean"),
        ("products", "category_id", "x.v::uuid"),
        ("products", "dietary_tags", "ARRAY(SELECT json_array_elements_text(x.v::json))"),
    )
}


# One SKU may be a product's or a variant's: two tables, so whoever takes one holds its lock.
_CLAIM_SKU = """
SELECT pg_advisory_xact_lock(hashtextextended(app_tenant_id()::text || ':' || $1, 30))
"""
_HAS_SKU = """
SELECT EXISTS (SELECT FROM products
    WHERE sku = $1 AND deleted_at IS NULL AND id IS DISTINCT FROM $2::uuid)
  OR EXISTS (SELECT FROM variants
    WHERE sku = $1 AND deleted_at IS NULL AND id IS DISTINCT FROM $2::uuid)
"""
_SKUS_OF = """
SELECT id, sku FROM products WHERE id = $1 AND sku IS NOT NULL
UNION ALL SELECT id, sku FROM variants WHERE product_id = $1 AND deleted_at = $2
  AND sku IS NOT NULL ORDER BY sku
"""


class CategoryRepository(Repository[Category]):
    model = Category
    missing = CategoryNotFound
    conflicts: ClassVar = {"categories_tenant_id_slug_key": SlugTaken}

    def query(self) -> Select[Category]:
        return super().query().where(Category.deleted_at.is_(None))

    async def in_order(self, *, lock: bool = False) -> Sequence[Category]:
        statement = self.query().order_by(Category.position, Category.name, Category.id)
        return await self.all(statement.with_for_update() if lock else statement)

    async def get_shared(self, category_id: UUID) -> Category:
        """The category, kept from being deleted until the commit. Raises CategoryNotFound."""
        statement = self.query().where(Category.id == category_id)
        found = await self.one_or_none(statement.with_for_update(read=True))
        if found is None:
            raise CategoryNotFound()
        return found

    async def count(self) -> int:
        statement = select(func.count()).where(Category.deleted_at.is_(None))
        return int(await self.session.scalar(statement) or 0)

    async def has_products(self, category_id: UUID) -> bool:
        found = select(Product.id).where(
            Product.category_id == category_id, Product.deleted_at.is_(None)
        )
        return await self.session.scalar(found.limit(1)) is not None

    async def slugs_like(self, base: str) -> set[str]:
        statement = select(Category.slug).where(
            Category.deleted_at.is_(None), Category.slug.startswith(base, autoescape=True)
        )
        return set(await self.session.scalars(statement))


class ProductRepository(Repository[Product]):
    model = Product
    missing = ProductNotFound
    conflicts: ClassVar = {
        "products_tenant_id_slug_key": SlugTaken,
        "products_tenant_id_external_ref_key": ExternalRefTaken,
        "products_tenant_id_sku_key": SkuTaken,
    }

    def query(self) -> Select[Product]:
        return super().query().where(Product.deleted_at.is_(None))

    async def whole(self, id: UUID) -> Product:
        """The product with its variants, groups and modifiers, read afresh."""
        groups = selectinload(Product.group_links).selectinload(ProductModifierGroup.group)
        found = await self.one_or_none(
            self.query()
            .where(Product.id == id)
            .options(
                selectinload(Product.variants),
                groups.selectinload(ModifierGroup.modifiers),
            )
            .execution_options(populate_existing=True)
        )
        if found is None:
            raise ProductNotFound()
        return found

    async def filtered(
        self, page: PageRequest, category_id: UUID | None, is_active: bool | None
    ) -> Page[Product]:
        """One page, the newest first."""
        statement = self.query()
        if category_id is not None:
            statement = statement.where(Product.category_id == category_id)
        if is_active is not None:
            statement = statement.where(Product.is_active.is_(is_active))
        return await self.page(statement, page)

    async def named(
        self,
        words: Sequence[str],
        page: PageRequest,
        category_id: UUID | None,
        is_active: bool | None,
    ) -> Page[Product]:
        """One page of what the words name, the best first."""
        category = str(category_id) if category_id else ""
        rows = await (await self.raw()).fetch(
            FIND, words, category, is_active, None, page.cursor, page.limit + 1
        )
        ids = page_of_ids(rows, page)
        found = {p.id: p for p in await self.all(self.query().where(Product.id.in_(ids.items)))}
        return Page([found[i] for i in ids.items if i in found], ids.next_cursor)

    async def held(self, ids: Sequence[UUID]) -> dict[UUID, Mapping[str, object]]:
        """Those of the products that exist, taken for a change."""
        return {row["id"]: dict(row) for row in await (await self.raw()).fetch(_HELD, ids)}

    async def held_of_category(self, category_id: UUID) -> Sequence[Record]:
        return await (await self.raw()).fetch(_OF_CATEGORY, category_id)

    async def held_variants(self, ids: Sequence[UUID]) -> Sequence[Record]:
        return await (await self.raw()).fetch(_VARIANTS_HELD, ids)

    async def edit_many(self, table: str, field: str, values: Mapping[UUID, str]) -> None:
        """Write one field of many rows in one statement; values as Postgres reads them."""
        edit = _EDITS[table, field]
        await (await self.raw()).execute(edit, list(values), list(values.values()))

    async def deleted(self, page: PageRequest) -> Page[Product]:
        return await self.page(super().query().where(Product.deleted_at.is_not(None)), page)

    async def get_any(self, id: UUID) -> Product:
        """The product, deleted or not, taken for a change. Raises ProductNotFound."""
        statement = super().query().where(Product.id == id)
        found = await self.one_or_none(statement.with_for_update(of=Product))
        if found is None:
            raise ProductNotFound()
        return found

    async def slugs_like(self, base: str) -> set[str]:
        statement = select(Product.slug).where(
            Product.deleted_at.is_(None), Product.slug.startswith(base, autoescape=True)
        )
        return set(await self.session.scalars(statement))

    async def claim_sku(self, sku: str | None, owner_id: UUID | None = None) -> None:
        """Wait for whoever takes this SKU, until the commit. Raises SkuTaken when a product or
        variant other than ``owner_id`` has it."""
        if sku is None:
            return
        driver = await self.raw()
        await driver.execute(_CLAIM_SKU, sku)
        if await driver.fetchval(_HAS_SKU, sku, owner_id):
            raise SkuTaken()

    async def delete_variants(self, product_id: UUID, at: datetime) -> None:
        """They go with their product, and their SKUs are free."""
        await (await self.raw()).execute(
            "UPDATE variants SET deleted_at = $2 WHERE product_id = $1 AND deleted_at IS NULL",
            product_id,
            at,
        )

    async def restore_variants(self, product_id: UUID, at: datetime) -> None:
        """Bring back those that went with their product. Raises SkuTaken when one's SKU, or the
        product's, is another's by now."""
        driver = await self.raw()
        going = await driver.fetch(_SKUS_OF, product_id, at)
        for row in going:
            await self.claim_sku(row["sku"], row["id"])
        await driver.execute(
            "UPDATE variants SET deleted_at = NULL WHERE product_id = $1 AND deleted_at = $2",
            product_id,
            at,
        )

    async def links(self, product_id: UUID) -> Sequence[ProductModifierGroup]:
        found = select(ProductModifierGroup).where(ProductModifierGroup.product_id == product_id)
        return (await self.session.scalars(found)).all()

    async def has_store(self, store_id: UUID) -> bool:
        return await self.session.scalar(select(Store.id).where(Store.id == store_id)) is not None

    async def overrides(self, product_id: UUID) -> Sequence[StoreProduct]:
        found = select(StoreProduct).where(StoreProduct.product_id == product_id)
        return (await self.session.scalars(found.order_by(StoreProduct.store_id))).all()


class VariantRepository(Repository[Variant]):
    model = Variant
    missing = VariantNotFound
    conflicts: ClassVar = {"variants_tenant_id_sku_key": SkuTaken}

    async def of(self, product_id: UUID, variant_id: UUID) -> Variant:
        """The product's variant, taken for a change. Raises VariantNotFound."""
        found = await self.one_or_none(
            self.query()
            .where(
                Variant.id == variant_id,
                Variant.product_id == product_id,
                Variant.deleted_at.is_(None),
            )
            .with_for_update(of=Variant)
        )
        if found is None:
            raise VariantNotFound()
        return found


class ModifierGroupRepository(Repository[ModifierGroup]):
    model = ModifierGroup
    missing = ModifierGroupNotFound

    def loads(self) -> Sequence[ORMOption]:
        return (selectinload(ModifierGroup.modifiers),)

    def query(self) -> Select[ModifierGroup]:
        return super().query().where(ModifierGroup.deleted_at.is_(None))

    async def afresh(self, id: UUID) -> ModifierGroup:
        """The group with its modifiers as they are now in the database."""
        statement = self.query().where(ModifierGroup.id == id)
        found = await self.one_or_none(statement.execution_options(populate_existing=True))
        if found is None:
            raise ModifierGroupNotFound()
        return found

    async def existing(self, ids: Sequence[UUID]) -> set[UUID]:
        found = select(ModifierGroup.id).where(
            ModifierGroup.id.in_(ids), ModifierGroup.deleted_at.is_(None)
        )
        return set(await self.session.scalars(found))

    async def remove_modifiers(self, ids: Sequence[UUID]) -> None:
        await self.session.execute(delete(Modifier).where(Modifier.id.in_(ids)))

    async def unlink(self, group_id: UUID) -> None:
        """Take the group off every product that offers it."""
        await self.session.execute(
            delete(ProductModifierGroup).where(ProductModifierGroup.group_id == group_id)
        )
