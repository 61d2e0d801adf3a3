"""HTTP for stock, under /admin/inventory."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from app.commerce.inventory.problems import (
    InsufficientStock,
    SameStore,
    StockItemNotFound,
    StockLevelNotFound,
    StockNotTracked,
)
from app.commerce.inventory.rules import LevelFilter, LevelView, MovementFilter
from app.commerce.inventory.schemas import (
    Adjustment,
    DriftsRead,
    LevelRead,
    LevelUpdate,
    Loss,
    MovementKind,
    MovementRead,
    Receipt,
    Transfer,
    TransferRead,
)
from app.commerce.inventory.service import Drifts, InventoryService, Transferred, export
from app.commerce.stores.problems import StoreNotFound
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.core.schema import Instant
from app.kernel.access import require_module
from app.kernel.idempotency import IdempotencyKeyReused, Idempotent, ReplayableRoute
from app.kernel.work import Works, service

router = APIRouter(
    prefix="/api/v1/admin/inventory", tags=["inventory"], route_class=ReplayableRoute
)
Inventory = Annotated[InventoryService, service(InventoryService)]
READ = require_module("commerce", "inventory:read")
WRITE = require_module("commerce", "inventory:write")
_TEXT = {"type": "string"}
_UNKNOWN = (StoreNotFound, StockItemNotFound, IdempotencyKeyReused)
_REFUSED = (*_UNKNOWN, StockNotTracked, InsufficientStock)


@router.get("/levels", dependencies=[READ])
async def list_levels(
    inventory: Inventory,
    page: Paging,
    store_id: UUID | None = None,
    low: Annotated[bool, Query(description="Only what is at its alert or sold out.")] = False,
    query: Annotated[str | None, Query(max_length=120, description="Part of the name.")] = None,
) -> PageRead[LevelRead]:
    """What is on hand of every tracked item."""
    found = await inventory.levels(page, LevelFilter(store_id, low, query))
    return PageRead[LevelRead].model_validate(found)


def _wanted(
    item_id: UUID | None = None,
    store_id: UUID | None = None,
    order_id: UUID | None = None,
    kind: MovementKind | None = None,
    since: Annotated[Instant | None, Query(description="From this instant on.")] = None,
    until: Annotated[Instant | None, Query(description="Before this instant.")] = None,
) -> MovementFilter:
    return MovementFilter(item_id, store_id, order_id, kind, since, until)


Wanted = Annotated[MovementFilter, Depends(_wanted)]


@router.get("/movements", dependencies=[READ])
async def list_movements(
    inventory: Inventory, page: Paging, wanted: Wanted
) -> PageRead[MovementRead]:
    """The ledger, newest first: what changed a level, when, why and by whom.

    Of one item in one store each line says what was on hand after it.
    """
    found = await inventory.movements(page, wanted)
    return PageRead[MovementRead].model_validate(found)


@router.get(
    "/movements/export",
    dependencies=[READ],
    response_class=Response,
    responses={200: {"description": "CSV.", "content": {"text/csv": {"schema": _TEXT}}}},
)
async def export_movements(works: Works, wanted: Wanted) -> StreamingResponse:
    """The filtered ledger as a CSV file, streamed; the export itself is audited."""
    return StreamingResponse(
        await export(works, wanted),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="estoque.csv"'},
    )


@router.get("/drift", response_model=DriftsRead, dependencies=[READ])
async def check_stock(inventory: Inventory) -> Drifts:
    """Recount the books now: levels that are not the sum of their movements."""
    return await inventory.drifts()


@router.post(
    "/receipts",
    status_code=201,
    response_model=LevelRead,
    responses=problems(*_UNKNOWN),
    dependencies=[WRITE, Idempotent],
)
async def receive_stock(body: Receipt, inventory: Inventory) -> LevelView:
    """Goods came in; the first receipt of an item begins its tracking."""
    return await inventory.receive(body)


@router.post(
    "/adjustments",
    status_code=201,
    response_model=LevelRead,
    responses=problems(*_REFUSED),
    dependencies=[WRITE, Idempotent],
)
async def adjust_stock(body: Adjustment, inventory: Inventory) -> LevelView:
    """Set a level to what was counted, or correct it by a difference."""
    return await inventory.adjust(body)


@router.post(
    "/losses",
    status_code=201,
    response_model=LevelRead,
    responses=problems(*_REFUSED),
    dependencies=[WRITE, Idempotent],
)
async def lose_stock(body: Loss, inventory: Inventory) -> LevelView:
    """Goods are gone: broken, expired, stolen."""
    return await inventory.lose(body)


@router.post(
    "/transfers",
    status_code=201,
    response_model=TransferRead,
    responses=problems(*_REFUSED, SameStore),
    dependencies=[WRITE, Idempotent],
)
async def transfer_stock(body: Transfer, inventory: Inventory) -> Transferred:
    """Move goods from one store to another."""
    return await inventory.transfer(body)


@router.patch(
    "/levels/{level_id}",
    response_model=LevelRead,
    responses=problems(StockLevelNotFound),
    dependencies=[WRITE],
)
async def set_alert(level_id: UUID, body: LevelUpdate, inventory: Inventory) -> LevelView:
    """Set the level at which to alert, or remove the alert."""
    return await inventory.set_low_at(level_id, body.low_at)


@router.delete(
    "/levels/{level_id}",
    status_code=204,
    responses=problems(StockLevelNotFound),
    dependencies=[WRITE],
)
async def stop_tracking(level_id: UUID, inventory: Inventory) -> None:
    """Stop tracking: the ledger is closed at zero and the item no longer runs out."""
    await inventory.stop_tracking(level_id)
