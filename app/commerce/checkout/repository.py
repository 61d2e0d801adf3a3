"""The two statements of a checkout: read all it depends on, write all it means.

Hand-written on the driver (DESIGN §12): one statement each instead of some fifteen round trips.
The lock order is the same in every writer: promotions by id, the tenant's counter, stock by item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.commerce.checkout.basis import Basis
from app.commerce.checkout.draft import Draft, DraftLine, Redemption
from app.commerce.checkout.rows import Row
from app.core.database import fetch_one, raw
from app.core.ids import new_id

_CONTEXT = """
WITH s AS MATERIALIZED (SELECT * FROM stores WHERE slug = $1),
c AS MATERIALIZED (
  SELECT id, phone, is_blocked FROM contacts WHERE phone = ANY ($8::text[])
  ORDER BY array_position($8::text[], phone) LIMIT 1
)
SELECT
 (SELECT row_to_json(x) FROM (SELECT id, name, slug, timezone, is_active, hours, exceptions,
    delivery_enabled, pickup_enabled, preorder_enabled, preorder_lead_minutes,
    preorder_slot_minutes, preorder_horizon_days, min_order_cents, free_shipping_above_cents,
    preparation_minutes, payment_methods, latitude, longitude FROM s) x)::text AS store,
 (SELECT json_agg(x) FROM (SELECT p.id, p.category_id, p.name, p.price_cents, p.for_delivery,
    p.for_pickup, o.price_cents AS override_cents,
    EXISTS (SELECT FROM variants v WHERE v.product_id = p.id AND v.is_active
            AND v.deleted_at IS NULL) AS has_variants
    -- OFFSET 0: by primary key first, also for a tenant with ten thousand products.
    FROM (SELECT * FROM products WHERE id = ANY ($2::uuid[]) AND is_active
          AND deleted_at IS NULL OFFSET 0) p
    JOIN categories k ON k.id = p.category_id
    LEFT JOIN store_products o ON o.product_id = p.id AND o.store_id = (SELECT id FROM s)
    WHERE k.is_active AND k.deleted_at IS NULL AND coalesce(o.is_available, true)) x)::text
   AS products,
 (SELECT json_agg(x) FROM (SELECT id, product_id, name, price_cents FROM variants
    WHERE id = ANY ($3::uuid[]) AND is_active AND deleted_at IS NULL) x)::text AS variants,
 (SELECT json_agg(x) FROM (SELECT l.product_id, g.id, g.name, g.min_choices, g.max_choices,
    g.free_quantity, (SELECT json_agg(json_build_object('id', m.id, 'name', m.name,
        'price_cents', m.price_cents, 'max_quantity', m.max_quantity))
      FROM modifiers m WHERE m.group_id = g.id AND m.is_active) AS modifiers
    FROM product_modifier_groups l JOIN modifier_groups g ON g.id = l.group_id
    WHERE l.product_id = ANY ($2::uuid[]) AND g.is_active AND g.deleted_at IS NULL) x)::text
   AS groups,
 (SELECT json_object_agg(item_id, on_hand) FROM stock_levels
    WHERE store_id = (SELECT id FROM s) AND item_id = ANY ($4::uuid[]))::text AS stock,
 (SELECT json_agg(x) FROM (SELECT p.*, CASE WHEN per_customer_limit IS NULL THEN 0 ELSE
      (SELECT count(*) FROM promotion_redemptions r WHERE r.promotion_id = p.id
        AND r.contact_id = (SELECT id FROM c) AND r.released_at IS NULL) END AS customer_used
    FROM promotions p WHERE is_active AND deleted_at IS NULL
      AND (code IS NULL OR code = ANY ($5::text[]))) x)::text AS promotions,
 (SELECT json_agg(x) FROM (SELECT id, kind, position, max_meters, cep_from, cep_to, district,
      fee_cents, minutes FROM shipping_rules
    WHERE $6 AND is_active AND store_id = (SELECT id FROM s)) x)::text AS shipping,
 (SELECT json_build_array(latitude, longitude) FROM postal_areas WHERE prefix = $7)::text AS area,
 (SELECT row_to_json(x) FROM (SELECT c.*, EXISTS (SELECT FROM orders o
      WHERE o.contact_id = c.id AND o.status NOT IN ('cancelled', 'rejected')) AS has_ordered
    FROM c) x)::text AS contact
"""

_LOCK_PROMOTIONS = """
SELECT id FROM promotions WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

