"""HTTP for insights: the dashboard's one answer, its reports as CSV, and making the sums anew."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from app.commerce.insights.problems import PeriodInvalid
from app.commerce.insights.rules import Grain
from app.commerce.insights.schemas import Insights, RebuildRead, Report
from app.commerce.insights.service import Asked, InsightService
from app.commerce.insights.table import csv_of
from app.commerce.stores.problems import StoreNotFound
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/admin/insights", tags=["insights"], route_class=ReplayableRoute)
Service = Annotated[InsightService, service(InsightService)]
READ = require_module("commerce", "insights:read")
_Day = Annotated[
    date | None,
    Query(ge=date(2000, 1, 1), le=date(2100, 1, 1), description="In the store's timezone."),
]

_CSV: dict[int | str, dict[str, Any]] = {
    200: {"description": "CSV, UTF-8.", "content": {"text/csv": {"schema": {"type": "string"}}}}
}


async def _asked(
    store_id: Annotated[UUID | None, Query(description="One store; else all of them.")] = None,
    since: _Day = None,
    until: _Day = None,
    grain: Grain = Grain.DAY,
    products: Annotated[int, Query(ge=1, le=1000, description="How many top products.")] = 20,
) -> Asked:
    return Asked(store_id, since, until, grain, products)


Wanted = Annotated[Asked, Depends(_asked)]


@router.get("", dependencies=[READ], responses=problems(StoreNotFound, PeriodInvalid))
async def read_insights(insights: Service, asked: Wanted) -> Insights:
    """All figures of a period (the last 30 days), beside the period before and last year's.

    Days are those of each store's own timezone. Cancelled and rejected orders count as such and
    in nothing else; a return or an edit of an old order corrects the day it was placed on.
    """
    return await insights.summary(asked)


@router.get(
    "/export",
    dependencies=[READ],
    response_class=Response,
    responses=_CSV | problems(StoreNotFound, PeriodInvalid),
)
async def export_insights(insights: Service, asked: Wanted, report: Report) -> Response:
    """One report of the same figures as a CSV file."""
    body = csv_of(report, await insights.summary(asked))
    name = f'attachment; filename="{report.value}.csv"'
    return Response(body, media_type="text/csv", headers={"Content-Disposition": name})


@router.post(
    "/rebuild",
    status_code=202,
    dependencies=[require_module("commerce", "insights:write"), Idempotent],
)
async def rebuild_insights(insights: Service) -> RebuildRead:
    """Make all sums anew in the background; answers stay right meanwhile, only slower."""
    await insights.rebuild()
    return RebuildRead(queued=True)
