"""Queries over the catalogue: the ORM for its editors, hand-written statements for the menu."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from asyncpg import Record
from sqlalchemy import Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload
from sqlalchemy.orm.interfaces import ORMOption

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
    SlugTaken,
    VariantNotFound,
)
from app.commerce.stores.models import Store
from app.core.database import raw
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository

# The statements of the menu are hand-written on the driver (DESIGN §12): seven whatever the
# size, each flat; the ORM with selectinload took 19 times the CPU.
# Each answers one text, a JSON object per line, which the event loop takes in as one value:
# rows of 10,000 products kept it busy for 150 ms, and nobody else was served meanwhile.

_STORE = """
SELECT s.id, s.slug, s.name, s.phone, s.timezone, s.delivery_enabled, s.pickup_enabled,
  s.min_order_cents, l.key AS logo, b.key AS banner
FROM stores s
LEFT JOIN files l ON l.id = s.logo_file_id
LEFT JOIN files b ON b.id = s.banner_file_id
WHERE s.is_active AND ($1 = '' OR s.slug = $1) ORDER BY s.id LIMIT 1
"""


def _as_lines(statement: str) -> tuple[str, str]:
    """The statement for all products, and the one for some, which means its bracketed part."""
    whole = f"SELECT string_agg(row_to_json(x)::text, E'\\n') FROM ({statement}) x"  # noqa: S608
    return whole, whole.replace("/*", "").replace("*/", "")


_CATEGORIES, _ = _as_lines("""
SELECT id, slug, name FROM categories WHERE is_active AND deleted_at IS NULL
ORDER BY position, name, id
""")

_SOLD_HERE = """
FROM products p
JOIN categories k ON k.id = p.category_id
LEFT JOIN store_products o ON o.product_id = p.id AND o.store_id = $1
WHERE p.is_active AND p.deleted_at IS NULL AND k.is_active AND k.deleted_at IS NULL
  AND coalesce(o.is_available, true)
"""

# A store's own price may lie above the price before: then nothing is crossed out.
_PRODUCTS = _as_lines(
    """
SELECT p.id, p.category_id, p.slug, p.name, p.description,
  coalesce(o.price_cents, p.price_cents) AS price_cents,
  CASE WHEN p.compare_at_cents > coalesce(o.price_cents, p.price_cents)
       THEN p.compare_at_cents END AS compare_at_cents,
  p.image_file_ids AS images, p.dietary_tags, p.for_delivery, p.for_pickup,
  coalesce((SELECT l.on_hand > 0 FROM stock_levels l
            WHERE l.store_id = $1 AND l.item_id = p.id), true) AS available
"""  # noqa: S608 - made of constants
    + _SOLD_HERE
    + """ /*AND p.id = ANY ($2)*/
ORDER BY k.position, k.name, k.id, p.position, p.name, p.id
"""
)

_VARIANTS = _as_lines("""
SELECT v.product_id, v.id, v.name, v.price_cents,
  coalesce((SELECT l.on_hand > 0 FROM stock_levels l
            WHERE l.store_id = $1 AND l.item_id = v.id), true) AS available
FROM variants v
WHERE v.is_active AND v.deleted_at IS NULL /*AND v.product_id = ANY ($2)*/
ORDER BY v.position, v.id
""")

_LINKS = _as_lines("""
SELECT product_id, array_agg(group_id ORDER BY position, id) AS group_ids
FROM product_modifier_groups /*WHERE product_id = ANY ($1)*/
GROUP BY product_id
""")

_GROUPS = _as_lines("""
SELECT g.id, g.name, g.min_choices, g.max_choices, g.free_quantity,
  json_agg(json_build_object('id', m.id, 'name', m.name, 'price_cents', m.price_cents,
    'available', coalesce((SELECT l.on_hand > 0 FROM stock_levels l
                           WHERE l.store_id = $1 AND l.item_id = m.id), true),
    'max_quantity', m.max_quantity) ORDER BY m.position, m.id) AS modifiers
FROM modifier_groups g JOIN modifiers m ON m.group_id = g.id AND m.is_active
WHERE g.is_active AND g.deleted_at IS NULL /*AND g.id IN (
  SELECT group_id FROM product_modifier_groups WHERE product_id = ANY ($2))*/
GROUP BY g.tenant_id, g.id
""")

# The ids are text: what is no UUID names no file, and must not fail the menu.
_IMAGES = _as_lines("""
SELECT id, key FROM files WHERE id = ANY (ARRAY(
  SELECT DISTINCT CASE WHEN i ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN i::uuid END
  FROM products p, unnest(p.image_file_ids) i
  WHERE p.is_active AND p.deleted_at IS NULL /*AND p.id = ANY ($1)*/))
