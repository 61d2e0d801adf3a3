"""Queries over promotions and their redemptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

import orjson
from sqlalchemy import func, select

from app.commerce.catalog.models import Category, Product
from app.commerce.promotions.models import Promotion, PromotionCode, PromotionRedemption
from app.commerce.promotions.offers import normalise_code
from app.commerce.promotions.problems import (
    CampaignArchived,
    CampaignNotFound,
    CouponCodeTaken,
    LimitBelowUse,
)
from app.commerce.promotions.schemas import CodeFilter
from app.commerce.stores.models import Store
from app.core.clock import now
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository

# Promotions first and in id order, as the checkout takes them: no two of them deadlock.
_LOCK_OF_ORDER = """
SELECT id FROM promotions WHERE id IN (
  SELECT promotion_id FROM promotion_redemptions WHERE order_id = $1 AND released_at IS NULL)
ORDER BY id FOR NO KEY UPDATE
"""
# The guard on released_at makes a release happen once; greatest() because a cancellation must
# not fail over a counter that somebody corrected by hand.
_RELEASE = """
WITH released AS (
  UPDATE promotion_redemptions SET released_at = $2 WHERE order_id = $1 AND released_at IS NULL
  RETURNING promotion_id, code, amount_cents + shipping_cents AS cents
), codes AS (
  UPDATE promotion_codes k SET used_count = greatest(k.used_count - 1, 0)
  FROM released r WHERE k.code = r.code AND k.promotion_id = r.promotion_id
), given AS (
  SELECT promotion_id, count(*) AS uses, sum(cents)::bigint AS cents FROM released
  GROUP BY promotion_id
), lowered AS (
  UPDATE promotions p SET used_count = greatest(p.used_count - given.uses, 0),
    spent_cents = greatest(p.spent_cents - given.cents, 0)
  FROM given WHERE p.id = given.promotion_id
)
SELECT count(*) FROM released
"""
_REDEEM = """
WITH u AS (
  SELECT * FROM jsonb_to_recordset($3::text::jsonb) AS u(id uuid, promotion_id uuid, name text,
    code text, amount_cents bigint, shipping_cents bigint)
), counted AS (
  UPDATE promotions p SET used_count = p.used_count + 1,
    spent_cents = p.spent_cents + u.amount_cents + u.shipping_cents
  FROM u WHERE p.id = u.promotion_id
), codes AS (
  UPDATE promotion_codes k SET used_count = k.used_count + 1
  FROM u WHERE k.code = u.code AND k.promotion_id = u.promotion_id
)
INSERT INTO promotion_redemptions (id, promotion_id, order_id, contact_id, name, code,
  amount_cents, shipping_cents)
SELECT u.id, u.promotion_id, $1, $2, u.name, u.code, u.amount_cents, u.shipping_cents FROM u
"""


# What everybody gets on anything, whatever else they buy; ``shelf`` says why these alone.
_ON_SHELF = """
SELECT json_agg(x ORDER BY x.priority, x.id)::text FROM (
  SELECT p.*, 0 AS customer_used, NULL AS codes FROM promotions p
  WHERE is_active AND deleted_at IS NULL AND kind = 'percent' AND code IS NULL AND NOT by_codes
    AND min_subtotal_cents = 0 AND max_discount_cents IS NULL AND usage_limit IS NULL
    AND per_customer_limit IS NULL AND budget_cents IS NULL
    AND (ends_at IS NULL OR ends_at > now())) x
"""
_ON_OFFER = """
SELECT json_agg(x ORDER BY x.priority, x.id)::text FROM (
  SELECT p.*, 0 AS customer_used, NULL AS codes, f.key AS image FROM promotions p
  LEFT JOIN files f ON f.id = p.image_file_id
  WHERE is_active AND deleted_at IS NULL AND code IS NULL AND NOT by_codes
    AND (usage_limit IS NULL OR used_count < usage_limit)
    AND (budget_cents IS NULL OR spent_cents < budget_cents)
    AND (starts_at IS NULL OR starts_at <= now()) AND (ends_at IS NULL OR ends_at > now())
  ORDER BY priority, id LIMIT 100) x
