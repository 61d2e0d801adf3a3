"""HTTP for preview and checkout."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter

from app.commerce.checkout import problems as p
from app.commerce.checkout.schemas import BreakdownRead, CartIn, CheckoutIn, PlacedRead
from app.commerce.checkout.service import CheckoutService
from app.commerce.orders.rules import OrderStatus
from app.commerce.shipping.problems import OutOfDeliveryArea
from app.commerce.stores.problems import StoreNotFound
from app.core.problems import Busy, problems
from app.kernel.access import ModuleNotEnabled, public
from app.kernel.idempotency import (
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    IdempotencyRequired,
    ReplayableRoute,
)
from app.kernel.tenancy import TenantRequired
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/checkout", tags=["checkout"], route_class=ReplayableRoute)
Checkout = Annotated[CheckoutService, service(CheckoutService)]

_REFUSALS = (
    StoreNotFound,
    p.StoreClosed,
    p.AddressRequired,
    p.InvalidPostalCode,
    p.InvalidCustomerPhone,
    p.ItemsUnavailable,
    p.OutOfStock,
    p.BelowMinimumOrder,
    OutOfDeliveryArea,
    TenantRequired,
    ModuleNotEnabled,
)


@router.post("/preview", dependencies=[public("commerce")], responses=problems(*_REFUSALS))
async def preview_order(body: CartIn, checkout: Checkout) -> BreakdownRead:
    """Compute lines, discounts, freight and totals as a checkout would; nothing is written."""
    return BreakdownRead.model_validate((await checkout.preview(body)).breakdown())


@router.post(
    "",
    status_code=201,
    dependencies=[public("commerce"), IdempotencyRequired],
    responses=problems(
        *_REFUSALS,
        p.CustomerBlocked,
        p.PaymentMethodNotAccepted,
        p.ChangeTooSmall,
        p.CouponNotApplicable,
        p.ShippingChanged,
        p.PriceChanged,
        IdempotencyKeyMissing,
        IdempotencyKeyReused,
        Busy,
    ),
)
async def place_order(body: CheckoutIn, checkout: Checkout) -> PlacedRead:
    """Place the order. The same Idempotency-Key answers the same order, however often sent."""
    placed = await checkout.place(body)
    facts: dict[str, Any] = placed.draft.breakdown() | {
        "id": placed.id,
        "number": placed.number,
        "status": OrderStatus.PENDING,
        "fulfilment": placed.draft.fulfilment,
        "scheduled_for": placed.draft.scheduled_for,
        "promised_at": placed.promised_at,
        "tracking_token": placed.token,
        "tracking_path": f"/api/v1/orders/{placed.id}?token={placed.token}",
    }
    return PlacedRead.model_validate(facts)
