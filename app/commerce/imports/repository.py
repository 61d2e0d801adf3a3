"""Set-based statements of the imports: one JSON parameter is one batch of rows.

Hand-written on the driver connection: COPY is refused under row level security, and the ORM
would need minutes for what these do in seconds. The tenant is never named: Postgres fills and
filters it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import RawConnection, raw

Record = Mapping[str, object]

_STORES = "SELECT id, slug, timezone FROM stores ORDER BY id"

_ADD_CATEGORIES = """
INSERT INTO categories (id, name, slug)
SELECT i.id, i.name, i.slug
FROM json_to_recordset($1::text::json) AS i(id uuid, name text, slug text)
ON CONFLICT (tenant_id, slug) WHERE deleted_at IS NULL DO NOTHING
"""
_CATEGORIES = "SELECT id, slug FROM categories WHERE slug = ANY ($1) AND deleted_at IS NULL"
_PRODUCTS = "SELECT id, external_ref, name FROM products WHERE external_ref = ANY ($1)"
_SLUGS_TAKEN = "SELECT slug FROM products WHERE slug = ANY ($1) AND deleted_at IS NULL"

_ADD_PRODUCTS = """
INSERT INTO products (id, category_id, name, slug, description, sku, price_cents, is_active,
  attributes, external_ref)
SELECT i.id, i.category_id, i.name, i.slug, coalesce(i.description, ''), i.sku,
  coalesce(i.price_cents, 0), i.price_cents IS NOT NULL, i.attributes, i.ref
FROM json_to_recordset($1::text::json) AS i(id uuid, ref text, category_id uuid, name text,
  slug text, description text, sku text, price_cents bigint, attributes jsonb)
"""

# What the file does not say (NULL) stays; a row that would not change is not written.
_CHANGE_PRODUCTS = """
UPDATE products p SET name = n.name, category_id = n.category_id, description = n.description,
  sku = n.sku, price_cents = n.price_cents, attributes = n.attributes
FROM (
  SELECT q.id, coalesce(i.name, q.name) AS name, coalesce(i.category_id, q.category_id)
    AS category_id, coalesce(i.description, q.description) AS description,
    coalesce(i.sku, q.sku) AS sku, coalesce(i.price_cents, q.price_cents) AS price_cents,
    q.attributes || i.attributes AS attributes
  FROM json_to_recordset($1::text::json) AS i(ref text, category_id uuid, name text,
    description text, sku text, price_cents bigint, attributes jsonb)
  JOIN products q ON q.external_ref = i.ref
) n
WHERE p.id = n.id AND (p.name, p.category_id, p.description, p.sku, p.price_cents, p.attributes)
  IS DISTINCT FROM (n.name, n.category_id, n.description, n.sku, n.price_cents, n.attributes)
RETURNING p.external_ref
"""

_STORE_PRICES = """
INSERT INTO store_products (id, store_id, product_id, price_cents)
SELECT i.id, $2, i.product_id, i.price_cents
FROM json_to_recordset($1::text::json) AS i(id uuid, product_id uuid, price_cents bigint)
ON CONFLICT (tenant_id, store_id, product_id) DO UPDATE SET price_cents = excluded.price_cents
WHERE store_products.price_cents IS DISTINCT FROM excluded.price_cents
RETURNING product_id
"""

_CONTACTS = """
SELECT id, external_ref, phone, name FROM contacts WHERE external_ref = ANY ($1)
UNION
SELECT id, external_ref, phone, name FROM contacts WHERE phone = ANY ($2)
"""
_ADD_CONTACTS = """
INSERT INTO contacts (id, name, phone, email, source, external_ref)
SELECT i.id, i.name, i.phone, i.email, 'import', i.ref FROM json_to_recordset($1::text::json)
  AS i(id uuid, ref text, name text, phone text, email text)
