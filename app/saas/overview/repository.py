"""Questions about all tenants at once, asked as the owner of the tables: few statements each.

Row level security binds none of them: their answers are for the central console alone. They read
tables of several domains, which no domain may; what they count is the platform's own business.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.core.database import RawConnection
from app.kernel.limits import LIMITS

COUNTED = {
    "users": "SELECT count(*) FROM users u WHERE u.tenant_id = t.id AND u.is_active",
    "stores": "SELECT count(*) FROM stores s WHERE s.tenant_id = t.id AND s.is_active",
}
"""How to count what a plan limits and no counter counts, of tenant ``t``."""

_TENANTS = """
SELECT status, subscription_status, plan_code, count(*) AS tenants FROM tenants GROUP BY 1, 2, 3
"""
# By tenant and id, as the primary key lies: the table has no index by time. An id is made a
# moment before or after its row's time, hence the hour between $1 and $2.
_SALES = """
SELECT o.currency,
  count(*) FILTER (WHERE o.created_at >= $4) AS today_orders,
  coalesce(sum(o.total_cents) FILTER (WHERE o.created_at >= $4), 0)::bigint AS today_cents,
  count(*) FILTER (WHERE o.created_at >= $3) AS week_orders,
  coalesce(sum(o.total_cents) FILTER (WHERE o.created_at >= $3), 0)::bigint AS week_cents,
  count(*) AS month_orders, sum(o.total_cents)::bigint AS month_cents
FROM tenants t CROSS JOIN LATERAL (
  SELECT * FROM orders o WHERE o.tenant_id = t.id AND o.id >= $1 AND o.created_at >= $2
    AND o.status NOT IN ('rejected', 'cancelled')) AS o
GROUP BY o.currency ORDER BY month_cents DESC
"""
_HEALTH = """
SELECT
  (SELECT count(*) FROM pgqueuer WHERE status = 'failed') AS jobs_held,
  (SELECT count(*) FROM pgqueuer WHERE status = 'queued' AND execute_after <= now()) AS jobs_due,
  coalesce((SELECT extract(epoch FROM now() - min(execute_after)) FROM pgqueuer
    WHERE status = 'queued' AND execute_after <= now()), 0)::float AS oldest_due_s,
  (SELECT count(*) FROM webhook_endpoints WHERE is_enabled AND failing_since IS NOT NULL)
    AS webhooks_failing,
  (SELECT count(*) FROM webhook_endpoints WHERE disabled_reason IN ('gone', 'failing'))
    AS webhooks_disabled,
  (SELECT count(*) FROM impersonations i JOIN user_sessions s
     ON s.tenant_id = i.tenant_id AND s.id = i.session_id
   WHERE s.revoked_at IS NULL AND s.expires_at > now()) AS impersonations
"""
_CASES = " ".join(f"WHEN '{name}' THEN ({count})" for name, count in COUNTED.items())
_CLOSE = f"""
SELECT * FROM (
  SELECT t.id AS tenant_id, t.slug, t.name, l.key AS "limit", l.value::bigint AS allowed,
    CASE l.key {_CASES} ELSE coalesce((
      SELECT c.used FROM usage_counters c WHERE c.tenant_id = t.id AND c.metric = l.key
        AND c.period = CASE WHEN l.key = ANY ($2::text[])
          THEN to_char(now() AT TIME ZONE t.timezone, 'YYYY-MM') ELSE 'total' END), 0)
    END AS used
  FROM tenants t, jsonb_each(t.limits || t.limit_overrides) AS l
  WHERE l.key = ANY ($1::text[]) AND jsonb_typeof(l.value) = 'number' AND l.value > '0'
) AS found
WHERE used >= allowed * $3::float ORDER BY used::float / allowed DESC, tenant_id LIMIT $4
"""  # noqa: S608 - constants of this module
# Every payload begins with its tenant (``Work.enqueue``).
_JOBS = """
SELECT t.id AS tenant_id, t.slug, q.entrypoint,
  CASE q.status::text WHEN 'queued' THEN 'queued' WHEN 'picked' THEN 'running' ELSE 'held' END
    AS state,
  count(*) AS jobs, min(q.execute_after) AS oldest_due_at,
  (array_agg(d.last_error ORDER BY d.updated_at DESC NULLS LAST))[1] AS last_error