_WRITE = """
WITH counter AS (
  INSERT INTO order_counters (id, last_number) VALUES ($1, 1)
  ON CONFLICT (tenant_id) DO UPDATE SET last_number = order_counters.last_number + 1
  RETURNING last_number
), contact AS (
  INSERT INTO contacts (id, name, phone, email, source, last_order_at)
  SELECT $45, $2, $3, $4, $16, now() FROM counter
  -- Whoever knows a number may order with it, but not rename the person it belongs to.
  ON CONFLICT (tenant_id, phone) DO UPDATE SET
    email = coalesce(contacts.email, excluded.email), last_order_at = now()
  RETURNING id
), placed AS (
  INSERT INTO orders (id, number, store_id, contact_id, customer_name, customer_phone, fulfilment,
    scheduled_for, promised_at, subtotal_cents, discount_cents, shipping_cents,
    shipping_discount_cents, total_cents, currency, note, source)
  SELECT $1, counter.last_number, $5, contact.id, $2, $3, $6, $7::timestamptz,
    $8::timestamptz, $9, $10, $11, $12, $13, $14, $15, $16 FROM counter, contact
), lines AS (
  INSERT INTO order_items (id, order_id, position, product_id, variant_id, name, variant_name,
    unit_price_cents, quantity, discount_cents, total_cents, modifiers, note)
  SELECT l.id, $1, l.position, l.product_id, l.variant_id, l.name, l.variant_name, l.unit,
    l.quantity, l.discount, l.unit * l.quantity - l.discount, l.modifiers::jsonb, l.note
  FROM unnest($17::uuid[], $18::bigint[], $19::uuid[], $20::uuid[], $21::text[], $22::text[],
    $23::bigint[], $24::bigint[], $25::bigint[], $26::text[], $27::text[])
    AS l(id, position, product_id, variant_id, name, variant_name, unit, quantity, discount,
         modifiers, note)
), paid AS (
  INSERT INTO payments (id, order_id, method, amount_cents, change_for_cents)
  VALUES ($1, $1, $28, $13, $29)
), carried AS (
  INSERT INTO deliveries (id, order_id, postal_code, address, distance_meters, fee_cents,
    minutes, rule_id)
  SELECT $1, $1, $30::text, $31::jsonb, $32::bigint, $11, $33::bigint, $34::uuid
  WHERE $30::text IS NOT NULL
), remembered AS (
  INSERT INTO customer_addresses (id, contact_id, postal_code, address)
  SELECT $1, contact.id, $30::text, $31::jsonb FROM contact
  WHERE $30::text IS NOT NULL AND NOT EXISTS (SELECT FROM customer_addresses a
    WHERE a.contact_id = contact.id AND a.address = $31::jsonb)
), told AS (
  INSERT INTO order_status_changes (id, order_id, after, actor_kind, actor_name)
  VALUES ($1, $1, 'pending', $35, $36)
), redeemed AS (
  INSERT INTO promotion_redemptions (id, promotion_id, order_id, contact_id, name, code,
    amount_cents, shipping_cents)
  SELECT r.id, r.promotion_id, $1, contact.id, r.name, r.code, r.amount, r.shipping
  FROM contact, unnest($37::uuid[], $38::uuid[], $39::text[], $40::text[], $41::bigint[],
    $42::bigint[]) AS r(id, promotion_id, name, code, amount, shipping)
), spent AS (
  UPDATE promotions p SET used_count = used_count + 1,
    spent_cents = spent_cents + r.amount + r.shipping
  FROM unnest($38::uuid[], $41::bigint[], $42::bigint[]) AS r(id, amount, shipping)
  WHERE p.id = r.id
), locked AS MATERIALIZED (
  -- The counter joins in so that it is locked before any stock, in every checkout.
  SELECT l.id, l.item_id, l.item_kind, d.quantity, d.movement_id
  FROM counter, unnest($43::uuid[], $44::bigint[], $46::uuid[])
    AS d(item_id, quantity, movement_id)
  JOIN stock_levels l ON l.item_id = d.item_id
  -- The list again: it makes the planner look the items up instead of reading the store's all.
  WHERE l.store_id = $5 AND l.item_id = ANY ($43::uuid[]) AND l.on_hand >= d.quantity
  ORDER BY l.item_id FOR NO KEY UPDATE OF l
), taken AS (
  UPDATE stock_levels l SET on_hand = l.on_hand - k.quantity FROM locked k WHERE l.id = k.id
  RETURNING l.id, l.item_id, l.item_kind, l.on_hand, l.low_at, k.quantity, k.movement_id
), moved AS (
  INSERT INTO stock_movements (id, store_id, item_kind, item_id, kind, quantity, order_id,
    actor_name)
  SELECT t.movement_id, $5, t.item_kind, t.item_id, 'sale', -t.quantity, $1, $36 FROM taken t
)
SELECT (SELECT last_number FROM counter) AS number, (SELECT id FROM contact) AS contact_id,
  (SELECT count(*) FROM taken) AS taken,
  (SELECT json_agg(t) FROM taken t WHERE on_hand = 0
     OR (on_hand <= low_at AND on_hand + quantity > low_at))::text AS scarce
"""


