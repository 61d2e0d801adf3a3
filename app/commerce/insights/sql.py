"""The statements of insights: one definition of every figure, for the sums and for the recount."""

from __future__ import annotations

CLOSED_AFTER = "interval '7 hours'"
"""After a day's end; the triggers note what concerns orders older than six hours."""

_LOST = "('cancelled', 'rejected')"

# Segments $1..$7: period, store, timezone, from and to (instants, a little wide), first and last
# day (exclusive). ``fact`` is additive in every column: days add up to months and periods.
_FACTS = f"""
WITH seg AS (
  SELECT * FROM unnest($1::int[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[],
    $6::date[], $7::date[]) AS s(period, store_id, timezone, since, until, first_day, end_day)
), o AS MATERIALIZED (
  SELECT s.period, o.id, o.store_id, o.contact_id, o.placed_at, o.status, o.fulfilment, o.source,
    o.cancel_reason, o.total_cents, o.discount_cents, o.shipping_cents, o.shipping_discount_cents,
    o.promised_at, o.status NOT IN {_LOST} AS counts, l.at::date AS day,
    extract(isodow FROM l.at)::int AS weekday, extract(hour FROM l.at)::int AS hour
  FROM seg s
  JOIN orders o ON o.store_id = s.store_id AND o.placed_at >= s.since AND o.placed_at < s.until
  CROSS JOIN LATERAL (SELECT o.placed_at AT TIME ZONE s.timezone AS at) l
  WHERE l.at >= s.first_day AND l.at < s.end_day
), k AS MATERIALIZED (SELECT * FROM o WHERE o.counts),
steps AS (
  SELECT k.period, k.store_id, k.day, k.promised_at,
    min(h.created_at) FILTER (WHERE h.after = 'pending') AS pending,
    min(h.created_at) FILTER (WHERE h.after = 'confirmed') AS confirmed,
    min(h.created_at) FILTER (WHERE h.after = 'ready') AS ready,
    min(h.created_at) FILTER (WHERE h.after = 'out_for_delivery') AS dispatched,
    min(h.created_at) FILTER (WHERE h.after = 'delivered') AS delivered
  FROM k JOIN order_status_changes h ON h.order_id = k.id
  GROUP BY k.period, k.store_id, k.day, k.promised_at, k.id
), spans AS (
  SELECT s.period, s.store_id, s.day, t.key, t.seconds FROM steps s CROSS JOIN LATERAL (VALUES
    ('preparation', extract(epoch FROM s.ready - s.confirmed)),
    ('delivery', extract(epoch FROM s.delivered - s.dispatched)),
    ('door', extract(epoch FROM s.delivered - s.pending)),
    ('late', extract(epoch FROM s.delivered - s.promised_at))
  ) AS t(key, seconds)
  WHERE t.seconds IS NOT NULL AND (t.key <> 'late' OR t.seconds > 0)
), fact AS MATERIALIZED (
  SELECT period, store_id, day, 'sales' AS kind, '' AS key, '' AS label, count(*) AS orders,
    sum(shipping_cents - shipping_discount_cents)::bigint AS quantity,
    sum(total_cents)::bigint AS amount_cents
  FROM k GROUP BY period, store_id, day
  UNION ALL
  SELECT period, store_id, day, 'discount', '', '', count(*), 0,
    sum(discount_cents + shipping_discount_cents)
  FROM k WHERE discount_cents + shipping_discount_cents > 0 GROUP BY period, store_id, day
  UNION ALL
  SELECT period, store_id, day, 'status', status, '', count(*), 0, sum(total_cents)
  FROM o GROUP BY period, store_id, day, status
  UNION ALL
  SELECT period, store_id, day, 'reason', coalesce(cancel_reason, ''),
    coalesce(cancel_reason, ''), count(*), 0, sum(total_cents)
  FROM o WHERE NOT counts GROUP BY period, store_id, day, cancel_reason
  UNION ALL
  SELECT period, store_id, day, 'customer', which.key, '', count(*), 0, sum(total_cents)
  FROM k CROSS JOIN LATERAL (SELECT CASE WHEN EXISTS (SELECT FROM orders e
    WHERE e.contact_id = k.contact_id AND e.status NOT IN {_LOST}
      AND (e.placed_at, e.id) < (k.placed_at, k.id)) THEN 'returning' ELSE 'new' END AS key) which
  GROUP BY period, store_id, day, which.key
  UNION ALL
  SELECT period, store_id, day, 'hour', weekday || '-' || hour, '', count(*), 0, sum(total_cents)
  FROM k GROUP BY period, store_id, day, weekday, hour
  UNION ALL
  SELECT period, store_id, day, 'fulfilment', fulfilment, '', count(*), 0, sum(total_cents)
  FROM k GROUP BY period, store_id, day, fulfilment
  UNION ALL
  SELECT period, store_id, day, 'source', source, '', count(*), 0, sum(total_cents)
  FROM k GROUP BY period, store_id, day, source
  UNION ALL
  SELECT k.period, k.store_id, k.day, 'product', coalesce(i.product_id::text, i.name), max(i.name),
    count(DISTINCT k.id), sum(i.quantity), sum(i.total_cents)
  FROM k JOIN order_items i ON i.order_id = k.id
  GROUP BY k.period, k.store_id, k.day, coalesce(i.product_id::text, i.name)
  UNION ALL
  SELECT k.period, k.store_id, k.day, 'payment', p.method, '', count(DISTINCT k.id), 0,
    sum(p.amount_cents)
  FROM k JOIN payments p ON p.order_id = k.id
  WHERE p.status NOT IN ('failed', 'cancelled') GROUP BY k.period, k.store_id, k.day, p.method
  UNION ALL
  SELECT k.period, k.store_id, k.day, 'promotion', r.promotion_id::text, max(r.name),
    count(DISTINCT k.id), 0, sum(r.amount_cents + r.shipping_cents)
  FROM k JOIN promotion_redemptions r ON r.order_id = k.id
  WHERE r.released_at IS NULL GROUP BY k.period, k.store_id, k.day, r.promotion_id
  UNION ALL
  SELECT k.period, k.store_id, k.day, 'distance', band.key, '', count(*),
    sum(k.shipping_cents), sum(k.total_cents)
  FROM k JOIN deliveries d ON d.order_id = k.id CROSS JOIN LATERAL (SELECT CASE
    WHEN d.distance_meters IS NULL THEN 'unknown' WHEN d.distance_meters < 1000 THEN '0-1'
    WHEN d.distance_meters < 2000 THEN '1-2' WHEN d.distance_meters < 3000 THEN '2-3'
    WHEN d.distance_meters < 5000 THEN '3-5' WHEN d.distance_meters < 8000 THEN '5-8'
    WHEN d.distance_meters < 12000 THEN '8-12' ELSE '12+' END AS key) band
  GROUP BY k.period, k.store_id, k.day, band.key
  UNION ALL
  SELECT period, store_id, day, 'time', key, '', count(*), round(sum(seconds))::bigint, 0
  FROM spans GROUP BY period, store_id, day, key
)
"""  # noqa: S608 - the fragments are constants of this module

