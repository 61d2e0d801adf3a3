"""HTTP for notifications: what was told to whom, and what could not be."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from app.conversations.notifications.customers import CustomerNews
from app.conversations.notifications.schemas import (
    Fact,
    NotificationChannel,
    NotificationRead,
    NotificationState,
    OrderMessagePut,
    OrderMessageRead,
)
from app.conversations.notifications.service import NotificationService
from app.core.pagination import PageRead, Paging
from app.kernel.access import require_module
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/admin/notifications", tags=["notifications"])
texts_router = APIRouter(prefix="/api/v1/order-messages", tags=["notifications"])
News = Annotated[CustomerNews, service(CustomerNews)]
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


@texts_router.get("", dependencies=[require_module("conversations", "messages:read")])
async def list_order_messages(news: News) -> list[OrderMessageRead]:
    """What customers are told of their orders, with a preview of each."""
    return await news.listed()


@texts_router.put("/{fact}", dependencies=[require_module("conversations", "messages:manage")])
async def set_order_message(fact: Fact, body: OrderMessagePut, news: News) -> OrderMessageRead:
    """The tenant's own words or template for one thing that happens to orders, or silence."""
    return await news.put(fact, body)