@dataclass(frozen=True, slots=True)
class Placed:
    number: int
    contact_id: UUID
    taken: int
    """How many stock levels were taken from; fewer than asked: somebody was faster."""
    scarce: list[Row]
    """Levels that this order emptied, or took down to their alert level."""


class CheckoutRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def basis(
        self,
        store: str,
        products: list[UUID],
        variants: list[UUID],
        modifiers: list[UUID],
        codes: list[str],
        postal_code: str | None,
        phones: tuple[str, ...],
    ) -> Basis:
        """Read, in one statement, all that prices and permits this cart."""
        row = await fetch_one(
            self.session,
            _CONTEXT,
            store,
            products,
            variants,
            [*products, *variants, *modifiers],
            codes,
            postal_code is not None,
            (postal_code or "")[:5],
            list(phones),
        )
        groups: dict[UUID, list[Row]] = {}
        for group in _many(row["groups"]):
            groups.setdefault(UUID(group["product_id"]), []).append(group)
        area = orjson.loads(row["area"]) if row["area"] else None
        return Basis(
            store=row["store"],
            products={UUID(p["id"]): p for p in _many(row["products"])},
            variants={UUID(v["id"]): v for v in _many(row["variants"])},
            groups=groups,
            stock={UUID(k): v for k, v in orjson.loads(row["stock"] or "{}").items()},
            promotions=_many(row["promotions"]),
            shipping=_many(row["shipping"]),
            area=(area[0], area[1]) if area else None,
            contact=orjson.loads(row["contact"]) if row["contact"] else None,
        )

    async def lock_promotions(self, ids: list[UUID]) -> None:
        """Take the promotions, in id order, before their limits are read for the last time."""
        await (await raw(self.session)).execute(_LOCK_PROMOTIONS, ids)

    async def stock_left(self, store_id: UUID, items: list[UUID]) -> dict[UUID, int]:
        """What is on hand now, committed by whoever was faster."""
        rows = await (await raw(self.session)).fetch(
            "SELECT item_id, on_hand FROM stock_levels "
            "WHERE store_id = $1 AND item_id = ANY ($2::uuid[])",
            store_id,
            items,
        )
        return {row["item_id"]: row["on_hand"] for row in rows}

    async def write(
        self, order_id: UUID, draft: Draft, *, promised_at: datetime, actor: tuple[str, str]
    ) -> Placed:
        """Write the whole order in one statement; the caller compares ``taken`` with its demand."""
        totals, address = draft.totals, draft.address
        row = await fetch_one(
            self.session,
            _WRITE,
            order_id,
            draft.customer_name,
            draft.customer_phone,
            draft.customer_email,
            draft.store.id,
            draft.fulfilment.value,
            draft.scheduled_for,
            promised_at,
            totals.subtotal_cents,
            totals.discount_cents,
            totals.shipping_cents,
            totals.shipping_discount_cents,
            totals.total_cents,
            draft.currency,
            draft.note,
            draft.source,
            *_line_columns(draft.lines),
            draft.payment_method,
            draft.change_for_cents,
            address["postal_code"] if address else None,
            orjson.dumps(address).decode() if address else None,
            draft.distance_meters,
            draft.eta_minutes,
            draft.rule_id,
            *actor,
            *_use_columns(draft.redemptions),
            list(draft.demand),
            list(draft.demand.values()),
            new_id(),
            [new_id() for _ in draft.demand],
        )
        return Placed(row["number"], row["contact_id"], row["taken"], _many(row["scarce"]))


def _line_columns(lines: Sequence[DraftLine]) -> tuple[list[Any], ...]:
    """The lines as the columns of _WRITE, in its order."""
    return (
        [new_id() for _ in lines],
        list(range(len(lines))),
        [line.product_id for line in lines],
        [line.variant_id for line in lines],
        [line.name for line in lines],
        [line.variant_name for line in lines],
        [line.unit_cents for line in lines],
        [line.quantity for line in lines],
        [line.discount_cents for line in lines],
        [orjson.dumps(line.modifiers).decode() for line in lines],
        [line.note for line in lines],
    )


def _use_columns(uses: Sequence[Redemption]) -> tuple[list[Any], ...]:
    """The promotions' uses as the columns of _WRITE, in its order."""
    return (
        [new_id() for _ in uses],
        [use.promotion_id for use in uses],
        [use.name for use in uses],
        [use.code for use in uses],
        [use.items_cents for use in uses],
        [use.shipping_cents for use in uses],
    )


def _many(text: str | None) -> list[Row]:
    found: list[Row] = orjson.loads(text) if text else []
    return found