"""
_TAKE_CODES = """
WITH taken AS (
  UPDATE promotion_codes k SET used_count = k.used_count + 1
  FROM jsonb_to_recordset($1::text::jsonb) AS u(promotion_id uuid, code text)
  WHERE k.code = u.code AND k.promotion_id = u.promotion_id AND k.revoked_at IS NULL
    AND k.used_count < k.usage_limit
  RETURNING k.id
)
SELECT count(*) FROM taken
"""
# A code that somebody chose for a campaign, or that is out already, is left out; the caller makes
# others instead.
_ADD_CODES = """
WITH added AS (
  INSERT INTO promotion_codes (id, promotion_id, batch_id, label, usage_limit, code)
  SELECT x.id, $1, $2, $3, $4, x.code FROM unnest($5::text[], $6::uuid[]) AS x(code, id)
  WHERE NOT EXISTS (SELECT FROM promotions p WHERE p.code = x.code AND p.deleted_at IS NULL
    AND p.archived_at IS NULL)
  ON CONFLICT (tenant_id, code) DO NOTHING RETURNING code
)
SELECT array_agg(code) FROM added
"""
_REVOKE = """
WITH hit AS (
  UPDATE promotion_codes SET revoked_at = now()
  WHERE promotion_id = $1 AND revoked_at IS NULL
    AND (batch_id = $2 OR code = ANY ($3::text[])) RETURNING id
)
SELECT count(*) FROM hit
"""
_UNKNOWN_CODES = """
SELECT array_agg(x.code ORDER BY x.code) FROM unnest($2::text[]) AS x(code)
WHERE NOT EXISTS (SELECT FROM promotion_codes k WHERE k.code = x.code AND k.promotion_id = $1)
"""
_STATES = {
    "revoked": "k.revoked_at IS NOT NULL",
    "used": "k.revoked_at IS NULL AND k.used_count >= k.usage_limit",
    "partly": "k.revoked_at IS NULL AND k.used_count > 0 AND k.used_count < k.usage_limit",
    "unused": "k.revoked_at IS NULL AND k.used_count = 0",
}
# The last use of each code is looked up by index, whatever the campaign's size.
_LIST_CODES = """
SELECT k.id, k.batch_id, k.label, k.code, k.usage_limit, k.used_count, k.revoked_at, k.created_at,
  CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' WHEN k.used_count >= k.usage_limit THEN 'used'
    WHEN k.used_count > 0 THEN 'partly' ELSE 'unused' END AS state,
  u.created_at AS last_used_at, u.order_id AS last_order_id, o.number AS last_order_number
FROM promotion_codes k
LEFT JOIN LATERAL (SELECT r.created_at, r.order_id FROM promotion_redemptions r
  WHERE r.code = k.code AND r.promotion_id = k.promotion_id AND r.released_at IS NULL
  ORDER BY r.id DESC LIMIT 1) u ON k.used_count > 0
LEFT JOIN orders o ON o.id = u.order_id
WHERE k.promotion_id = $1 AND ($2::uuid IS NULL OR k.batch_id = $2)
  AND ($3::text IS NULL OR k.code = $3) AND ($4::uuid IS NULL OR k.id < $4){only}
