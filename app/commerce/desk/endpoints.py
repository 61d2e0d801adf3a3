"""HTTP for what staff do to orders at the desk, and for ordering the same again."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from app.commerce.checkout import problems as c
from app.commerce.checkout.schemas import PlacedRead
from app.commerce.desk import problems as d
from app.commerce.desk.again import AgainService
from app.commerce.desk.schemas import AgainRead, EditedRead, OrderEditIn, StaffOrderIn
from app.commerce.desk.service import DeskService, place_once
from app.commerce.orders import problems as o
from app.commerce.orders.asking import IfMatch, Token, version_of
from app.commerce.shipping.problems import OutOfDeliveryArea
from app.commerce.stores.problems import StoreNotFound
from app.core.problems import Busy, TooMany, problems
from app.kernel.access import ActionNotAllowed, public, require_also, require_module
from app.kernel.idempotency import (
    IdempotencyKey,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    intent_of,
    replayed,
)
from app.kernel.work import Works, service

router = APIRouter(prefix="/api/v1/admin/orders", tags=["orders (staff)"])
public_router = APIRouter(prefix="/api/v1/orders", tags=["orders"])
Desk = Annotated[DeskService, service(DeskService)]
Again = Annotated[AgainService, service(AgainService)]

REFUSALS = (
    StoreNotFound,
    OutOfDeliveryArea,
    c.StoreClosed,
    c.AddressRequired,
    c.InvalidPostalCode,
    c.InvalidCustomerPhone,
    c.ItemsUnavailable,
    c.OutOfStock,
    c.BelowMinimumOrder,
)


@router.post(
    "",
    status_code=201,
    response_model=PlacedRead,
    dependencies=[require_module("commerce", "orders:write")],
    responses=problems(
        *REFUSALS,
        c.CustomerBlocked,
        c.PaymentMethodNotAccepted,
        c.ChangeTooSmall,
        c.CouponNotApplicable,
        c.ShippingChanged,
        c.PriceChanged,
        d.OrderCustomerNotFound,
        d.CustomerRequired,
        d.OverrideReasonRequired,
        ActionNotAllowed,
        IdempotencyKeyMissing,
        IdempotencyKeyReused,
        Busy,
    ),
)
async def place_order_for_customer(
    request: Request, body: StaffOrderIn, works: Works, key: IdempotencyKey = None
) -> Response:
    """Place an order by phone or over the counter, as a checkout would.

    Another price, or an order while the store is closed, needs `orders:override` and a reason.
    """
    if body.overrides:
        require_also(request, "commerce", "orders:override")
    answer, is_old = await place_once(works, body, await intent_of(request, key))
    if is_old:
        return replayed(answer)
    return Response(answer.body, answer.status, media_type=answer.media_type)


@router.patch(
    "/{order_id}",
    dependencies=[require_module("commerce", "orders:write")],
    responses=problems(
        *REFUSALS,
        c.CouponNotApplicable,
        c.PriceChanged,
        d.NothingToChange,
        d.OrderNotOrderable,
        d.OverrideReasonRequired,
        o.OrderNotFound,
        o.OrderLineNotFound,
        o.OrderNotEditable,
        o.VersionConflict,
        ActionNotAllowed,
        Busy,
    ),
)
async def edit_order(
    request: Request,
    response: Response,
    order_id: UUID,
    body: OrderEditIn,
    desk: Desk,
    if_match: IfMatch = None,
) -> EditedRead:
    """Change what was ordered, where it goes or when, until it is being prepared.

    Lines that stay are priced as today; prices that staff had set stay.
    """
    if body.overrides:
        require_also(request, "commerce", "orders:override")
    found = await desk.edit(order_id, body, version_of(if_match))
    response.headers["ETag"] = f'"{found.order.version}"'
    return found


@router.get(
    "/{order_id}/reorder",
    dependencies=[require_module("commerce", "orders:read")],
    responses=problems(o.OrderNotFound),
)
async def repeat_order(order_id: UUID, again: Again) -> AgainRead:
    """The same order as a cart of today: priced, with what can no longer be had left out."""
    return await again.by_staff(order_id)


@public_router.get(
    "/{order_id}/reorder",
    dependencies=[public("commerce")],
    responses=problems(o.OrderNotFound, TooMany),
)
async def repeat_own_order(order_id: UUID, token: Token, again: Again) -> AgainRead:
    """One's own order as a cart of today; no login, the tracking token."""
    return await again.by_customer(order_id, token)