# $8..$12: cells by period, store, grain, first day, end; $13..$16: day cells for the series.
# $17: how many products, $18: what the series shows, $19: every kind but products, $20: buckets,
# $21: what is shown of the period before, $22: how deep the lists of best products are read.
# LATERAL with OFFSET 0: each segment is looked up by index, whatever the planner thinks of arrays.
#
# The best products of a period are found without adding up all of them (Fagin's threshold
# algorithm): ``top`` is the head of each day's or month's list. A product below the heads has at
# most ``rest.most``, the sum of the heads' last amounts; one above may have ``possible``. Who may
# be among the best is then added up exactly. ``proof`` says whether nobody else can be: if not,
# the statement is asked again with longer heads.
_OF_PRODUCT = """
    SELECT * FROM insight_cells c WHERE c.store_id = g.store_id AND c.grain = g.grain
      AND c.kind = 'product' AND c.key = b.key AND c.day >= g.first_day AND c.day < g.end_day
    OFFSET 0
"""
ANSWER = f"""
{_FACTS}, cells AS MATERIALIZED (
  SELECT * FROM unnest($8::int[], $9::uuid[], $10::text[], $11::date[], $12::date[])
    AS g(period, store_id, grain, first_day, end_day)
), pool AS (
  SELECT period, kind, key, label, orders, quantity, amount_cents FROM fact WHERE kind <> 'product'
  UNION ALL
  SELECT g.period, c.kind, c.key, c.label, c.orders, c.quantity, c.amount_cents
  FROM cells g CROSS JOIN LATERAL (
    SELECT * FROM insight_cells c WHERE c.store_id = g.store_id AND c.grain = g.grain
      AND c.kind = ANY (CASE g.period WHEN 0 THEN $19::text[] WHEN 1 THEN $21::text[]
        ELSE $18::text[] END)
      AND c.day >= g.first_day AND c.day < g.end_day OFFSET 0) c
), lists AS MATERIALIZED (
  SELECT row_number() OVER () AS list, g.store_id, g.grain, d::date AS day
  FROM cells g
  CROSS JOIN LATERAL generate_series(g.first_day, g.end_day - 1, ('1 ' || g.grain)::interval) d
  WHERE g.period = 0
), top AS MATERIALIZED (
  SELECT l.list, t.key, t.amount_cents FROM lists l CROSS JOIN LATERAL (
    SELECT c.key, c.amount_cents FROM insight_cells c
    WHERE c.store_id = l.store_id AND c.grain = l.grain AND c.kind = 'product' AND c.day = l.day
    ORDER BY c.amount_cents DESC LIMIT $22) t
  UNION ALL
  (SELECT 0, key, sum(amount_cents)::bigint FROM fact WHERE kind = 'product' AND period = 0
   GROUP BY key ORDER BY 3 DESC LIMIT $22)
), ranked AS MATERIALIZED (
  SELECT list, key, amount_cents, count(*) OVER w >= $22 AS is_cut,
    CASE WHEN count(*) OVER w < $22 THEN 0 ELSE min(amount_cents) OVER w END AS least
  FROM top WINDOW w AS (PARTITION BY list)
), rest AS MATERIALIZED (
  SELECT coalesce(sum(least), 0) AS most, coalesce(bool_or(is_cut), false) AS is_cut
  FROM (SELECT DISTINCT list, least, is_cut FROM ranked) l
), hopeful AS MATERIALIZED (
  SELECT key, sum(amount_cents) AS known,
    sum(amount_cents - least) + (SELECT most FROM rest) AS possible
  FROM ranked GROUP BY key
), bar AS (
  SELECT coalesce((SELECT known FROM hopeful ORDER BY known DESC OFFSET $17 - 1 LIMIT 1), 0)
    AS known
), chosen AS MATERIALIZED (
  SELECT h.key FROM hopeful h WHERE h.possible >= (SELECT known FROM bar)
), best AS MATERIALIZED (
  SELECT key, max(label) AS label, sum(orders)::bigint AS orders,
    sum(quantity)::bigint AS quantity, sum(amount_cents)::bigint AS amount_cents
  FROM (
    SELECT f.key, f.label, f.orders, f.quantity, f.amount_cents
    FROM fact f WHERE f.kind = 'product' AND f.period = 0
      AND f.key = ANY (ARRAY(SELECT key FROM chosen))
    UNION ALL
    SELECT c.key, c.label, c.orders, c.quantity, c.amount_cents
    FROM cells g CROSS JOIN chosen b CROSS JOIN LATERAL ({_OF_PRODUCT}) c
    WHERE g.period = 0
  ) p GROUP BY key ORDER BY sum(amount_cents) DESC, key LIMIT $17
), best_before AS (
  SELECT key, sum(orders)::bigint AS orders, sum(amount_cents)::bigint AS amount_cents
  FROM (
    SELECT f.key, f.orders, f.amount_cents FROM fact f
    WHERE f.kind = 'product' AND f.period = 1 AND f.key = ANY (ARRAY(SELECT key FROM best))
    UNION ALL
    SELECT c.key, c.orders, c.amount_cents
    FROM cells g CROSS JOIN best b CROSS JOIN LATERAL ({_OF_PRODUCT}) c
    WHERE g.period = 1
  ) p GROUP BY key
)
SELECT 0 AS period, NULL::date AS day, 'proof' AS kind, '' AS key, '' AS label,
  (NOT rest.is_cut OR bar.known > rest.most)::int::bigint AS orders, 0::bigint AS quantity,
  0::bigint AS amount_cents
FROM rest, bar
UNION ALL
SELECT period, NULL::date AS day, kind, key, max(label) AS label, sum(orders)::bigint AS orders,
  sum(quantity)::bigint AS quantity, sum(amount_cents)::bigint AS amount_cents
FROM pool GROUP BY period, kind, key
UNION ALL
SELECT 0, NULL, 'product', key, label, orders, quantity, amount_cents FROM best
UNION ALL
SELECT 1, NULL, 'product', key, '', orders, 0, amount_cents FROM best_before
UNION ALL
SELECT period, date_trunc($20, day::timestamp)::date, kind, key, '', sum(orders)::bigint,
  sum(quantity)::bigint, sum(amount_cents)::bigint
FROM (
  SELECT period, day, kind, key, orders, quantity, amount_cents FROM fact
  WHERE kind = ANY ($18::text[]) AND period < 2
  UNION ALL
  SELECT g.period, c.day, c.kind, c.key, c.orders, c.quantity, c.amount_cents
  FROM unnest($13::int[], $14::uuid[], $15::date[], $16::date[])
    AS g(period, store_id, first_day, end_day)
  CROSS JOIN LATERAL (
    SELECT * FROM insight_cells c WHERE c.store_id = g.store_id AND c.grain = 'day'
      AND c.kind = ANY ($18::text[]) AND c.day >= g.first_day AND c.day < g.end_day OFFSET 0) c
) shown GROUP BY 1, 2, kind, key
"""  # noqa: S608 - the fragments are constants of this module

