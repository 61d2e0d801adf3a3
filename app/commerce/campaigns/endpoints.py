"""HTTP for what a campaign brought, and for trying one on a cart."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from app.commerce.campaigns.problems import CampaignPeriodInvalid
from app.commerce.campaigns.schemas import SimulationIn, SimulationRead, StatisticsRead
from app.commerce.campaigns.service import Asked, SimulationService, StatisticsService
from app.commerce.checkout import problems as p
from app.commerce.checkout.service import way_of
from app.commerce.promotions.problems import (
    CampaignInvalid,
    CampaignNotFound,
    CampaignTargetNotFound,
)
from app.commerce.shipping.problems import OutOfDeliveryArea
from app.commerce.stores.problems import StoreNotFound
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.work import Works, service

router = APIRouter(prefix="/api/v1/admin/campaigns", tags=["campaigns"])
Statistics = Annotated[StatisticsService, service(StatisticsService)]
READ = require_module("commerce", "promotions:read")
_CSV: dict[int | str, dict[str, Any]] = {
    200: {"description": "CSV, UTF-8.", "content": {"text/csv": {"schema": {"type": "string"}}}}
}
_REFUSED = (CampaignNotFound, CampaignPeriodInvalid, StoreNotFound)
_Day = Annotated[
    date | None,
    Query(ge=date(2000, 1, 1), le=date(2100, 1, 1), description="In the store's timezone."),
]


async def _asked(
    since: _Day = None,
    until: _Day = None,
    store_id: Annotated[UUID | None, Query(description="One store; else all of them.")] = None,
) -> Asked:
    return Asked(since, until, store_id)


Wanted = Annotated[Asked, Depends(_asked)]


@router.get("/{campaign_id}/statistics", dependencies=[READ], responses=problems(*_REFUSED))
async def read_statistics(
    campaign_id: UUID, statistics: Statistics, asked: Wanted
) -> StatisticsRead:
    """What a campaign brought in a period (the last 30 days), by day, beside other orders."""
    return await statistics.statistics(campaign_id, asked)


@router.get(
    "/{campaign_id}/statistics/export",
    dependencies=[READ],
    response_class=Response,
    responses=_CSV | problems(*_REFUSED),
)
async def export_statistics(campaign_id: UUID, statistics: Statistics, asked: Wanted) -> Response:
    """The same by day as a CSV file."""
    body = await statistics.csv(campaign_id, asked)
    name = f'attachment; filename="campanha-{campaign_id}.csv"'
    return Response(body, media_type="text/csv", headers={"Content-Disposition": name})


@router.post(
    "/simulate",
    dependencies=[READ],
    responses=problems(
        StoreNotFound,
        p.AddressRequired,
        p.InvalidPostalCode,
        p.InvalidCustomerPhone,
        p.ItemsUnavailable,
        OutOfDeliveryArea,
        CampaignNotFound,
        CampaignInvalid,
        CampaignTargetNotFound,
    ),
)
async def simulate_campaigns(body: SimulationIn, works: Works) -> SimulationRead:
    """What a cart would cost at a time, or with a campaign that does not exist; nothing is written.

    The store's hours, its minimum order and stock do not matter here; uses count as they are now.
    """
    way = await way_of(works, body.cart)
    async with works() as work:
        found = await SimulationService(work).simulate(body, way)
    return SimulationRead.model_validate(found)