"""
_CHANGE_CONTACTS = """
UPDATE contacts c SET name = n.name, phone = n.phone, email = n.email, external_ref = n.ref
FROM (
  SELECT i.id, i.ref, coalesce(i.name, q.name) AS name, coalesce(i.phone, q.phone) AS phone,
    coalesce(i.email, q.email) AS email
  FROM json_to_recordset($1::text::json) AS i(id uuid, ref text, name text, phone text, email text)
  JOIN contacts q ON q.id = i.id
) n
WHERE c.id = n.id AND (c.name, c.phone, c.email, c.external_ref)
  IS DISTINCT FROM (n.name, n.phone, n.email, n.ref)
RETURNING c.id
"""
_ADD_ADDRESSES = """
INSERT INTO customer_addresses (id, contact_id, postal_code, address)
SELECT i.id, i.contact_id, i.postal_code, i.address FROM json_to_recordset($1::text::json)
  AS i(id uuid, contact_id uuid, postal_code text, address jsonb)
WHERE NOT EXISTS (SELECT FROM customer_addresses a WHERE a.contact_id = i.contact_id
  AND a.postal_code = i.postal_code AND a.address = i.address)
RETURNING id
"""
_ADDRESSES = """
SELECT DISTINCT ON (contact_id) contact_id, postal_code, address::text AS address
FROM customer_addresses WHERE contact_id = ANY ($1) ORDER BY contact_id, id
"""

_ORDERS = """
SELECT o.id, o.external_ref, o.status, o.contact_id, o.source, o.subtotal_cents, o.shipping_cents,
  o.placed_at, o.promised_at,
  EXISTS (SELECT FROM order_status_changes h WHERE h.order_id = o.id
    AND h.actor_name <> 'import') AS is_touched,
  (SELECT coalesce(json_agg(json_build_array(t.product_id, t.unit_price_cents, t.quantity)
     ORDER BY t.position), '[]')::text FROM order_items t WHERE t.order_id = o.id) AS items,
  (SELECT coalesce(json_agg(json_build_array(p.method, p.amount_cents, p.status) ORDER BY p.id),
     '[]')::text FROM payments p WHERE p.order_id = o.id) AS payments
FROM orders o WHERE o.external_ref = ANY ($1) FOR UPDATE OF o
"""
_NUMBERS = """
INSERT INTO order_counters (id, last_number) VALUES ($1, $2)
ON CONFLICT (tenant_id) DO UPDATE SET last_number = order_counters.last_number + $2
RETURNING last_number
"""
_ADD_ORDERS = """
INSERT INTO orders (id, number, store_id, contact_id, customer_name, customer_phone, fulfilment,
  status, promised_at, subtotal_cents, shipping_cents, total_cents, source, external_ref, placed_at,
  created_at)
SELECT i.id, i.number, $2, i.contact_id, i.customer_name, i.customer_phone, 'delivery', i.status,
  i.promised_at, i.subtotal_cents, i.shipping_cents, i.subtotal_cents + i.shipping_cents, 'import',
  i.ref, i.placed_at, i.placed_at
FROM json_to_recordset($1::text::json) AS i(id uuid, number bigint, contact_id uuid,
  customer_name text, customer_phone text, status text, promised_at timestamptz,
  subtotal_cents bigint, shipping_cents bigint, ref text, placed_at timestamptz)
"""
_CHANGE_ORDERS = """
UPDATE orders o SET status = i.status, promised_at = i.promised_at,
  subtotal_cents = i.subtotal_cents, shipping_cents = i.shipping_cents,
  total_cents = i.subtotal_cents - o.discount_cents + i.shipping_cents - o.shipping_discount_cents,
  version = o.version + 1
FROM json_to_recordset($1::text::json) AS i(id uuid, status text, promised_at timestamptz,
  subtotal_cents bigint, shipping_cents bigint)
WHERE o.id = i.id
"""
_CHANGE_FEES = """
UPDATE deliveries d SET fee_cents = i.shipping_cents, minutes = i.minutes
FROM json_to_recordset($1::text::json) AS i(id uuid, shipping_cents bigint, minutes bigint)
WHERE d.order_id = i.id
"""
_CLEAR_ITEMS = "DELETE FROM order_items WHERE order_id = ANY ($1)"
_CLEAR_PAYMENTS = "DELETE FROM payments WHERE order_id = ANY ($1)"
_ADD_ITEMS = """
INSERT INTO order_items (id, order_id, position, product_id, name, unit_price_cents, quantity,
  total_cents, created_at)
