"""HTTP for promotions, under the name the product gives them: /admin/campaigns."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.commerce.promotions.models import Promotion
from app.commerce.promotions.problems import (
    CampaignInvalid,
    CampaignNotFound,
    CampaignTargetNotFound,
    CouponCodeTaken,
    LimitBelowUse,
)
from app.commerce.promotions.schemas import (
    CampaignCreate,
    CampaignRead,
    CampaignUpdate,
    RedemptionRead,
)
from app.commerce.promotions.service import PromotionService
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.idempotency import IdempotencyKeyReused, Idempotent, ReplayableRoute
from app.kernel.work import service

router = APIRouter(
    prefix="/api/v1/admin/campaigns", tags=["campaigns"], route_class=ReplayableRoute
)
Promotions = Annotated[PromotionService, service(PromotionService)]
READ = require_module("commerce", "promotions:read")
WRITE = require_module("commerce", "promotions:write")
_REFUSED = (CampaignInvalid, CampaignTargetNotFound, CouponCodeTaken)


@router.get("", dependencies=[READ])
async def list_campaigns(
    promotions: Promotions,
    page: Paging,
    active: Annotated[bool | None, Query(description="Switched on, or off.")] = None,
    code: Annotated[str | None, Query(max_length=40, description="Exactly this code.")] = None,
) -> PageRead[CampaignRead]:
    """Campaigns that were not deleted, newest first."""
    return PageRead[CampaignRead].model_validate(await promotions.search(page, active, code))


@router.post(
    "",
    status_code=201,
    response_model=CampaignRead,
    responses=problems(*_REFUSED, IdempotencyKeyReused),
    dependencies=[WRITE, Idempotent],
)
async def create_campaign(body: CampaignCreate, promotions: Promotions) -> Promotion:
    """Create a campaign, automatic or by coupon code."""
    return await promotions.create(body)


@router.get(
    "/{campaign_id}",
    response_model=CampaignRead,
    responses=problems(CampaignNotFound),
    dependencies=[READ],
)
async def get_campaign(campaign_id: UUID, promotions: Promotions) -> Promotion:
    """One campaign with what was used of it."""
    return await promotions.get(campaign_id)


@router.patch(
    "/{campaign_id}",
    response_model=CampaignRead,
    responses=problems(CampaignNotFound, *_REFUSED, LimitBelowUse),
    dependencies=[WRITE],
)
async def change_campaign(
    campaign_id: UUID, body: CampaignUpdate, promotions: Promotions
) -> Promotion:
    """Change a campaign; placed orders keep the discount they got."""
    return await promotions.change(campaign_id, body)


@router.delete(
    "/{campaign_id}",
    status_code=204,
    responses=problems(CampaignNotFound),
    dependencies=[WRITE],
)
async def delete_campaign(campaign_id: UUID, promotions: Promotions) -> None:
    """End a campaign for good; its code may be used again, its redemptions stay."""
    await promotions.remove(campaign_id)


@router.get(
    "/{campaign_id}/redemptions",
    responses=problems(CampaignNotFound),
    dependencies=[READ],
)
async def list_redemptions(
    campaign_id: UUID, promotions: Promotions, page: Paging
) -> PageRead[RedemptionRead]:
    """Who used a campaign, on which order, for how much; newest first."""
    return PageRead[RedemptionRead].model_validate(await promotions.redemptions(campaign_id, page))
