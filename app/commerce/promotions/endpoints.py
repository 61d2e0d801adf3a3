"""HTTP for promotions, under the name the product gives them: /admin/campaigns."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from app.commerce.promotions.codes import CodeService
from app.commerce.promotions.models import Promotion
from app.commerce.promotions.offers import normalise_code
from app.commerce.promotions.problems import (
    CampaignArchived,
    CampaignHasCodes,
    CampaignImageUnknown,
    CampaignInvalid,
    CampaignNotByCodes,
    CampaignNotFound,
    CampaignTargetNotFound,
    CodesNotFound,
    CouponCodeTaken,
    LimitBelowUse,
    TooManyCodes,
)
from app.commerce.promotions.schemas import (
    CampaignCopy,
    CampaignCreate,
    CampaignRead,
    CampaignUpdate,
    CodeFilter,
    CodeRead,
    CodesCreate,
    CodesMade,
    CodesRevoke,
    CodesRevoked,
    CodeState,
    OnOffer,
    RedemptionRead,
)
from app.commerce.promotions.service import PromotionService
from app.commerce.promotions.shelf import OfferService
from app.commerce.stores.problems import StoreNotFound
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import public, require_module
from app.kernel.idempotency import IdempotencyKeyReused, Idempotent, ReplayableRoute
from app.kernel.work import service

router = APIRouter(
    prefix="/api/v1/admin/campaigns", tags=["campaigns"], route_class=ReplayableRoute
)
public_router = APIRouter(prefix="/api/v1", tags=["promotions"])
Promotions = Annotated[PromotionService, service(PromotionService)]
Codes = Annotated[CodeService, service(CodeService)]
READ = require_module("commerce", "promotions:read")
WRITE = require_module("commerce", "promotions:write")
_REFUSED = (CampaignInvalid, CampaignTargetNotFound, CampaignImageUnknown, CouponCodeTaken)
_CSV: dict[int | str, dict[str, Any]] = {
    200: {"description": "CSV, UTF-8.", "content": {"text/csv": {"schema": {"type": "string"}}}}
}


@public_router.get(
    "/promotions", dependencies=[public("commerce")], responses=problems(StoreNotFound)
)
async def list_promotions(
    offers: Annotated[OfferService, service(OfferService)],
    store: Annotated[str, Query(max_length=80, description="Slug.", examples=["vila-madalena"])],
) -> list[OnOffer]:
    """What is on in a store now, for banners and teasers: campaigns that need no code, at most
    100, in the order in which they apply."""
    return [OnOffer.model_validate(row) for row in await offers.on_now(store)]


@router.get("", dependencies=[READ])
async def list_campaigns(
    promotions: Promotions,
    page: Paging,
    active: Annotated[bool | None, Query(description="Switched on, or off.")] = None,
    code: Annotated[str | None, Query(max_length=40, description="Exactly this code.")] = None,
    archived: Annotated[bool, Query(description="Those that were put away instead.")] = False,
) -> PageRead[CampaignRead]:
    """Campaigns that were neither deleted nor archived, newest first."""
    return PageRead[CampaignRead].model_validate(
        await promotions.search(page, active, code, is_archived=archived)
    )


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
    responses=problems(
        CampaignNotFound, *_REFUSED, LimitBelowUse, CampaignArchived, CampaignHasCodes
    ),
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


@router.post(
    "/{campaign_id}/duplicate",
    status_code=201,
    response_model=CampaignRead,
    responses=problems(CampaignNotFound, CampaignInvalid, CouponCodeTaken, IdempotencyKeyReused),
    dependencies=[WRITE, Idempotent],
)
async def duplicate_campaign(
    campaign_id: UUID, body: CampaignCopy, promotions: Promotions
) -> Promotion:
    """The same campaign again, switched off; also of an archived one."""
    return await promotions.duplicate(campaign_id, body)


@router.post(
    "/{campaign_id}/pause",
    response_model=CampaignRead,
    responses=problems(CampaignNotFound, CampaignArchived),
    dependencies=[WRITE],
)
async def pause_campaign(campaign_id: UUID, promotions: Promotions) -> Promotion:
    """Let it apply to no order from now on, until it is resumed."""
    return await promotions.switch(campaign_id, is_active=False)


@router.post(
    "/{campaign_id}/resume",
    response_model=CampaignRead,
    responses=problems(CampaignNotFound, CampaignArchived),
    dependencies=[WRITE],
)
async def resume_campaign(campaign_id: UUID, promotions: Promotions) -> Promotion:
    """Let it apply again."""
    return await promotions.switch(campaign_id, is_active=True)


@router.post(
    "/{campaign_id}/archive",
    response_model=CampaignRead,
    responses=problems(CampaignNotFound),
    dependencies=[WRITE],
)
async def archive_campaign(campaign_id: UUID, promotions: Promotions) -> Promotion:
    """Put it away for good: it never applies again, its history stays, its code is free."""
    return await promotions.archive(campaign_id)


async def _only(
    state: Annotated[CodeState | None, Query(description="How far it is used.")] = None,
    batch_id: Annotated[UUID | None, Query(description="Generated together.")] = None,
    code: Annotated[str | None, Query(max_length=40, description="Exactly this code.")] = None,
) -> CodeFilter:
    return CodeFilter(state, batch_id, normalise_code(code) if code else None)


Only = Annotated[CodeFilter, Depends(_only)]


@router.post(
    "/{campaign_id}/codes",
    status_code=201,
    responses=problems(
        CampaignNotFound, CampaignArchived, CampaignNotByCodes, TooManyCodes, IdempotencyKeyReused
    ),
    dependencies=[WRITE, Idempotent],
)
async def generate_codes(campaign_id: UUID, body: CodesCreate, codes: Codes) -> CodesMade:
    """Make up to 10,000 codes at once, each to be used once or a few times."""
    return await codes.generate(campaign_id, body)


@router.get(
    "/{campaign_id}/codes",
    responses=problems(CampaignNotFound),
    dependencies=[READ],
)
async def list_codes(
    campaign_id: UUID, codes: Codes, page: Paging, only: Only
) -> PageRead[CodeRead]:
    """Generated codes with how far they are used and by which order last, newest first."""
    return PageRead[CodeRead].model_validate(await codes.page(campaign_id, only, page))


@router.get(
    "/{campaign_id}/codes/export",
    response_class=Response,
    responses=_CSV | problems(CampaignNotFound),
    dependencies=[READ],
)
async def export_codes(campaign_id: UUID, codes: Codes, only: Only) -> Response:
    """The same as a CSV file, all of them."""
    name = f'attachment; filename="cupons-{campaign_id}.csv"'
    body = await codes.csv(campaign_id, only)
    return Response(body, media_type="text/csv", headers={"Content-Disposition": name})


@router.post(
    "/{campaign_id}/codes/revoke",
    responses=problems(CampaignNotFound, CodesNotFound),
    dependencies=[WRITE],
)
async def revoke_codes(campaign_id: UUID, body: CodesRevoke, codes: Codes) -> CodesRevoked:
    """Let codes work no more, by name or a whole batch; orders keep the discount they got."""
    return CodesRevoked(revoked=await codes.revoke(campaign_id, body))