SELECT i.id, i.order_id, i.position, i.product_id, i.name, i.unit_price_cents, i.quantity,
  i.unit_price_cents * i.quantity, i.at
FROM json_to_recordset($1::text::json) AS i(id uuid, order_id uuid, position bigint,
  product_id uuid, name text, unit_price_cents bigint, quantity bigint, at timestamptz)
"""
_ADD_PAYMENTS = """
INSERT INTO payments (id, order_id, method, amount_cents, status, received_cents, created_at)
SELECT i.id, i.order_id, i.method, i.amount_cents, i.status,
  CASE WHEN i.status IN ('paid', 'refunded') THEN i.amount_cents ELSE 0 END, i.at
FROM json_to_recordset($1::text::json) AS i(id uuid, order_id uuid, method text,
  amount_cents bigint, status text, at timestamptz)
"""
_ADD_STEPS = """
INSERT INTO order_status_changes (id, order_id, before, after, actor_kind, actor_name, created_at)
SELECT i.id, i.order_id, i.before, i.after, 'system', 'import', i.at
FROM json_to_recordset($1::text::json) AS i(id uuid, order_id uuid, before text, after text,
  at timestamptz)
"""
_ADD_DELIVERIES = """
INSERT INTO deliveries (id, order_id, postal_code, address, fee_cents, minutes, created_at)
SELECT i.id, i.order_id, i.postal_code, i.address, i.fee_cents, i.minutes, i.at
FROM json_to_recordset($1::text::json) AS i(id uuid, order_id uuid, postal_code text,
  address jsonb, fee_cents bigint, minutes bigint, at timestamptz)
