"""HTTP for schedules."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.schedules.problems import ScheduleNameTaken, ScheduleNotFound
from app.kernel.schedules.schemas import (
    PreviewRead,
    RunRead,
    ScheduleCreate,
    ScheduleRead,
    ScheduleUpdate,
)
from app.kernel.schedules.service import ScheduleService
from app.kernel.work import service

router = APIRouter(
    prefix="/api/v1/admin/schedules", tags=["schedules"], route_class=ReplayableRoute
)
Schedules = Annotated[ScheduleService, service(ScheduleService)]
_READ = require_module("platform", "schedules:read")
_WRITE = require_module("platform", "schedules:write")


@router.get("", dependencies=[_READ])
async def list_schedules(schedules: Schedules, page: Paging) -> PageRead[ScheduleRead]:
    """Schedules, newest first."""
    return PageRead[ScheduleRead].model_validate(await schedules.listed(page))


@router.post(
    "", status_code=201, dependencies=[_WRITE, Idempotent], responses=problems(ScheduleNameTaken)
)
async def create_schedule(body: ScheduleCreate, schedules: Schedules) -> ScheduleRead:
    """Put a job on a schedule; it first runs at the next time that the expression names."""
    return ScheduleRead.model_validate(await schedules.create(body))


@router.get("/preview", dependencies=[_READ])
async def preview_schedule(
    schedules: Schedules,
    cron: Annotated[str, Query(max_length=200, examples=["0 7 * * 1-6"])],
    timezone: Annotated[str | None, Query(max_length=64, examples=["America/Sao_Paulo"])] = None,
    count: Annotated[int, Query(ge=1, le=50)] = 5,
) -> PreviewRead:
    """The next times of an expression, before anything is saved."""
    return PreviewRead.model_validate(await schedules.preview(cron, timezone, count))


@router.get("/{schedule_id}", dependencies=[_READ], responses=problems(ScheduleNotFound))
async def get_schedule(schedule_id: UUID, schedules: Schedules) -> ScheduleRead:
    """One schedule."""
    return ScheduleRead.model_validate(await schedules.get(schedule_id))


@router.patch(
    "/{schedule_id}",
    dependencies=[_WRITE],
    responses=problems(ScheduleNotFound, ScheduleNameTaken),
)
async def update_schedule(
    schedule_id: UUID, body: ScheduleUpdate, schedules: Schedules
) -> ScheduleRead:
    """Change a schedule; nothing runs because of it before the next time comes."""
    return ScheduleRead.model_validate(await schedules.update(schedule_id, body))


@router.delete(
    "/{schedule_id}", status_code=204, dependencies=[_WRITE], responses=problems(ScheduleNotFound)
)
async def delete_schedule(schedule_id: UUID, schedules: Schedules) -> None:
    """Remove a schedule and its history."""
    await schedules.delete(schedule_id)


@router.post(
    "/{schedule_id}/pause",
    dependencies=[_WRITE, Idempotent],
    responses=problems(ScheduleNotFound),
)
async def pause_schedule(schedule_id: UUID, schedules: Schedules) -> ScheduleRead:
    """Stop it until it is resumed."""
    return ScheduleRead.model_validate(await schedules.switch(schedule_id, on=False))


@router.post(
    "/{schedule_id}/resume",
    dependencies=[_WRITE, Idempotent],
    responses=problems(ScheduleNotFound),
)
async def resume_schedule(schedule_id: UUID, schedules: Schedules) -> ScheduleRead:
    """Go on from now; what the pause left out is not caught up."""
    return ScheduleRead.model_validate(await schedules.switch(schedule_id, on=True))


@router.post(
    "/{schedule_id}/runs",
    status_code=201,
    dependencies=[_WRITE, Idempotent],
    responses=problems(ScheduleNotFound),
)
async def run_schedule(schedule_id: UUID, schedules: Schedules) -> RunRead:
    """Run it now; its cadence stays as it is."""
    return RunRead.model_validate(await schedules.run_now(schedule_id))


@router.get("/{schedule_id}/runs", dependencies=[_READ], responses=problems(ScheduleNotFound))
async def list_runs(schedule_id: UUID, schedules: Schedules, page: Paging) -> PageRead[RunRead]:
    """What became of its times, newest first."""
    return PageRead[RunRead].model_validate(await schedules.history(schedule_id, page))
