"""HTTP for orders: the customer's tracking page, and the staff's list, detail and moves."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import AwareDatetime

from app.commerce.orders.problems import (
    OrderNotCancellable,
    OrderNotFound,
    ReasonRequired,
    TransitionNotAllowed,
    VersionConflict,
)
from app.commerce.orders.rules import FulfilmentType, OrderFilter, OrderStatus
from app.commerce.orders.schemas import (
    CustomerCancel,
    OrderRead,
    OrderSummaryRead,
    TrackingRead,
    Transition,
)
from app.commerce.orders.service import OrderService
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import public, require_module
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.work import service

public_router = APIRouter(prefix="/api/v1/orders", tags=["orders"], route_class=ReplayableRoute)
admin_router = APIRouter(
    prefix="/api/v1/admin/orders", tags=["orders (staff)"], route_class=ReplayableRoute
)
Orders = Annotated[OrderService, service(OrderService)]
Token = Annotated[str, Query(min_length=20, max_length=100, description="Tracking token.")]


async def _filter(
    status: OrderStatus | None = None,
    fulfilment: FulfilmentType | None = None,
    store_id: UUID | None = None,
    contact_id: UUID | None = None,
    placed_from: AwareDatetime | None = None,
    placed_to: AwareDatetime | None = None,
    query: Annotated[
        str | None,
        Query(min_length=1, max_length=80, description="Number, phone or start of a name."),
    ] = None,
) -> OrderFilter:
    return OrderFilter(status, fulfilment, store_id, contact_id, placed_from, placed_to, query)


Filter = Annotated[OrderFilter, Depends(_filter)]


@public_router.get("", dependencies=[require_module("commerce", "orders:read")])
@admin_router.get("", dependencies=[require_module("commerce", "orders:read")])
async def list_orders(orders: Orders, page: Paging, only: Filter) -> PageRead[OrderSummaryRead]:
    """Orders, newest first."""
    return PageRead[OrderSummaryRead].model_validate(
        await orders.recent(page, only), from_attributes=True
    )


@public_router.get(
    "/{order_id}", dependencies=[public("commerce")], responses=problems(OrderNotFound)
)
async def track_order(order_id: UUID, token: Token, orders: Orders) -> TrackingRead:
    """Follow an order with the token of its checkout; no login."""
    return await orders.track(order_id, token)


@public_router.post(
    "/{order_id}/cancel",
    dependencies=[public("commerce"), Idempotent],
    responses=problems(OrderNotFound, OrderNotCancellable),
)
async def cancel_own_order(
    order_id: UUID, token: Token, body: CustomerCancel, orders: Orders
) -> TrackingRead:
    """Cancel one's own order while the store has not answered it."""
    return await orders.cancel_by_customer(order_id, token, body.reason)


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
    order_id: UUID,
    body: Transition,
    orders: Orders,
    response: Response,
    if_match: Annotated[
        str | None, Header(description='Version that was read, e.g. "3".', pattern=r'^"?\d+"?$')
    ] = None,
) -> OrderRead:
    """Move an order along its status machine; cancelling gives stock and coupons back."""
    version = int(if_match.strip('"')) if if_match else None
    order = await orders.move(order_id, body.to, body.reason, version)
    response.headers["ETag"] = f'"{order.version}"'
    return order
