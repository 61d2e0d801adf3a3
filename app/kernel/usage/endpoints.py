"""HTTP for usage: what the plan allows and what of it is used."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from app.kernel.access import tenant_member
from app.kernel.usage.schemas import UsageRead
from app.kernel.usage.service import UsageService
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/usage", tags=["usage"])
Usage = Annotated[UsageService, service(UsageService)]


@router.get("", dependencies=[tenant_member()])
async def show_usage(usage: Usage) -> UsageRead:
    """The tenant's plan, its limits, and what is used of each."""
    return await usage.shown()
