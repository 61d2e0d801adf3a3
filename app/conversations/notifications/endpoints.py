"""HTTP for notifications: what was told to whom, and what could not be."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from app.conversations.notifications.schemas import (
    NotificationChannel,
    NotificationRead,
    NotificationState,
)
from app.conversations.notifications.service import NotificationService
from app.core.pagination import PageRead, Paging
from app.kernel.access import require_module
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/admin/notifications", tags=["notifications"])
Notifications = Annotated[NotificationService, service(NotificationService)]


@router.get("", dependencies=[require_module("conversations", "messages:read")])
async def list_notifications(
    notifications: Notifications,
    page: Paging,
    state: NotificationState | None = None,
    channel: NotificationChannel | None = None,
) -> PageRead[NotificationRead]:
    """Messages about orders, newest first, with how each one ended."""
    found = await notifications.recent(page, state=state, channel=channel)
    return PageRead[NotificationRead].model_validate(found)