# Segments $1..$7 as above, day cells $8..$10: store, first day, end.
SALES = f"""
SELECT day, sum(orders)::bigint AS orders, sum(amount_cents)::bigint AS amount_cents FROM (
  SELECT l.at::date AS day, 1 AS orders, o.total_cents AS amount_cents
  FROM unnest($1::int[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[],
    $6::date[], $7::date[]) AS s(period, store_id, timezone, since, until, first_day, end_day)
  JOIN orders o ON o.store_id = s.store_id AND o.placed_at >= s.since AND o.placed_at < s.until
  CROSS JOIN LATERAL (SELECT o.placed_at AT TIME ZONE s.timezone AS at) l
  WHERE l.at >= s.first_day AND l.at < s.end_day AND o.status NOT IN {_LOST}
  UNION ALL
  SELECT c.day, c.orders, c.amount_cents
  FROM unnest($8::uuid[], $9::date[], $10::date[]) AS g(store_id, first_day, end_day)
  CROSS JOIN LATERAL (
    SELECT * FROM insight_cells c WHERE c.store_id = g.store_id AND c.grain = 'day'
      AND c.kind = 'sales' AND c.day >= g.first_day AND c.day < g.end_day OFFSET 0) c
) found GROUP BY day
"""  # noqa: S608 - the fragment is a constant of this module

