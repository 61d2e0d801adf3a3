"""The statements of a checkout: read all it depends on, write all it means.

Hand-written on the driver (DESIGN §12): one trip each instead of some fifteen. The text of
``write_order`` is in alembic/checkout_1.sql. The lock order is the same in
every writer: promotions by id, the tenant's counter, the contact, stock by item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.commerce.checkout import rows
from app.commerce.checkout.basis import Basis
from app.commerce.checkout.rows import Row
from app.commerce.shipping.rules import Point
from app.core.database import fetch_one, raw

_CONTEXT = """
WITH s AS MATERIALIZED (SELECT * FROM stores WHERE slug = $1),
c AS MATERIALIZED (
  SELECT coalesce(merged_into_id, id) AS id, phone, is_blocked FROM contacts
  WHERE phone IN (($7::text[])[1], ($7::text[])[2])
  ORDER BY array_position($7::text[], phone) LIMIT 1
), sold AS MATERIALIZED (
  -- Two halves, so that the wanted are looked up by key also among ten thousand.
  SELECT * FROM products WHERE id = ANY ($2::uuid[]) AND is_active AND deleted_at IS NULL
  UNION ALL
  (SELECT * FROM products WHERE NOT id = ANY ($2::uuid[]) AND is_active AND deleted_at IS NULL
   LIMIT $8)
)
SELECT
 coalesce((SELECT version FROM price_versions), 0) AS version,
 (SELECT row_to_json(x) FROM (SELECT id, name, slug, timezone, is_active, hours, exceptions,
    delivery_enabled, pickup_enabled, preorder_enabled, preorder_lead_minutes,
    preorder_slot_minutes, preorder_horizon_days, min_order_cents, free_shipping_above_cents,
    preparation_minutes, payment_methods, latitude, longitude, preorder_capacity,
    preorder_delivery_capacity, preorder_pickup_capacity, cutoff_minutes, paused_until,
    busy_minutes, distance_source, delivery_payment_methods, pickup_payment_methods
    FROM s) x)::text AS store,
 (SELECT json_agg(x) FROM (SELECT p.id, p.category_id, p.name, p.for_delivery, p.for_pickup,
    coalesce(o.delivery_price_cents, o.price_cents, p.delivery_price_cents, p.price_cents)
      AS delivery,
    coalesce(o.pickup_price_cents, o.price_cents, p.pickup_price_cents, p.price_cents) AS pickup,
    EXISTS (SELECT FROM stock_levels t WHERE t.store_id = (SELECT id FROM s)
      AND t.item_id = p.id) AS is_tracked,
    CASE WHEN k.windows <> '[]' OR k.is_paused OR p.windows <> '[]' OR p.is_paused
      THEN json_build_array(
        json_build_object('windows', k.windows, 'is_paused', k.is_paused,
          'paused_until', k.paused_until),
        json_build_object('windows', p.windows, 'is_paused', p.is_paused,
          'paused_until', p.paused_until)) END AS shelves,
    (SELECT json_agg(json_build_object('id', v.id, 'name', v.name,
        'delivery', coalesce(v.delivery_price_cents, v.price_cents),
        'pickup', coalesce(v.pickup_price_cents, v.price_cents),
        'is_tracked', EXISTS (SELECT FROM stock_levels t WHERE t.store_id = (SELECT id FROM s)
          AND t.item_id = v.id)))
      FROM variants v WHERE v.product_id = p.id AND v.is_active AND v.deleted_at IS NULL)
      AS variants,
    (SELECT json_agg(y) FROM (SELECT g.id, g.min_choices, g.max_choices, g.free_quantity,
        (SELECT json_agg(json_build_object('id', m.id, 'name', m.name,
            'price_cents', m.price_cents, 'max_quantity', m.max_quantity,
            'is_tracked', EXISTS (SELECT FROM stock_levels t
              WHERE t.store_id = (SELECT id FROM s) AND t.item_id = m.id)))
          FROM modifiers m WHERE m.group_id = g.id AND m.is_active) AS modifiers
      FROM product_modifier_groups l JOIN modifier_groups g ON g.id = l.group_id
      WHERE l.product_id = p.id AND g.is_active AND g.deleted_at IS NULL) y) AS groups
    FROM sold p JOIN categories k ON k.id = p.category_id
    LEFT JOIN store_products o ON o.product_id = p.id AND o.store_id = (SELECT id FROM s)
    WHERE k.is_active AND k.deleted_at IS NULL AND coalesce(o.is_available, true)) x)::text
   AS products,
 (SELECT json_object_agg(item_id, on_hand) FROM stock_levels
    WHERE store_id = (SELECT id FROM s) AND item_id = ANY ($3::uuid[]))::text AS stock,
 (SELECT json_agg(x) FROM (SELECT p.*, CASE WHEN per_customer_limit IS NULL THEN 0 ELSE
      (SELECT count(*) FROM promotion_redemptions r WHERE r.promotion_id = p.id
        AND r.contact_id = (SELECT id FROM c) AND r.released_at IS NULL) END AS customer_used,
      CASE WHEN by_codes THEN (SELECT json_agg(json_build_object('code', t.code, 'usage_limit',
          t.usage_limit, 'used_count', t.used_count, 'is_revoked', t.revoked_at IS NOT NULL))
        FROM promotion_codes t WHERE t.promotion_id = p.id AND t.code = ANY ($4::text[]))
      END AS codes
    FROM promotions p WHERE is_active AND deleted_at IS NULL
      AND CASE WHEN by_codes THEN id IN (SELECT t.promotion_id FROM promotion_codes t
          WHERE t.code = ANY ($4::text[]))
        ELSE code IS NULL OR code = ANY ($4::text[]) END) x)::text AS promotions,
 (SELECT json_agg(x) FROM (SELECT id, kind, position, max_meters, cep_from, cep_to, district,
      fee_cents, minutes FROM shipping_rules
    WHERE $5 AND is_active AND store_id = (SELECT id FROM s)) x)::text AS shipping,
 (SELECT json_build_array(latitude, longitude) FROM postal_areas WHERE prefix = $6)::text AS area,
 (SELECT row_to_json(x) FROM (SELECT c.*, EXISTS (SELECT FROM orders o
      WHERE o.contact_id = c.id AND o.status NOT IN ('cancelled', 'rejected')) AS has_ordered
    FROM c) x)::text AS contact
