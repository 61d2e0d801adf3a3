"""HTTP for orders: the customer's tracking page, and the staff's list, detail and moves."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response

from app.commerce.orders.asking import Filter, IfMatch, Token, version_of
from app.commerce.orders.live import about
from app.commerce.orders.problems import (
    OrderNotCancellable,
    OrderNotFound,
    ReasonRequired,
    TransitionNotAllowed,
    VersionConflict,
)
from app.commerce.orders.rules import OrderStatus
from app.commerce.orders.schemas import (
    BulkRead,
    BulkTransition,
    CustomerCancel,
    OrderRead,
    OrderSummaryRead,
    TrackingRead,
    Transition,
)
from app.commerce.orders.service import OrderService, move_each
from app.core.pagination import PageRead, Paging
from app.core.problems import TooMany, problems
from app.kernel.access import ActionNotAllowed, public, require_also, require_module
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.realtime.guests import GuestFeed, Guests
from app.kernel.realtime.service import EventStream, Streams, TooManyStreams
from app.kernel.work import Works, service

public_router = APIRouter(prefix="/api/v1/orders", tags=["orders"], route_class=ReplayableRoute)
admin_router = APIRouter(
    prefix="/api/v1/admin/orders", tags=["orders (staff)"], route_class=ReplayableRoute
)
Orders = Annotated[OrderService, service(OrderService)]


@public_router.get("", dependencies=[require_module("commerce", "orders:read")])
@admin_router.get("", dependencies=[require_module("commerce", "orders:read")])
async def list_orders(orders: Orders, page: Paging, only: Filter) -> PageRead[OrderSummaryRead]:
    """Orders, newest first. A span of time is listed by that time, `sort` by what it names."""
    return PageRead[OrderSummaryRead].model_validate(
        await orders.recent(page, only), from_attributes=True
    )


@public_router.get(
    "/{order_id}", dependencies=[public("commerce")], responses=problems(OrderNotFound, TooMany)
)
async def track_order(order_id: UUID, token: Token, orders: Orders) -> TrackingRead:
    """Follow an order with the token of its checkout; no login."""
    return await orders.track(order_id, token)


@public_router.get(
    "/{order_id}/events",
    dependencies=[public("commerce")],
    response_class=Response,
    responses={
        200: {
            "description": "Server-sent events: `status`, `changed`; `id` is for Last-Event-ID.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **problems(OrderNotFound, TooMany, TooManyStreams),
    },
)
async def follow_order(
    request: Request,
    order_id: UUID,
    token: Token,
    works: Works,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> EventStream:
    """Follow one order live with its token; a client that lost the line resumes where it was."""
    async with works() as work:
        await OrderService(work).admit(order_id, token)
    streams: Streams = request.app.state.streams
    guests: Guests = works.runtime.caches.setdefault("order-guests", Guests())
    seat = guests.enter(order_id, works.tenant.id)
    feed = GuestFeed(works, streams, seat, works.tenant.id, about(works, order_id, token))
    given = last_event_id or ""
    cursor = int(given[:18]) if given.isascii() and given.isdecimal() else None
    return EventStream(feed, cursor, streams, seat)


@public_router.post(
    "/{order_id}/cancel",
    dependencies=[public("commerce"), Idempotent],
    responses=problems(OrderNotFound, OrderNotCancellable, TooMany),
)
async def cancel_own_order(
    order_id: UUID, token: Token, body: CustomerCancel, orders: Orders
) -> TrackingRead:
    """Cancel one's own order while the store has not answered it."""
    return await orders.cancel_by_customer(order_id, token, body.words)


@admin_router.get(
    "/{order_id}",
    dependencies=[require_module("commerce", "orders:read")],
    responses=problems(OrderNotFound),
)
async def read_order(order_id: UUID, orders: Orders, response: Response) -> OrderRead:
    """One order with items, money, delivery and history; its ETag is what If-Match asks for."""
    order = await orders.detail(order_id)
    response.headers["ETag"] = f'"{order.version}"'
    return order


@admin_router.post(
    "/{order_id}/transitions",
    dependencies=[require_module("commerce", "orders:update"), Idempotent],
    responses=problems(OrderNotFound, TransitionNotAllowed, VersionConflict, ReasonRequired),
)
async def move_order(
    request: Request,
    order_id: UUID,
    body: Transition,
    orders: Orders,
    response: Response,
    if_match: IfMatch = None,
) -> OrderRead:
    """Move an order along its status machine; cancelling gives stock and coupons back."""
    if body.to is OrderStatus.CANCELLED:
        require_also(request, "commerce", "orders:cancel")
    order = await orders.move(order_id, body.to, body.reason, version_of(if_match))
    response.headers["ETag"] = f'"{order.version}"'
    return order


@admin_router.post(
    "/transitions",
    dependencies=[require_module("commerce", "orders:update")],
    responses=problems(ActionNotAllowed),
)
async def move_orders(request: Request, body: BulkTransition, works: Works) -> BulkRead:
    """Move up to 100 orders; each is answered by itself, and none stops another."""
    if body.to is OrderStatus.CANCELLED:
        require_also(request, "commerce", "orders:cancel")
    return BulkRead(results=await move_each(works, body))