SUM_UP_DAYS = f"""
{_FACTS}
INSERT INTO insight_cells (id, store_id, grain, day, kind, key, label, orders, quantity,
  amount_cents)
SELECT gen_random_uuid(), store_id, 'day', day, kind, key, label, orders, quantity, amount_cents
FROM fact
"""  # noqa: S608 - the fragments are constants of this module

SUM_UP_MONTHS = """
INSERT INTO insight_cells (id, store_id, grain, day, kind, key, label, orders, quantity,
  amount_cents)
SELECT gen_random_uuid(), c.store_id, 'month', m.month, c.kind, c.key, max(c.label), sum(c.orders),
  sum(c.quantity), sum(c.amount_cents)
FROM unnest($1::uuid[], $2::date[]) AS m(store_id, month)
JOIN insight_cells c ON c.store_id = m.store_id AND c.grain = 'day' AND c.day >= m.month
  AND c.day < (m.month + interval '1 month')::date
  AND c.kind IN ('sales', 'discount', 'status', 'reason', 'customer', 'hour', 'fulfilment',
    'source', 'product', 'payment', 'promotion', 'distance', 'time')
GROUP BY c.store_id, m.month, c.kind, c.key
"""
CLEAR = """
DELETE FROM insight_cells c USING unnest($1::uuid[], $2::date[]) AS d(store_id, day)
WHERE c.store_id = d.store_id AND c.grain = $3 AND c.day = d.day
  AND c.kind IN ('sales', 'discount', 'status', 'reason', 'customer', 'hour', 'fulfilment',
    'source', 'product', 'payment', 'promotion', 'distance', 'time')
"""
CLEAR_STORE = "DELETE FROM insight_cells WHERE store_id = $1 AND day >= $2"