FROM pgqueuer q
  LEFT JOIN tenants t ON t.id::text = encode(substring(q.payload FROM 15 FOR 36), 'escape')
  LEFT JOIN job_deliveries d ON d.job_id = q.id
WHERE q.status::text IN ('queued', 'picked', 'failed')
GROUP BY t.id, t.slug, q.entrypoint, q.status
ORDER BY q.status::text = 'failed' DESC, count(*) DESC LIMIT $1
"""
_WEBHOOKS = """
SELECT w.tenant_id, t.slug, w.id AS endpoint_id,
  substring(w.url FROM '^[a-z]+://([^/?#]+)') AS host, w.is_enabled, w.disabled_reason,
  w.failing_since,
  (SELECT count(*) FROM webhook_deliveries d WHERE d.tenant_id = w.tenant_id
     AND d.endpoint_id = w.id AND d.state = 'pending') AS pending,
  (SELECT count(*) FROM webhook_deliveries d WHERE d.tenant_id = w.tenant_id
     AND d.endpoint_id = w.id AND d.state = 'failed'
     AND d.created_at > now() - interval '1 day') AS failed_today
FROM webhook_endpoints w JOIN tenants t ON t.id = w.tenant_id
WHERE w.failing_since IS NOT NULL OR w.disabled_reason IN ('gone', 'failing')
ORDER BY w.failing_since NULLS LAST, w.id LIMIT $1
"""
_IMPERSONATIONS = """
SELECT i.tenant_id, t.slug, i.id, i.user_id, u.email AS user_email, i.by_name, i.reason,
  i.created_at, s.expires_at, s.revoked_at AS ended_at,
  s.revoked_at IS NULL AND s.expires_at > now() AS is_active
FROM impersonations i JOIN tenants t ON t.id = i.tenant_id
  JOIN user_sessions s ON s.tenant_id = i.tenant_id AND s.id = i.session_id
  JOIN users u ON u.tenant_id = i.tenant_id AND u.id = i.user_id
WHERE ($1::uuid IS NULL OR i.id < $1)
  AND ($2::bool IS NULL OR (s.revoked_at IS NULL AND s.expires_at > now()) = $2)
ORDER BY i.id DESC LIMIT $3
"""
_MOST = 200
_CLOSE_TO = 0.8

Row = dict[str, Any]


class OverviewRepository:
    """Takes a driver connection inside a system transaction."""

    def __init__(self, driver: RawConnection) -> None:
        self.driver = driver

    async def tenants(self) -> list[Row]:
        """How many there are, by status, subscription and plan."""
        return await self._rows(_TENANTS)

    async def sales(self, today: datetime) -> list[Row]:
        """Orders and their totals by currency, less those rejected or cancelled.

        ``today`` is when the day began; the other spans are 7 and 30 days with it.
        """
        week, month = today - timedelta(days=6), today - timedelta(days=29)
        floor = UUID(int=int((month - timedelta(hours=1)).timestamp() * 1000) << 80)
        return await self._rows(_SALES, floor, month, week, today)

    async def health(self) -> Row:
        return (await self._rows(_HEALTH))[0]

    async def close_to_limits(self) -> list[Row]:
        """Where 80 % or more of a limit is used, fullest first."""
        names = [name for name, kind in LIMITS.items() if kind != "rate"]
        monthly = [name for name, kind in LIMITS.items() if kind == "month"]
        return await self._rows(_CLOSE, names, monthly, _CLOSE_TO, _MOST)

    async def jobs(self) -> list[Row]:
        """Jobs that are not done by tenant, entrypoint and state; the held ones first."""
        return await self._rows(_JOBS, _MOST)

    async def webhooks(self) -> list[Row]:
        """Endpoints that fail or were switched off for failing; of the address the host alone."""
        return await self._rows(_WEBHOOKS, _MOST)

    async def impersonations(
        self, cursor: UUID | None, is_active: bool | None, limit: int
    ) -> list[Row]:
        return await self._rows(_IMPERSONATIONS, cursor, is_active, limit)

    async def _rows(self, statement: str, *values: object) -> list[Row]:
        found: Sequence[Any] = await self.driver.fetch(statement, *values)
        return [dict(row) for row in found]
