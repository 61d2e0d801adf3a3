"""HTTP for stores: what anybody sees of them, and their administration."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from app.commerce.stores.models import Store
from app.commerce.stores.problems import (
    StoreInUse,
    StoreMediaUnknown,
    StoreNotFound,
    StoreSlugTaken,
)
from app.commerce.stores.schemas import (
    HoursCopy,
    StoreCreate,
    StoreExceptions,
    StorefrontRead,
    StoreHours,
    StoreRead,
    StoreUpdate,
)
from app.commerce.stores.service import StoreService
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import public, require_module
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.limits import LimitReached
from app.kernel.work import service

router = APIRouter(prefix="/api/v1", tags=["stores"], route_class=ReplayableRoute)
Stores = Annotated[StoreService, service(StoreService)]
_READ = require_module("commerce", "stores:read")
_WRITE = require_module("commerce", "stores:write")


@router.get("/stores", dependencies=[public("commerce")])
async def list_stores(stores: Stores, page: Paging) -> PageRead[StorefrontRead]:
    """Active stores: open now or when next, ways of handing over, payment, first slots."""
    return PageRead[StorefrontRead].model_validate(await stores.storefront_page(page))


@router.get("/stores/{slug}", dependencies=[public("commerce")], responses=problems(StoreNotFound))
async def show_store(slug: str, stores: Stores) -> StorefrontRead:
    """One store with every pre-order slot of its horizon."""
    return await stores.storefront(slug)


@router.get("/admin/stores", dependencies=[_READ])
async def list_all_stores(
    stores: Stores, page: Paging, is_active: bool | None = None
) -> PageRead[StoreRead]:
    """All stores, newest first."""
    return PageRead[StoreRead].model_validate(await stores.recent(page, is_active))


@router.post(
    "/admin/stores",
    status_code=201,
    response_model=StoreRead,
    dependencies=[_WRITE, Idempotent],
    responses=problems(LimitReached, StoreSlugTaken, StoreMediaUnknown),
)
async def create_store(body: StoreCreate, stores: Stores) -> Store:
    """Open a store; active ones count towards the plan's limit."""
    return await stores.create(body)


@router.get(
    "/admin/stores/{store_id}",
    response_model=StoreRead,
    dependencies=[_READ],
    responses=problems(StoreNotFound),
)
async def get_store(store_id: UUID, stores: Stores) -> Store:
    """One store, with its hours and settings."""
    return await stores.get(store_id)


@router.patch(
    "/admin/stores/{store_id}",
    response_model=StoreRead,
    dependencies=[_WRITE],
    responses=problems(StoreNotFound, LimitReached, StoreSlugTaken, StoreMediaUnknown),
)
async def update_store(store_id: UUID, body: StoreUpdate, stores: Stores) -> Store:
    """Change the fields sent; `is_active` switches the store off and on again."""
    return await stores.update(store_id, body)


@router.put(
    "/admin/stores/{store_id}/hours",
    response_model=StoreRead,
    dependencies=[_WRITE],
    responses=problems(StoreNotFound),
)
async def set_store_hours(store_id: UUID, body: StoreHours, stores: Stores) -> Store:
    """Replace the weekly opening hours; an interval may cross midnight."""
    return await stores.set_hours(store_id, body)


@router.post(
    "/admin/stores/{store_id}/copy-hours",
    response_model=StoreRead,
    dependencies=[_WRITE],
    responses=problems(StoreNotFound),
)
async def copy_store_hours(store_id: UUID, body: HoursCopy, stores: Stores) -> Store:
    """Take over the weekly hours and the exceptions of another store."""
    return await stores.copy_hours(store_id, body.store_id)


@router.put(
    "/admin/stores/{store_id}/exceptions",
    response_model=StoreRead,
    dependencies=[_WRITE],
    responses=problems(StoreNotFound),
)
async def set_store_exceptions(store_id: UUID, body: StoreExceptions, stores: Stores) -> Store:
    """Replace the days that differ: closed, or open at other hours."""
    return await stores.set_exceptions(store_id, body)


@router.delete(
    "/admin/stores/{store_id}",
    status_code=204,
    dependencies=[_WRITE],
    responses=problems(StoreNotFound, StoreInUse),
)
async def delete_store(store_id: UUID, stores: Stores) -> None:
    """Remove a store that never had an order; others are deactivated."""
    await stores.remove(store_id)