# A change moves its own day and, as whose order is a customer's first may change with it, the day
# of the customer's earliest order that did not change itself: of the two that were and are the
# first, each either changed or is that one.
STORES = f"""
WITH dirty AS (
  SELECT c.store_id, c.placed_at FROM insight_changes c
  UNION
  SELECT f.store_id, f.placed_at
  FROM (SELECT DISTINCT contact_id FROM insight_changes) c CROSS JOIN LATERAL (
    SELECT o.store_id, o.placed_at FROM orders o
    WHERE o.contact_id = c.contact_id AND o.status NOT IN {_LOST}
      AND NOT EXISTS (SELECT FROM insight_changes x WHERE x.order_id = o.id)
    ORDER BY o.placed_at, o.id LIMIT 1) f
)
SELECT s.id, s.slug, s.timezone, p.timezone AS summed_timezone, p.rolled_until,
  (now() AT TIME ZONE s.timezone)::date AS today,
  ((now() - {CLOSED_AFTER}) AT TIME ZONE s.timezone)::date AS open_from,
  (SELECT array_agg(DISTINCT (d.placed_at AT TIME ZONE s.timezone)::date) FROM dirty d
   WHERE d.store_id = s.id) AS dirty
FROM stores s LEFT JOIN insight_progress p ON p.store_id = s.id
WHERE $1::uuid IS NULL OR s.id = $1
ORDER BY s.id
"""  # noqa: S608 - the fragments are constants of this module
CHANGES = "SELECT id FROM insight_changes"
FORGET_CHANGES = "DELETE FROM insight_changes WHERE id = ANY ($1)"
FIRST_ORDER = "SELECT min(placed_at) FROM orders WHERE store_id = $1"
SET_PROGRESS = """
INSERT INTO insight_progress (id, store_id, timezone, rolled_until)
VALUES (gen_random_uuid(), $1, $2, $3) ON CONFLICT (tenant_id, store_id)
DO UPDATE SET timezone = excluded.timezone, rolled_until = excluded.rolled_until
"""
FORGET_PROGRESS = "DELETE FROM insight_progress"
# One at a time sums up: an older look at the orders must not overwrite a newer one.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(app_tenant_id()::text, 23))"
# Of arrays the planner expects too much, and reads whole tables for one open day.
ONE_SNAPSHOT = """
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL enable_seqscan = off;
SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off
"""

# Of all tenants, as the owner of the tables: who has something to sum up.
WAITING = f"""
SELECT DISTINCT tenant_id FROM insight_changes
UNION
SELECT s.tenant_id FROM stores s
LEFT JOIN insight_progress p ON p.tenant_id = s.tenant_id AND p.store_id = s.id
WHERE p.timezone IS DISTINCT FROM s.timezone
  OR p.rolled_until < ((now() - {CLOSED_AFTER}) AT TIME ZONE s.timezone)::date
LIMIT 500
"""  # noqa: S608 - the fragments are constants of this module