"""
_LAST_ORDERS = """
UPDATE contacts c SET last_order_at = n.at FROM (
  SELECT o.contact_id, max(o.placed_at) AS at FROM orders o WHERE o.contact_id = ANY ($1)
  GROUP BY o.contact_id
) n WHERE c.id = n.contact_id AND c.last_order_at IS DISTINCT FROM greatest(c.last_order_at, n.at)
"""


@dataclass(frozen=True, slots=True)
class KnownContact:
    id: UUID
    key: str | None
    phone: str | None
    name: str


@dataclass(frozen=True, slots=True)
class KnownProduct:
    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class KnownOrder:
    id: UUID
    status: str
    source: str
    contact_id: UUID
    subtotal_cents: int
    shipping_cents: int
    placed_at: datetime
    promised_at: datetime | None
    is_touched: bool
    """Somebody other than an import has moved it."""
    items: list[list[object]]
    payments: list[list[object]]


class ImportRepository:
    """Reads and writes whole batches in the Work's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _raw(self) -> RawConnection:
        return await raw(self._session)

    async def _write(self, statement: str, rows: Sequence[Record], *more: object) -> list[UUID]:
        if not rows:
            return []
        found = await (await self._raw()).fetch(
            statement, orjson.dumps(rows, default=str).decode(), *more
        )
        return [row[0] for row in found]

    async def stores(self) -> list[tuple[UUID, str, str]]:
        """Every store of the tenant: id, slug, timezone."""
        return [tuple(row) for row in await (await self._raw()).fetch(_STORES)]

    async def add_categories(self, rows: Sequence[Record]) -> dict[str, UUID]:
        """Add the categories that are missing; the ids of all of them by slug."""
        await self._write(_ADD_CATEGORIES, rows)
        slugs = [row["slug"] for row in rows]
        found = await (await self._raw()).fetch(_CATEGORIES, slugs)
        return {row["slug"]: row["id"] for row in found}

    async def products(self, keys: Sequence[str]) -> dict[str, KnownProduct]:
        """The products of these keys, deleted ones too: their key is still theirs."""
        found = await (await self._raw()).fetch(_PRODUCTS, keys)
        return {row["external_ref"]: KnownProduct(row["id"], row["name"]) for row in found}

    async def slugs_taken(self, slugs: Sequence[str]) -> set[str]:
        return {row["slug"] for row in await (await self._raw()).fetch(_SLUGS_TAKEN, slugs)}

    async def add_products(self, rows: Sequence[Record]) -> None:
        await self._write(_ADD_PRODUCTS, rows)

    async def change_products(self, rows: Sequence[Record]) -> set[str]:
        """Write what differs; the keys of the products that did."""
        return {str(key) for key in await self._write(_CHANGE_PRODUCTS, rows)}

    async def set_store_prices(self, store_id: UUID, rows: Sequence[Record]) -> set[UUID]:
        """Set the store's own prices; the products whose price differed."""
        return set(await self._write(_STORE_PRICES, rows, store_id))

    async def contacts(self, keys: Sequence[str], phones: Sequence[str]) -> list[KnownContact]:
        found = await (await self._raw()).fetch(_CONTACTS, keys, phones)
        return [
            KnownContact(row["id"], row["external_ref"], row["phone"], row["name"]) for row in found
        ]

    async def add_contacts(self, rows: Sequence[Record]) -> None:
        await self._write(_ADD_CONTACTS, rows)

    async def change_contacts(self, rows: Sequence[Record]) -> set[UUID]:
        """Write what differs; the contacts that did."""
        return set(await self._write(_CHANGE_CONTACTS, rows))

    async def add_addresses(self, rows: Sequence[Record]) -> set[UUID]:
        """Add the addresses that are not there; the ids of those added."""
        return set(await self._write(_ADD_ADDRESSES, rows))

    async def addresses(self, contact_ids: Sequence[UUID]) -> dict[UUID, tuple[str, object]]:
        """The first address of each contact: postal code and the whole."""
        found = await (await self._raw()).fetch(_ADDRESSES, contact_ids)
        return {
            row["contact_id"]: (row["postal_code"], orjson.loads(row["address"])) for row in found
        }

    async def orders(self, keys: Sequence[str]) -> dict[str, KnownOrder]:
        """The orders of these keys, locked."""
        found = await (await self._raw()).fetch(_ORDERS, keys)
        return {
            row["external_ref"]: KnownOrder(
                id=row["id"],
                status=row["status"],
                source=row["source"],
                contact_id=row["contact_id"],
                subtotal_cents=row["subtotal_cents"],
                shipping_cents=row["shipping_cents"],
                placed_at=row["placed_at"],
                promised_at=row["promised_at"],
                is_touched=row["is_touched"],
                items=orjson.loads(row["items"]),
                payments=orjson.loads(row["payments"]),
            )
            for row in found
        }

    async def take_numbers(self, row_id: UUID, count: int) -> range:
        """The next ``count`` order numbers; their counter is locked until the commit."""
        last = await (await self._raw()).fetchval(_NUMBERS, row_id, count)
        return range(last - count + 1, last + 1)

    async def add_orders(self, store_id: UUID, rows: Sequence[Record]) -> None:
        await self._write(_ADD_ORDERS, rows, store_id)

    async def change_orders(self, rows: Sequence[Record]) -> None:
        """Rewrite imported orders; items and payments are cleared, history only grows."""
        ids = [row["id"] for row in rows]
        await self._write(_CHANGE_ORDERS, rows)
        await self._write(_CHANGE_FEES, rows)
        for statement in (_CLEAR_ITEMS, _CLEAR_PAYMENTS):
            await (await self._raw()).execute(statement, ids)

    async def add_parts(self, items: Sequence[Record], payments: Sequence[Record]) -> None:
        await self._write(_ADD_ITEMS, items)
        await self._write(_ADD_PAYMENTS, payments)

    async def add_steps(self, rows: Sequence[Record]) -> None:
        await self._write(_ADD_STEPS, rows)

    async def add_deliveries(self, rows: Sequence[Record]) -> None:
        await self._write(_ADD_DELIVERIES, rows)

    async def note_last_orders(self, contact_ids: Sequence[UUID]) -> None:
        """Keep each contact's ``last_order_at`` at its newest order."""
        await (await self._raw()).execute(_LAST_ORDERS, contact_ids)