""")

# Edits of many products: rows are taken in the order of their ids, then one statement per kind.
_HELD = """
SELECT id, name, price_cents, compare_at_cents, dietary_tags, is_active, category_id
FROM products WHERE id = ANY ($1) AND deleted_at IS NULL ORDER BY id FOR UPDATE
"""
_OF_CATEGORY = """
SELECT id, name, position FROM products
WHERE category_id = $1 AND deleted_at IS NULL ORDER BY id FOR UPDATE
"""
_VARIANTS_HELD = """
SELECT id, product_id, price_cents FROM variants
WHERE product_id = ANY ($1) AND deleted_at IS NULL ORDER BY id FOR UPDATE
"""
_EDITS = {
    (table, column): f"UPDATE {table} p SET {column} = {value} "  # noqa: S608 - made of constants
    "FROM unnest($1::uuid[], $2::text[]) x (id, v) WHERE p.id = x.id"
    for table, column, value in (
        ("products", "price_cents", "x.v::bigint"),
        ("products", "position", "x.v::bigint"),
        ("products", "is_active", "x.v::boolean"),
        ("products", "category_id", "x.v::uuid"),
        ("products", "dietary_tags", "ARRAY(SELECT json_array_elements_text(x.v::json))"),
        ("variants", "price_cents", "x.v::bigint"),
    )
}

_FILES = "SELECT id, key FROM files WHERE id = ANY ($1::uuid[])"

# LIKE is not leakproof, so no index serves it under row level security (DESIGN §6): the filter
# walks the tenant's products backwards by id and stops at a full page.
_SEARCH = f"""
SELECT p.id {_SOLD_HERE} AND p.search_text LIKE ALL ($2::text[])
  AND ($3 = '' OR k.slug = $3 OR k.id::text = $3) AND ($4::uuid IS NULL OR p.id < $4)
ORDER BY p.id DESC LIMIT $5
"""

Lines = str | None
"""JSON objects, one per line; None: there are none."""


@dataclass(frozen=True, slots=True)
class MenuParts:
    """What a menu is made of, in the order it is shown."""

    categories: Lines
    products: Lines
    variants: Lines
    links: Lines
    groups: Lines
    images: Lines


class MenuRepository:
    """What the storefront reads, in a fixed number of statements."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def store(self, slug: str) -> Record | None:
        """The active store with this slug; '': the first one."""
        return await (await raw(self.session)).fetchrow(_STORE, slug)

    async def parts(self, store_id: UUID, products: Sequence[UUID] | None = None) -> MenuParts:
        """All that the store sells, or of ``products`` what it sells."""
        fetch = (await raw(self.session)).fetchval
        some, which = products is not None, () if products is None else (products,)
        return MenuParts(
            categories=await fetch(_CATEGORIES),
            products=await fetch(_PRODUCTS[some], store_id, *which),
            variants=await fetch(_VARIANTS[some], store_id, *which),
            links=await fetch(_LINKS[some], *which),
            groups=await fetch(_GROUPS[some], store_id, *which),
            images=await fetch(_IMAGES[some], *which),
        )

    async def search(
        self, store_id: UUID, patterns: Sequence[str], category: str, page: PageRequest
    ) -> Page[UUID]:
        """One page of what the store sells and every pattern matches, newest first."""
        driver = await raw(self.session)
        rows = await driver.fetch(
            _SEARCH, store_id, patterns, category, page.cursor, page.limit + 1
        )
        ids = [row["id"] for row in rows[: page.limit]]
        return Page(ids, ids[-1] if len(rows) > page.limit else None)


async def file_keys(session: AsyncSession, ids: Iterable[UUID]) -> dict[UUID, str]:
    """The storage keys of those of the files that exist."""
    rows = await (await raw(session)).fetch(_FILES, list(ids))
    return {row["id"]: row["key"] for row in rows}


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
        self,
        page: PageRequest,
        *,
        patterns: Sequence[str],
        category_id: UUID | None,
        is_active: bool | None,
    ) -> Page[Product]:
        statement = self.query()
        for pattern in patterns:
            statement = statement.where(Product.search_text.like(pattern))
        if category_id is not None:
            statement = statement.where(Product.category_id == category_id)
        if is_active is not None:
            statement = statement.where(Product.is_active.is_(is_active))
        return await self.page(statement, page)

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