"""

_LOCK_PROMOTIONS = """
SELECT id FROM promotions WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

_WRITE = "SELECT number, is_blocked, taken, scarce, earlier FROM write_order($1::text::jsonb)"
_LOCK_CART = "SELECT pg_advisory_xact_lock(hashtextextended(app_tenant_id() || $1::uuid::text, 22))"


@dataclass(frozen=True, slots=True)
class Placed:
    number: int
    is_blocked: bool
    taken: int
    """How many stock levels were taken from; fewer than asked: somebody was faster."""
    scarce: list[Row]
    """Levels that this order emptied, or took down to their alert level."""
    earlier: int | None
    """The number of the order that the cart became before; then nothing else was written."""


class CheckoutRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def basis(
        self,
        store: str,
        products: Sequence[UUID],
        items: Sequence[UUID],
        codes: Sequence[str],
        area: str | None,
        phones: Sequence[str],
        others: int = 0,
    ) -> Basis:
        """Read, in one statement, all that prices and permits this cart.

        ``items`` are all that stock is asked of, ``area`` the first digits of a delivery's CEP;
        up to ``others`` products that the cart does not want come along to be remembered.
        """
        row = await fetch_one(
            self.session,
            _CONTEXT,
            store,
            products,
            items,
            codes,
            area is not None,
            area,
            phones,
            others,
        )
        point = orjson.loads(row["area"]) if row["area"] else None
        stock = orjson.loads(row["stock"] or "{}")
        sells = rows.store_basis(row["store"]) if row["store"] else None
        return Basis(
            version=row["version"],
            store=sells,
            products=rows.products(_many(row["products"]), sells.timezone) if sells else {},
            offers=tuple(map(rows.offer, _many(row["promotions"]))),
            shipping=tuple(map(rows.shipping_rule, _many(row["shipping"]))),
            area=Point(*point) if point else None,
            stock={UUID(key): on_hand for key, on_hand in stock.items()},
            customer=rows.customer(orjson.loads(row["contact"]) if row["contact"] else None),
        )

    async def ordered_as(self, cart_id: UUID) -> int | None:
        """The number of the order that this cart became; its checkouts go one after another."""
        driver = await raw(self.session)
        await driver.execute(_LOCK_CART, cart_id)
        found: int | None = await driver.fetchval(
            "SELECT number FROM orders WHERE cart_id = $1", cart_id
        )
        return found

    async def lock_promotions(self, ids: list[UUID]) -> None:
        """Take the promotions, in id order, before their limits are read for the last time."""
        await (await raw(self.session)).execute(_LOCK_PROMOTIONS, ids)

    async def stock_left(self, store_id: UUID, items: list[UUID]) -> dict[UUID, int]:
        """What is on hand now, committed by whoever was faster."""
        found = await (await raw(self.session)).fetch(
            "SELECT item_id, on_hand FROM stock_levels "
            "WHERE store_id = $1 AND item_id = ANY ($2::uuid[])",
            store_id,
            items,
        )
        return {row["item_id"]: row["on_hand"] for row in found}

    async def write(self, order: dict[str, Any]) -> Placed:
        """Write the whole order in one statement; the caller compares ``taken`` with its demand."""
        row = await fetch_one(self.session, _WRITE, orjson.dumps(order).decode())
        scarce = _many(row["scarce"])
        blocked, earlier = bool(row["is_blocked"]), row["earlier"]
        return Placed(row["number"], blocked, row["taken"], scarce, earlier)


def _many(text: str | None) -> list[Row]:
    found: list[Row] = orjson.loads(text) if text else []
    return found
