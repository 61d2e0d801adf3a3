"""What the storefront reads of the catalogue, by hand-written statements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import raw
from app.core.pagination import Page, PageRequest

# The statements of the menu are hand-written on the driver (DESIGN §12): seven, and one of the
# promotions, whatever the size, each flat; the ORM with selectinload took 19 times the CPU.
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
  coalesce(o.delivery_price_cents, o.price_cents, p.delivery_price_cents, p.price_cents)
    AS delivery,
  coalesce(o.pickup_price_cents, o.price_cents, p.pickup_price_cents, p.price_cents) AS pickup,
  CASE WHEN p.compare_at_cents > coalesce(o.price_cents, p.price_cents)
       THEN p.compare_at_cents END AS compare_at_cents,
  p.image_file_ids AS images, p.video_file_ids AS videos, p.media_alts,
  p.dietary_tags, p.for_delivery, p.for_pickup,
  coalesce((SELECT l.on_hand > 0 FROM stock_levels l
            WHERE l.store_id = $1 AND l.item_id = p.id), true) AS available,
  CASE WHEN k.windows <> '[]' OR k.is_paused OR p.windows <> '[]' OR p.is_paused
    THEN json_build_array(
      json_build_object('windows', k.windows, 'is_paused', k.is_paused,
        'paused_until', k.paused_until),
      json_build_object('windows', p.windows, 'is_paused', p.is_paused,
        'paused_until', p.paused_until)) END AS shelves
"""  # noqa: S608 - made of constants
    + _SOLD_HERE
    + """ /*AND p.id = ANY ($2)*/
ORDER BY k.position, k.name, k.id, p.position, p.name, p.id
"""
)

_VARIANTS = _as_lines("""
SELECT v.product_id, v.id, v.name, v.price_cents,
  coalesce(v.delivery_price_cents, v.price_cents) AS delivery,
  coalesce(v.pickup_price_cents, v.price_cents) AS pickup,
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
  FROM products p, unnest(p.image_file_ids || p.video_file_ids) i
  WHERE p.is_active AND p.deleted_at IS NULL /*AND p.id = ANY ($1)*/))
""")

_FILES = "SELECT id, key FROM files WHERE id = ANY ($1::uuid[])"

# Without words: the tenant's products backwards by id, until a page is full.
_BROWSE = f"""
SELECT p.id {_SOLD_HERE} AND ($2 = '' OR k.slug = $2 OR k.id::text = $2)
  AND ($3::uuid IS NULL OR p.id < $3) ORDER BY p.id DESC LIMIT $4
"""
FIND = "SELECT find_products($1, $2, $3, $4, $5, $6) AS id"

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
        self, store_id: UUID, words: Sequence[str], category: str, page: PageRequest
    ) -> Page[UUID]:
        """One page of what the store sells: what the words name, the best first; without words
        the newest first."""
        driver, wanted = await raw(self.session), page.limit + 1
        if words:
            rows = await driver.fetch(FIND, words, category, None, store_id, page.cursor, wanted)
        else:
            rows = await driver.fetch(_BROWSE, store_id, category, page.cursor, wanted)
        return page_of_ids(rows, page)


def page_of_ids(rows: Sequence[Record], page: PageRequest) -> Page[UUID]:
    ids = [row["id"] for row in rows[: page.limit]]
    return Page(ids, ids[-1] if len(rows) > page.limit else None)


async def file_keys(session: AsyncSession, ids: Iterable[UUID]) -> dict[UUID, str]:
    """The storage keys of those of the files that exist."""
    rows = await (await raw(session)).fetch(_FILES, list(ids))
    return {row["id"]: row["key"] for row in rows}
