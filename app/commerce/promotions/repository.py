"""Queries over promotions and their redemptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

import orjson
from sqlalchemy import select

from app.commerce.catalog.models import Category, Product
from app.commerce.promotions.models import Promotion, PromotionRedemption
from app.commerce.promotions.problems import CampaignNotFound, CouponCodeTaken, LimitBelowUse
from app.commerce.promotions.rules import normalise_code
from app.commerce.stores.models import Store
from app.core.clock import now
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
  RETURNING promotion_id, amount_cents + shipping_cents AS cents
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
)
INSERT INTO promotion_redemptions (id, promotion_id, order_id, contact_id, name, code,
  amount_cents, shipping_cents)
SELECT u.id, u.promotion_id, $1, $2, u.name, u.code, u.amount_cents, u.shipping_cents FROM u
"""


class PromotionRepository(Repository[Promotion]):
    model = Promotion
    missing = CampaignNotFound
    conflicts: ClassVar = {
        "promotions_tenant_id_code_key": CouponCodeTaken,
        "promotions_usage_limit_check": LimitBelowUse,
        "promotions_budget_check": LimitBelowUse,
    }

    async def alive(self, id: UUID, *, lock: bool = False) -> Promotion:
        """A promotion that was not deleted. Raises CampaignNotFound."""
        row = await self.get(id, lock=lock)
        if row.deleted_at is not None:
            raise CampaignNotFound()
        return row

    async def search(
        self, page: PageRequest, *, is_active: bool | None, code: str | None
    ) -> Page[Promotion]:
        statement = self.query().where(Promotion.deleted_at.is_(None))
        if is_active is not None:
            statement = statement.where(Promotion.is_active == is_active)
        if code is not None:
            statement = statement.where(Promotion.code == normalise_code(code))
        return await self.page(statement, page)

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


class RedemptionRepository(Repository[PromotionRedemption]):
    model = PromotionRedemption

    async def of(self, promotion_id: UUID, page: PageRequest) -> Page[PromotionRedemption]:
        return await self.page(
            self.query().where(PromotionRedemption.promotion_id == promotion_id), page
        )
