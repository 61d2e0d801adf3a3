"""HTTP for counts of stock, under /admin/inventory/counts."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from app.commerce.inventory.models import StockCount
from app.commerce.inventory.problems import StockNotTracked
from app.commerce.stocktakes.problems import (
    NothingCounted,
    StockCountEnded,
    StockCountNotFound,
    StockCountOpen,
)
from app.commerce.stocktakes.rules import Summary
from app.commerce.stocktakes.schemas import (
    CountDetailRead,
    CountOpen,
    CountRead,
    LineRead,
    LinesIn,
    Only,
    SummaryRead,
)
from app.commerce.stocktakes.service import StocktakeService
from app.commerce.stores.problems import StoreNotFound
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.idempotency import IdempotencyKeyReused, Idempotent, ReplayableRoute
from app.kernel.work import service

router = APIRouter(
    prefix="/api/v1/admin/inventory/counts", tags=["inventory"], route_class=ReplayableRoute
)
Stocktakes = Annotated[StocktakeService, service(StocktakeService)]
READ = require_module("commerce", "inventory:read")
WRITE = require_module("commerce", "inventory:write")


@router.get("", dependencies=[READ])
async def list_counts(
    stocktakes: Stocktakes, page: Paging, store_id: UUID | None = None
) -> PageRead[CountRead]:
    """Counts, newest first."""
    return PageRead[CountRead].model_validate(await stocktakes.search(page, store_id))


@router.post(
    "",
    status_code=201,
    response_model=CountRead,
    responses=problems(StoreNotFound, StockCountOpen, IdempotencyKeyReused),
    dependencies=[WRITE, Idempotent],
)
async def open_count(body: CountOpen, stocktakes: Stocktakes) -> StockCount:
    """Begin to count a store, which goes on selling meanwhile."""
    return await stocktakes.open(body)


@router.get("/{stock_count_id}", dependencies=[READ], responses=problems(StockCountNotFound))
async def get_count(stock_count_id: UUID, stocktakes: Stocktakes) -> CountDetailRead:
    """A count with what it found so far."""
    return _detail(*await stocktakes.get(stock_count_id))


@router.get("/{stock_count_id}/lines", dependencies=[READ], responses=problems(StockCountNotFound))
async def list_count_lines(
    stock_count_id: UUID, stocktakes: Stocktakes, page: Paging, only: Only = "all"
) -> PageRead[LineRead]:
    """What was expected and seen of each item: the report of differences, once closed."""
    found = await stocktakes.lines(stock_count_id, page, only)
    return PageRead[LineRead].model_validate(found)


@router.put(
    "/{stock_count_id}/lines",
    response_model=SummaryRead,
    responses=problems(StockCountNotFound, StockCountEnded, StockNotTracked),
    dependencies=[WRITE],
)
async def enter_counted(stock_count_id: UUID, body: LinesIn, stocktakes: Stocktakes) -> Summary:
    """Note what was seen of some items; an item sent again is counted anew."""
    return await stocktakes.enter(stock_count_id, body)


@router.post(
    "/{stock_count_id}/close",
    responses=problems(StockCountNotFound, StockCountEnded, NothingCounted, IdempotencyKeyReused),
    dependencies=[WRITE, Idempotent],
)
async def close_count(stock_count_id: UUID, stocktakes: Stocktakes) -> CountDetailRead:
    """Correct the levels by what was found; what was sold since counting stays sold."""
    return _detail(*await stocktakes.close(stock_count_id))


@router.post(
    "/{stock_count_id}/cancel",
    responses=problems(StockCountNotFound, StockCountEnded, IdempotencyKeyReused),
    dependencies=[WRITE, Idempotent],
)
async def cancel_count(stock_count_id: UUID, stocktakes: Stocktakes) -> CountDetailRead:
    """Give up a count; no level changes."""
    return _detail(*await stocktakes.cancel(stock_count_id))


def _detail(count: StockCount, summary: Summary) -> CountDetailRead:
    read = CountRead.model_validate(count)
    return CountDetailRead(**read.model_dump(), summary=SummaryRead.model_validate(summary))
