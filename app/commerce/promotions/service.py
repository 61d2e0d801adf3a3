"""What staff do with campaigns; the checkout redeems and a cancellation releases them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.commerce.promotions.models import Promotion, PromotionRedemption
from app.commerce.promotions.problems import (
    CampaignInvalid,
    CampaignTargetNotFound,
    LimitBelowUse,
)
from app.commerce.promotions.repository import PromotionRepository, RedemptionRepository
from app.commerce.promotions.schemas import CampaignCreate, CampaignUpdate
from app.contracts.commerce import CatalogChanged
from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.kernel.work import Work

_EVERYTHING_OFF = 10_000


class PromotionService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.promotions = PromotionRepository(work.session)

    async def search(
        self, page: PageRequest, is_active: bool | None, code: str | None
    ) -> Page[Promotion]:
        return await self.promotions.search(page, is_active=is_active, code=code)

    async def get(self, campaign_id: UUID) -> Promotion:
        """Raises CampaignNotFound."""
        return await self.promotions.alive(campaign_id)

    async def redemptions(self, campaign_id: UUID, page: PageRequest) -> Page[PromotionRedemption]:
        """Who used it, newest first. Raises CampaignNotFound."""
        await self.promotions.alive(campaign_id)
        return await RedemptionRepository(self.work.session).of(campaign_id, page)

    async def create(self, body: CampaignCreate) -> Promotion:
        """Raises CampaignInvalid, CampaignTargetNotFound, CouponCodeTaken."""
        fields = body.model_dump()
        if fields["value"] is None:
            fields["value"] = _EVERYTHING_OFF if body.kind == "buy_x_get_y" else 0
        promotion = Promotion(**fields)
        await self._check(promotion)
        await self.promotions.add(promotion)
        await self.work.session.refresh(promotion)
        self._tell("created", promotion)
        self.work.record(
            "commerce.campaign_created", "promotion", promotion.id, after=body.model_dump()
        )
        return promotion

    async def change(self, campaign_id: UUID, body: CampaignUpdate) -> Promotion:
        """Raises CampaignNotFound, CampaignInvalid, CampaignTargetNotFound, CouponCodeTaken,
        LimitBelowUse."""
        # Locked: no checkout raises used_count between the check of a limit and the commit.
        promotion = await self.promotions.alive(campaign_id, lock=True)
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for field, value in body.model_dump(exclude_unset=True).items():
            if getattr(promotion, field) != value:
                before[field], after[field] = getattr(promotion, field), value
        if not after:
            return promotion
        with self.work.session.no_autoflush:
            for field, value in after.items():
                setattr(promotion, field, value)
            _check_use(promotion)
            await self._check(promotion)
        await self.promotions.flush()
        self._tell("updated", promotion)
        self.work.record(
            "commerce.campaign_updated", "promotion", promotion.id, before=before, after=after
        )
        return promotion

    async def remove(self, campaign_id: UUID) -> None:
        """End it for good; its code is free again, its redemptions stay.

        Raises CampaignNotFound.
        """
        promotion = await self.promotions.alive(campaign_id, lock=True)
        promotion.deleted_at = now()
        promotion.is_active = False
        await self.promotions.flush()
        self._tell("deleted", promotion)

    async def release(self, order_id: UUID) -> int:
        """Give back what a cancelled order redeemed, exactly once; answers how many uses."""
        return await self.promotions.release(order_id)

    async def redeem(self, order_id: UUID, contact_id: UUID, uses: list[dict[str, Any]]) -> None:
        """Let an order use these, whose rows the caller has locked, in id order.

        A use is {id, promotion_id, name, code, amount_cents, shipping_cents}.
        """
        if uses:
            await self.promotions.redeem(order_id, contact_id, uses)

    async def _check(self, promotion: Promotion) -> None:
        flaws = promotion.flaws()
        if flaws:
            raise CampaignInvalid(
                errors=[{"pointer": f"/body/{field}", "detail": what} for field, what in flaws]
            )
        missing = await self.promotions.missing_targets(promotion.scope, promotion.target_ids)
        if missing:
            raise CampaignTargetNotFound(missing=missing)

    def _tell(self, change: str, promotion: Promotion) -> None:
        self.work.publish(
            CatalogChanged(
                kind="promotion", change=change, item_id=promotion.id, item_name=promotion.name
            )
        )
        self.work.ring("catalog")


def _check_use(promotion: Promotion) -> None:
    limit, budget = promotion.usage_limit, promotion.budget_cents
    if (limit is not None and limit < promotion.used_count) or (
        budget is not None and budget < promotion.spent_cents
    ):
        raise LimitBelowUse(used_count=promotion.used_count, spent_cents=promotion.spent_cents)
