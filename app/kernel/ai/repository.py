"""Queries over AI calls, months and kept answers; money changes in one guarded statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from app.core.ids import new_id
from app.core.repository import Repository
from app.kernel.ai.models import AiBudget, AiCall, AiResult

# The month's row lock makes callers stand in line, and the guard is checked against what the one
# before committed: together they never reserve beyond the limit. No row: it would not fit.
_RESERVE = """
WITH asked AS (
  SELECT $3::bigint AS amount, CASE WHEN $4::bool THEN $3 ELSE 0 END::bigint AS platform,
    coalesce((SELECT monthly_micro_usd FROM ai_budgets), 9e18::bigint) AS most,
    CASE WHEN $4 THEN $5::bigint ELSE 9e18::bigint END AS platform_most
), fits AS (
  INSERT INTO ai_months AS m (id, month, reserved_micro_usd, platform_micro_usd)
  SELECT $1, $2::text, amount, platform FROM asked
  WHERE amount <= most AND amount <= platform_most
  ON CONFLICT (tenant_id, month) DO UPDATE
    SET reserved_micro_usd = m.reserved_micro_usd + excluded.reserved_micro_usd,
        platform_micro_usd = m.platform_micro_usd + excluded.platform_micro_usd
    WHERE m.spent_micro_usd + m.reserved_micro_usd + excluded.reserved_micro_usd
        <= (SELECT most FROM asked)
      AND m.platform_micro_usd + excluded.platform_micro_usd
        <= (SELECT platform_most FROM asked)
  RETURNING 1
)
INSERT INTO ai_calls (id, month, feature, provider, model, on_platform, state,
  reserved_micro_usd, expires_at)
SELECT $6, $2, $7, $8, $9, $4, 'reserved', $3, now() + make_interval(secs => $10) FROM fits
RETURNING id
"""
# Skips what somebody else ends or releases right now; in order, so that nobody waits in a ring.
_RELEASE = """
WITH dead AS (
  SELECT id FROM ai_calls WHERE state = 'reserved' AND expires_at < now()
  ORDER BY id FOR UPDATE SKIP LOCKED
), lost AS (
  UPDATE ai_calls c SET state = 'lost', ended_at = now() FROM dead d WHERE c.id = d.id
  RETURNING c.month, c.reserved_micro_usd AS held, c.on_platform
), sums AS (
  SELECT month, sum(held) AS held, coalesce(sum(held) FILTER (WHERE on_platform), 0) AS platform
  FROM lost GROUP BY month
)
UPDATE ai_months m SET reserved_micro_usd = m.reserved_micro_usd - s.held,
  platform_micro_usd = m.platform_micro_usd - s.platform
FROM sums s WHERE m.month = s.month
"""
# A call that was taken for lost and ends after all is still paid; its reservation is gone already.
_SETTLE = """
WITH before AS (
  SELECT id, month, on_platform,
    CASE WHEN state = 'reserved' THEN reserved_micro_usd ELSE 0 END AS held
  FROM ai_calls WHERE id = $1 AND state IN ('reserved', 'lost') FOR UPDATE
), ended AS (
  UPDATE ai_calls c SET state = $2, cost_micro_usd = $3::bigint, is_estimated = $4, failure = $5,
    duration_ms = $6, input_tokens = $7, output_tokens = $8, cache_read_tokens = $9,
    cache_write_tokens = $10, reasoning_tokens = $11, ended_at = now()
  FROM before b WHERE c.id = b.id
)
UPDATE ai_months m SET spent_micro_usd = m.spent_micro_usd + coalesce($3::bigint, 0),
  reserved_micro_usd = m.reserved_micro_usd - b.held,
  platform_micro_usd = m.platform_micro_usd
    + CASE WHEN b.on_platform THEN coalesce($3::bigint, 0) - b.held ELSE 0 END
FROM before b WHERE m.month = b.month
"""
_CACHED = """
INSERT INTO ai_calls (id, month, feature, provider, model, on_platform, state, cost_micro_usd,
  expires_at, ended_at)
VALUES ($1, $2, $3, $4, $5, $6, 'cached', 0, now(), now())
"""
_KEEP = """
INSERT INTO ai_results (id, key, text, model, expires_at)
VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))
ON CONFLICT (tenant_id, key) DO UPDATE
  SET text = excluded.text, model = excluded.model, expires_at = excluded.expires_at
"""
_FORGET = """
DELETE FROM ai_results WHERE id IN (
  SELECT id FROM ai_results WHERE expires_at < now() LIMIT 100 FOR UPDATE SKIP LOCKED)
