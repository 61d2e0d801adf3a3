"""What a campaign brought, counted from its uses and the orders; and which others there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.commerce.promotions.models import Promotion
from app.core.database import RawConnection, raw

_LOST = "('cancelled', 'rejected')"
# $2 and $3 bound the days $4 to $5 in every timezone, so that the orders are found by index.
# The orders that used it, found by their redemptions; those without are all less these.
_STATISTICS = f"""
WITH o AS MATERIALIZED (
  SELECT o.id, o.contact_id, o.placed_at, o.total_cents, r.released_at IS NULL AS uses,
    r.amount_cents, r.shipping_cents, o.status NOT IN {_LOST} AS counts,
    (o.placed_at AT TIME ZONE s.timezone)::date AS day
  FROM promotion_redemptions r JOIN orders o ON o.id = r.order_id
  JOIN stores s ON s.id = o.store_id
  WHERE r.promotion_id = $1 AND o.placed_at >= $2 AND o.placed_at < $3
    AND ($6::uuid IS NULL OR o.store_id = $6)
    AND (o.placed_at AT TIME ZONE s.timezone)::date BETWEEN $4 AND $5
), x AS (
  SELECT o.*, NOT EXISTS (SELECT FROM orders e
    WHERE e.contact_id = o.contact_id AND e.status NOT IN {_LOST}
      AND (e.placed_at, e.id) < (o.placed_at, o.id)) AS is_new
  FROM o WHERE o.counts AND o.uses
)
SELECT day, grouping(day) = 1 AS is_whole,
  count(*) AS redemptions,
  coalesce(sum(total_cents), 0)::bigint AS revenue_cents,
  coalesce(sum(amount_cents), 0)::bigint AS items_discount_cents,
  coalesce(sum(shipping_cents), 0)::bigint AS shipping_discount_cents,
  count(*) FILTER (WHERE is_new) AS new_customers,
  coalesce(sum(total_cents) FILTER (WHERE is_new), 0)::bigint AS new_customers_cents,
  count(*) FILTER (WHERE NOT is_new) AS returning_orders,
  coalesce(sum(total_cents) FILTER (WHERE NOT is_new), 0)::bigint AS returning_cents,
  count(DISTINCT contact_id) AS customers,
  (SELECT count(DISTINCT o.id) FROM o WHERE NOT o.counts) AS lost_orders
FROM x GROUP BY GROUPING SETS ((day), ())
"""  # noqa: S608 - the fragment is a constant of this module


@dataclass(frozen=True, slots=True)
class Window:
    """Days, both included, and instants that lie around them wherever the store is."""

    first: date
    last: date
    since: datetime
    until: datetime


class CampaignRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def _raw(self) -> RawConnection:
        return await raw(self.session)

    async def read_only(self) -> None:
        """Let Postgres refuse whatever would be written from here on."""
        await (await self._raw()).execute("SET TRANSACTION READ ONLY")

    async def statistics(
        self, promotion_id: UUID, window: Window, store_id: UUID | None
    ) -> list[Mapping[str, Any]]:
        """Figures by day, and of the whole period (``is_whole``); one statement."""
        rows = await (await self._raw()).fetch(
            _STATISTICS,
            promotion_id,
            window.since,
            window.until,
            window.first,
            window.last,
            store_id,
        )
        return [dict(row) for row in rows]

    async def others(self, known: Sequence[UUID], most: int) -> Sequence[Promotion]:
        """The newest promotions beside these that may apply one day."""
        statement = select(Promotion).where(
            Promotion.deleted_at.is_(None),
            Promotion.archived_at.is_(None),
            Promotion.id.not_in(known),
        )
        found = await self.session.scalars(statement.order_by(Promotion.id.desc()).limit(most))
        return found.all()
