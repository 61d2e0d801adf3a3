"""What must hold of a shop at any moment, recounted in Postgres from the rows alone."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from tests.factories.tenants import World

BROKEN: dict[str, str] = {
    "a level is not the sum of its ledger, or is negative": """
        SELECT coalesce(l.item_id, m.item_id), l.on_hand, m.moved FROM stock_levels l
        FULL JOIN (SELECT store_id, item_id, sum(quantity) AS moved FROM stock_movements
                   GROUP BY 1, 2) m ON m.store_id = l.store_id AND m.item_id = l.item_id
        WHERE coalesce(l.on_hand, 0) <> coalesce(m.moved, 0) OR l.on_hand < 0""",
    "an order does not hold exactly the stock of its lines, or holds some after its end": """
        SELECT o.number, o.status, i.item_id, i.wanted, m.held
        FROM orders o
        CROSS JOIN LATERAL (SELECT product_id AS item_id, sum(quantity) AS wanted
          FROM order_items WHERE order_id = o.id GROUP BY 1) i
        JOIN stock_levels l ON l.store_id = o.store_id AND l.item_id = i.item_id
        LEFT JOIN LATERAL (SELECT -sum(quantity) AS held FROM stock_movements
          WHERE order_id = o.id AND item_id = i.item_id AND kind IN ('sale', 'cancellation')) m
          ON true
        WHERE coalesce(m.held, 0) <>
          CASE WHEN o.status IN ('cancelled', 'rejected') THEN 0 ELSE i.wanted END""",
    "an order holds stock of something that is not among its lines": """
        SELECT order_id, item_id, sum(quantity) FROM stock_movements m
        WHERE kind IN ('sale', 'cancellation') AND NOT EXISTS (SELECT FROM order_items i
          WHERE i.order_id = m.order_id AND i.product_id = m.item_id)
        GROUP BY 1, 2 HAVING sum(quantity) <> 0""",
    "a total is not the sum of its lines": """
        SELECT o.number, o.subtotal_cents, o.discount_cents, o.total_cents, i.net
        FROM orders o JOIN (SELECT order_id, sum(unit_price_cents * quantity) AS gross,
            sum(discount_cents) AS off, sum(total_cents) AS net
          FROM order_items GROUP BY 1) i ON i.order_id = o.id
        WHERE o.subtotal_cents <> i.gross OR o.discount_cents <> i.off OR o.total_cents < 0
          OR o.total_cents <> i.net + o.shipping_cents - o.shipping_discount_cents""",
    "a discount is not the sum of what its promotions gave": """
        SELECT o.number, o.discount_cents, r.given FROM orders o
        LEFT JOIN (SELECT order_id, sum(amount_cents) AS given, sum(shipping_cents) AS freight
          FROM promotion_redemptions WHERE released_at IS NULL GROUP BY 1) r ON r.order_id = o.id
        WHERE o.status NOT IN ('cancelled', 'rejected')
          AND (o.discount_cents <> coalesce(r.given, 0)
            OR o.shipping_discount_cents <> coalesce(r.freight, 0))""",
    "a use outlives its order": """
        SELECT o.number, o.status FROM promotion_redemptions r JOIN orders o ON o.id = r.order_id
        WHERE r.released_at IS NULL AND o.status IN ('cancelled', 'rejected')""",
    "a promotion's counters are not its uses, or pass its limits": """
        SELECT p.code, p.used_count, p.spent_cents, r.uses, r.cents FROM promotions p
        LEFT JOIN (SELECT promotion_id, count(*) AS uses,
            sum(amount_cents + shipping_cents) AS cents
          FROM promotion_redemptions WHERE released_at IS NULL GROUP BY 1) r
          ON r.promotion_id = p.id
        WHERE p.used_count <> coalesce(r.uses, 0) OR p.spent_cents <> coalesce(r.cents, 0)
          OR p.used_count > p.usage_limit OR p.spent_cents > p.budget_cents""",
    "somebody used a promotion more often than one may": """
        SELECT p.code, r.contact_id, count(*) FROM promotion_redemptions r
        JOIN promotions p ON p.id = r.promotion_id WHERE r.released_at IS NULL
        GROUP BY p.id, p.code, p.per_customer_limit, r.contact_id
        HAVING count(*) > p.per_customer_limit""",
    "a generated code's counter is not its uses, or passes its limit": """
        SELECT k.code, k.used_count, count(r.id) FROM promotion_codes k
        LEFT JOIN promotion_redemptions r ON r.code = k.code AND r.promotion_id = k.promotion_id
          AND r.released_at IS NULL
        GROUP BY k.id, k.code, k.used_count, k.usage_limit
        HAVING k.used_count <> count(r.id) OR count(r.id) > k.usage_limit""",
    "order numbers have holes": """
        SELECT count(*), min(number), max(number), (SELECT last_number FROM order_counters)
        FROM orders HAVING count(*) > 0 AND (min(number) <> 1 OR max(number) <> count(*)
          OR (SELECT last_number FROM order_counters) <> count(*))""",
    "more went back than came in, or money of a dead order did not": """
        SELECT o.number, o.status, p.received, r.back FROM orders o
        JOIN (SELECT order_id, sum(received_cents) AS received FROM payments GROUP BY 1) p
          ON p.order_id = o.id
        LEFT JOIN (SELECT order_id, sum(amount_cents) AS back FROM payment_refunds
          WHERE status <> 'failed' GROUP BY 1) r ON r.order_id = o.id
        WHERE coalesce(r.back, 0) > p.received
          OR (o.status IN ('cancelled', 'rejected') AND coalesce(r.back, 0) <> p.received)""",
}
"""Queries by what it means when they find a row."""


async def broken(world: World) -> dict[str, list[Any]]:
    """Whatever does not hold, with the rows that show it; empty when all is well."""
    async with world.work() as work:
        found = {}
        for what, query in BROKEN.items():
            rows = (await work.session.execute(text(query))).all()
            if rows:
                found[what] = [tuple(row) for row in rows]
        return found


async def on_hand(world: World) -> dict[tuple[str, str], int]:
    """Levels by (store id, item id)."""
    async with world.work() as work:
        rows = await work.session.execute(
            text("SELECT store_id, item_id, on_hand FROM stock_levels")
        )
        return {(str(store), str(item)): left for store, item, left in rows}


async def sold(world: World) -> dict[tuple[str, str], int]:
    """What orders that were not called off took, by (store id, item id)."""
    query = """
        SELECT o.store_id, i.product_id, sum(i.quantity)::bigint FROM orders o
        JOIN order_items i ON i.order_id = o.id
        WHERE o.status NOT IN ('cancelled', 'rejected') GROUP BY 1, 2"""
    async with world.work() as work:
        rows = await work.session.execute(text(query))
        return {(str(store), str(item)): taken for store, item, taken in rows}