"""
_KEPT = "SELECT text, model FROM ai_results WHERE key = $1 AND expires_at > now()"
_MONTH = """
SELECT (SELECT monthly_micro_usd FROM ai_budgets) AS monthly_micro_usd,
  coalesce(sum(spent_micro_usd), 0)::bigint AS spent_micro_usd,
  coalesce(sum(reserved_micro_usd), 0)::bigint AS reserved_micro_usd,
  coalesce(sum(platform_micro_usd), 0)::bigint AS platform_micro_usd
FROM ai_months WHERE month = $1
"""
_USAGE = """
SELECT feature, provider, model,
  count(*) FILTER (WHERE state <> 'cached') AS calls,
  count(*) FILTER (WHERE state IN ('failed', 'unanswered', 'lost')) AS failed_calls,
  count(*) FILTER (WHERE state = 'cached') AS cached_calls,
  count(*) FILTER (WHERE state <> 'reserved' AND cost_micro_usd IS NULL) AS unpriced_calls,
  count(*) FILTER (WHERE is_estimated) AS estimated_calls,
  sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens,
  sum(cache_read_tokens)::bigint AS cache_read_tokens,
  sum(cache_write_tokens)::bigint AS cache_write_tokens,
  sum(reasoning_tokens)::bigint AS reasoning_tokens,
  coalesce(sum(cost_micro_usd), 0)::bigint AS cost_micro_usd
FROM ai_calls WHERE month = $1
GROUP BY feature, provider, model ORDER BY feature, provider, model
"""
_SET_BUDGET = """
INSERT INTO ai_budgets (id, monthly_micro_usd) VALUES ($1, $2)
ON CONFLICT (tenant_id) DO UPDATE SET monthly_micro_usd = excluded.monthly_micro_usd
"""


@dataclass(frozen=True, slots=True)
class Line:
    """What the ledger says of every call alike."""

    month: str
    feature: str
    provider: str
    model: str
    on_platform: bool


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a call. ``cost`` in micro-USD; None: not known."""

    state: str
    cost: int | None
    is_estimated: bool
    failure: str | None
    duration_ms: int
    tokens: tuple[int, int, int, int, int]
    """Input, output, read from and written to the vendor's cache, reasoning."""


class CallRepository(Repository[AiCall]):
    model = AiCall

    async def reserve(self, line: Line, amount: int, most: int, life_s: float) -> UUID | None:
        """Set ``amount`` aside and open the call; None when the budget, or ``most`` of the
        platform's money, does not cover it."""
        found: UUID | None = await (await self.raw()).fetchval(
            _RESERVE,
            new_id(),
            line.month,
            amount,
            line.on_platform,
            most,
            new_id(),
            line.feature,
            line.provider,
            line.model,
            life_s,
        )
        return found

    async def release_lost(self) -> None:
        """Give back what calls hold whose process died."""
        await (await self.raw()).execute(_RELEASE)

    async def settle(self, call_id: UUID, ending: Ending) -> None:
        """Pay what the call cost and give the rest back; a second time changes nothing."""
        await (await self.raw()).execute(
            _SETTLE,
            call_id,
            ending.state,
            ending.cost,
            ending.is_estimated,
            ending.failure,
            ending.duration_ms,
            *ending.tokens,
        )

    async def add_cached(self, line: Line) -> UUID:
        """Enter an answer that cost nothing."""
        id_ = new_id()
        await (await self.raw()).execute(
            _CACHED, id_, line.month, line.feature, line.provider, line.model, line.on_platform
        )
        return id_

    async def month(self, month: str) -> asyncpg.Record:
        """The month's amounts and the budget."""
        row = await (await self.raw()).fetchrow(_MONTH, month)
        assert row is not None, "an aggregate answers one row"  # noqa: S101
        return row

    async def usage(self, month: str) -> Sequence[asyncpg.Record]:
        """The month's sums by feature, provider and model."""
        return await (await self.raw()).fetch(_USAGE, month)


class BudgetRepository(Repository[AiBudget]):
    model = AiBudget

    async def put(self, amount: int | None) -> None:
        """Set the limit, or remove it."""
        driver = await self.raw()
        if amount is None:
            await driver.execute("DELETE FROM ai_budgets")
        else:
            await driver.execute(_SET_BUDGET, new_id(), amount)


class ResultRepository(Repository[AiResult]):
    model = AiResult

    async def kept(self, key: str) -> tuple[str, str] | None:
        """Text and model of an answer that is still good."""
        row = await (await self.raw()).fetchrow(_KEPT, key)
        return None if row is None else (row["text"], row["model"])

    async def keep(self, key: str, text: str, model: str, life_s: float) -> None:
        """Keep an answer, and forget some that are past their time."""
        driver = await self.raw()
        await driver.execute(_KEEP, new_id(), key, text, model, life_s)
        await driver.execute(_FORGET)