ORDER BY k.id DESC LIMIT $5
"""


class PromotionRepository(Repository[Promotion]):
    model = Promotion
    missing = CampaignNotFound
    conflicts: ClassVar = {
        "promotions_tenant_id_code_key": CouponCodeTaken,
        "promotions_usage_limit_check": LimitBelowUse,
        "promotions_budget_check": LimitBelowUse,
    }

    async def on_shelf(self) -> list[dict[str, Any]]:
        """What everybody gets without doing anything for it, in order of precedence; as JSON."""
        return await self._json(_ON_SHELF)

    async def on_offer(self) -> list[dict[str, Any]]:
        """What applies by itself and is not used up, 100 at most; as JSON, with its image's key."""
        return await self._json(_ON_OFFER)

    async def _json(self, statement: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = orjson.loads(
            await (await self.raw()).fetchval(statement) or "[]"
        )
        return found

    async def alive(self, id: UUID, *, lock: bool = False) -> Promotion:
        """A promotion that was not deleted. Raises CampaignNotFound."""
        row = await self.get(id, lock=lock)
        if row.deleted_at is not None:
            raise CampaignNotFound()
        return row

    async def current(self, id: UUID) -> Promotion:
        """One that may still change, locked. Raises CampaignNotFound, CampaignArchived."""
        # Locked: no checkout raises used_count between the check of a limit and the commit.
        row = await self.alive(id, lock=True)
        if row.archived_at is not None:
            raise CampaignArchived()
        return row

    async def search(
        self, page: PageRequest, *, is_active: bool | None, code: str | None, is_archived: bool
    ) -> Page[Promotion]:
        statement = self.query().where(
            Promotion.deleted_at.is_(None), Promotion.archived_at.is_not(None) == is_archived
        )
        if is_active is not None:
            statement = statement.where(Promotion.is_active == is_active)
        if code is not None:
            statement = statement.where(Promotion.code == normalise_code(code))
        return await self.page(statement, page)

    async def codes_taken(self, codes: Sequence[str]) -> set[str]:
        """Those of ``codes`` that a campaign or a generated code has."""
        alive = (Promotion.deleted_at.is_(None), Promotion.archived_at.is_(None))
        own = select(Promotion.code).where(Promotion.code.in_(codes), *alive)
        generated = select(PromotionCode.code).where(PromotionCode.code.in_(codes))
        return {code for code in await self.session.scalars(own.union_all(generated)) if code}

    async def missing_targets(self, scope: str, ids: Sequence[UUID]) -> list[UUID]:
        """Those of ``ids`` that are no row of what ``scope`` names."""
        known = {
            "category": select(Category.id).where(Category.deleted_at.is_(None)),
            "product": select(Product.id).where(Product.deleted_at.is_(None)),
            "store": select(Store.id),
        }
        if scope not in known or not ids:
            return []
        column = {"category": Category.id, "product": Product.id, "store": Store.id}[scope]
        found = set(await self.session.scalars(known[scope].where(column.in_(ids))))
        return [id for id in ids if id not in found]

    async def release(self, order_id: UUID) -> int:
        """Give back what an order redeemed, exactly once; answers how many redemptions."""
        connection = await self.raw()
        await connection.execute(_LOCK_OF_ORDER, order_id)
        released: int = await connection.fetchval(_RELEASE, order_id, now())
        return released

    async def redeem(
        self, order_id: UUID, contact_id: UUID, uses: Sequence[Mapping[str, Any]]
    ) -> None:
        """Write and count uses of promotions that the caller has locked."""
        document = orjson.dumps(uses).decode()
        await (await self.raw()).execute(_REDEEM, order_id, contact_id, document)


class CodeRepository(Repository[PromotionCode]):
    model = PromotionCode

    async def count(self, promotion_id: UUID) -> int:
        return await self.session.scalar(
            select(func.count()).where(PromotionCode.promotion_id == promotion_id)
        ) or 0  # fmt: skip

    async def any_of(self, promotion_id: UUID) -> bool:
        found = select(PromotionCode.id).where(PromotionCode.promotion_id == promotion_id)
        return await self.session.scalar(found.limit(1)) is not None

    async def add_codes(
        self, promotion_id: UUID, batch: UUID, label: str | None, limit: int, codes: Sequence[str]
    ) -> list[str]:
        """Insert those that are free; answers them."""
        added: list[str] | None = await (await self.raw()).fetchval(
            _ADD_CODES, promotion_id, batch, label, limit, codes, [new_id() for _ in codes]
        )
        return added or []

    async def take(self, uses: Sequence[Mapping[str, Any]]) -> int:
        """Use each code once, where that may be; answers how many were."""
        taken: int = await (await self.raw()).fetchval(_TAKE_CODES, orjson.dumps(uses).decode())
        return taken

    async def revoke(self, promotion_id: UUID, batch: UUID | None, codes: Sequence[str]) -> int:
        revoked: int = await (await self.raw()).fetchval(_REVOKE, promotion_id, batch, codes)
        return revoked

    async def unknown(self, promotion_id: UUID, codes: Sequence[str]) -> list[str]:
        """Those of ``codes`` that are not this promotion's."""
        missing: list[str] | None = await (await self.raw()).fetchval(
            _UNKNOWN_CODES, promotion_id, codes
        )
        return missing or []

    async def has_batch(self, promotion_id: UUID, batch: UUID) -> bool:
        found = select(PromotionCode.id).where(
            PromotionCode.promotion_id == promotion_id, PromotionCode.batch_id == batch
        )
        return await self.session.scalar(found.limit(1)) is not None

    async def listed(
        self, promotion_id: UUID, only: CodeFilter, limit: int, cursor: UUID | None = None
    ) -> list[Mapping[str, Any]]:
        """Codes with their use, newest first, in one statement."""
        state = f" AND {_STATES[only.state]}" if only.state else ""
        rows = await (await self.raw()).fetch(
            _LIST_CODES.replace("{only}", state),
            promotion_id,
            only.batch_id,
            only.code,
            cursor,
            limit,
        )
        return [dict(row) for row in rows]


class RedemptionRepository(Repository[PromotionRedemption]):
    model = PromotionRedemption

    async def of(self, promotion_id: UUID, page: PageRequest) -> Page[PromotionRedemption]:
        return await self.page(
            self.query().where(PromotionRedemption.promotion_id == promotion_id), page
        )
