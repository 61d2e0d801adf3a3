"""Queries over usage counters: a counter changes in one guarded statement or not at all."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select, tuple_

from app.core.ids import new_id
from app.core.repository import Repository
from app.kernel.usage.models import UsageCounter

# The row's lock, held until the commit, makes takers stand in line; the guard is checked against
# what the one before them committed, so no two see the same last place.
_TAKE = """
INSERT INTO usage_counters AS c (id, metric, period, used)
SELECT $1, $2, $3, $4 WHERE $5::bigint IS NULL OR $4::bigint <= $5
ON CONFLICT (tenant_id, metric, period) DO UPDATE
  SET used = c.used + excluded.used, updated_at = now()
  WHERE $5 IS NULL OR c.used + excluded.used <= $5
RETURNING used
"""
_GIVE_BACK = """
UPDATE usage_counters SET used = greatest(used - $3, 0), updated_at = now()
WHERE metric = $1 AND period = $2
"""


class UsageRepository(Repository[UsageCounter]):
    model = UsageCounter

    async def take(self, metric: str, period: str, n: int, allowed: int | None) -> int | None:
        """Count ``n`` more and answer the new use; None when that would pass ``allowed``."""
        found: int | None = await (await self.raw()).fetchval(
            _TAKE, new_id(), metric, period, n, allowed
        )
        return found

    async def give_back(self, metric: str, period: str, n: int) -> None:
        await (await self.raw()).execute(_GIVE_BACK, metric, period, n)

    async def used(self, periods: Collection[tuple[str, str]]) -> dict[str, int]:
        """The use by metric, of these (metric, period) pairs; a metric never taken is absent."""
        statement = select(UsageCounter.metric, UsageCounter.used).where(
            tuple_(UsageCounter.metric, UsageCounter.period).in_(periods)
        )
        return {metric: used for metric, used in await self.session.execute(statement)}
