"""HTTP for preview and checkout."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.commerce.checkout import problems as p
from app.commerce.checkout.schemas import (
    CartIn,
    CheckoutIn,
    CouponsRead,
    PlacedRead,
    PreviewRead,
)
from app.commerce.checkout.service import previewed, take_order, way_of
from app.commerce.checkout.trial import TrialService
from app.commerce.shipping.problems import OutOfDeliveryArea
from app.commerce.stores.problems import StoreNotFound
from app.core.problems import Busy, problems
from app.kernel.access import public
from app.kernel.idempotency import (
    IdempotencyKey,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    intent_of,
    replayed,
)
from app.kernel.work import Works

router = APIRouter(prefix="/api/v1/checkout", tags=["checkout"])

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
)


@router.post("/preview", dependencies=[public("commerce")], responses=problems(*_REFUSALS))
async def preview_order(body: CartIn, works: Works) -> PreviewRead:
    """Compute lines, discounts, freight and totals as a checkout would; nothing is written."""
    draft = await previewed(works, body)
    return PreviewRead.model_validate(
        draft.breakdown() | {"offers_within_reach": draft.within_reach()}
    )


@router.post(
    "/coupons",
    dependencies=[public("commerce")],
    responses=problems(
        StoreNotFound,
        p.AddressRequired,
        p.InvalidPostalCode,
        p.InvalidCustomerPhone,
        p.ItemsUnavailable,
        OutOfDeliveryArea,
    ),
)
async def check_coupons(body: CartIn, works: Works) -> CouponsRead:
    """What each coupon takes off a cart, or why it does not; also while the store is closed."""
    way = await way_of(works, body)
    async with works() as work:
        return CouponsRead.model_validate(await TrialService(work).coupons(body, way))


@router.post(
    "",
    status_code=201,
    response_model=PlacedRead,
    dependencies=[public("commerce")],
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
async def place_order(
    request: Request, body: CheckoutIn, works: Works, key: IdempotencyKey = None
) -> Response:
    """Place the order. The same Idempotency-Key answers the same order, however often sent."""
    intent = await intent_of(request, key)
    answer, is_old = await take_order(works, body, intent)
    if is_old:
        return replayed(answer)
    return Response(answer.body, answer.status, media_type=answer.media_type)
