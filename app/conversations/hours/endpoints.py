"""HTTP for attendance hours."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from app.conversations.hours.problems import InboxHoursNotFound
from app.conversations.hours.schemas import InboxHoursPut, InboxHoursRead
from app.conversations.hours.service import HoursService
from app.conversations.numbers.problems import NumberNotFound
from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/inbox-hours", tags=["conversations"])
Hours = Annotated[HoursService, service(HoursService)]
_READ = require_module("conversations", "messages:read")
_MANAGE = require_module("conversations", "messages:manage")


@router.get("", dependencies=[_READ])
async def list_inbox_hours(hours: Hours) -> list[InboxHoursRead]:
    """When the tenant answers, whether it does now, and when it will next."""
    return await hours.listed()


@router.put("", dependencies=[_MANAGE], responses=problems(NumberNotFound))
async def set_inbox_hours(body: InboxHoursPut, hours: Hours) -> InboxHoursRead:
    """Set the hours of one number, or of all without their own."""
    return await hours.put(body)


@router.delete(
    "/{inbox_hours_id}",
    status_code=204,
    dependencies=[_MANAGE],
    responses=problems(InboxHoursNotFound),
)
async def remove_inbox_hours(inbox_hours_id: UUID, hours: Hours) -> None:
    """Remove them: somebody is always there, or the hours of all others count."""
    await hours.remove(inbox_hours_id)
