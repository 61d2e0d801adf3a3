"""HTTP for what a merchant switches during the day."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from app.commerce.config.schemas import BusyIn, OperationRead, PauseIn
from app.commerce.config.service import ConfigService
from app.commerce.stores.problems import StoreNotFound
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/admin/config", tags=["config"])
Config = Annotated[ConfigService, service(ConfigService)]
_READ = require_module("commerce", "stores:read")
_WRITE = require_module("commerce", "stores:write")


@router.get("", dependencies=[_READ])
async def list_operations(config: Config, page: Paging) -> PageRead[OperationRead]:
    """Every store as it runs now: paused or not, busy or not, which ways are open."""
    return PageRead[OperationRead].model_validate(await config.page(page))


@router.put("/stores/{store_id}/pause", dependencies=[_WRITE], responses=problems(StoreNotFound))
async def pause_store(store_id: UUID, body: PauseIn, config: Config) -> OperationRead:
    """Take no orders for some minutes; afterwards they return by themselves."""
    return await config.pause(store_id, body)


@router.delete("/stores/{store_id}/pause", dependencies=[_WRITE], responses=problems(StoreNotFound))
async def resume_store(store_id: UUID, config: Config) -> OperationRead:
    """End a pause early."""
    return await config.resume(store_id)


@router.put("/stores/{store_id}/busy", dependencies=[_WRITE], responses=problems(StoreNotFound))
async def set_busy(store_id: UUID, body: BusyIn, config: Config) -> OperationRead:
    """Add minutes to every promise while there is much to do; 0 ends it."""
    return await config.set_busy(store_id, body)
