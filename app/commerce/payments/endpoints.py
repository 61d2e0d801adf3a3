"""HTTP for payments: the customer's page and codes, the staff's money desk, Stripe's webhook."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response

from app.commerce.payments.jobs import ShopStripeSource
from app.commerce.payments.problems import (
    CardPaymentsNotConfigured,
    CardProviderFailed,
    NothingToRefund,
    PaymentChanged,
    PaymentNotFound,
    PaymentNotOpen,
    PaymentNotPix,
    PixKeyInvalid,
    PixNotConfigured,
    ProviderConfirms,
    RefundNotFound,
    RefundNotManual,
    RefundNotRetryable,
)
from app.commerce.payments.schemas import (
    IntentRead,
    OrderMoneyRead,
    PaymentPage,
    PaymentSettingsPut,
    PaymentSettingsRead,
    Received,
    RefundCreate,
    RefundRead,
    Taken,
)
from app.commerce.payments.service import PaymentService
from app.commerce.payments.stripe import RefundDesk, open_intent
from app.core.problems import TooLarge, problems
from app.kernel.access import public, require_module
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.inbox.problems import (
    WebhookBodyInvalid,
    WebhookSignatureInvalid,
    WebhookWrongMode,
)
from app.kernel.inbox.service import receive
from app.kernel.work import Works, runtime_of, service

router = APIRouter(prefix="/api/v1", tags=["payments"], route_class=ReplayableRoute)
Payments = Annotated[PaymentService, service(PaymentService)]
Desk = Annotated[RefundDesk, service(RefundDesk)]
Token = Annotated[str, Query(min_length=20, max_length=100, description="Tracking token.")]
IfMatch = Annotated[
    str | None,
    Header(description='The order\'s version that was read, e.g. "3".', pattern=r'^"?\d{1,18}"?$'),
]
_NO_STORE = {"cache-control": "private, no-store"}


def _version(if_match: str | None) -> int | None:
    return int(if_match.strip('"')) if if_match else None


@router.get(
    "/orders/{order_id}/payment",
    dependencies=[public("commerce")],
    responses=problems(PaymentNotFound),
)
async def read_payment(order_id: UUID, token: Token, payments: Payments) -> PaymentPage:
    """How an order is paid, with the tracking token: PIX "copia e cola", QR code, until when."""
    return await payments.page(order_id, token)


@router.get(
    "/orders/{order_id}/payment/qr-svg",
    dependencies=[public("commerce")],
    response_class=Response,
    responses={
        **problems(PaymentNotFound, PaymentNotPix, PixNotConfigured),
        200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}},
    },
)
async def pix_svg(order_id: UUID, token: Token, payments: Payments) -> Response:
    """The PIX code as an SVG image."""
    image = await payments.qr(order_id, token, "svg")
    return Response(image, media_type="image/svg+xml", headers=_NO_STORE)


@router.get(
    "/orders/{order_id}/payment/qr-png",
    dependencies=[public("commerce")],
    response_class=Response,
    responses={
        **problems(PaymentNotFound, PaymentNotPix, PixNotConfigured),
        200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
    },
)
async def pix_png(order_id: UUID, token: Token, payments: Payments) -> Response:
    """The PIX code as a PNG image."""
    image = await payments.qr(order_id, token, "png")
    return Response(image, media_type="image/png", headers=_NO_STORE)


@router.post(
    "/orders/{order_id}/payment-intent",
    dependencies=[public("commerce")],
    responses=problems(
        PaymentNotFound, PaymentNotOpen, CardPaymentsNotConfigured, CardProviderFailed
    ),
)
async def create_intent(order_id: UUID, token: Token, works: Works) -> IntentRead:
    """What Stripe's script needs to take a card; asked again, the same intent."""
    return await open_intent(works, order_id, token)


@router.get(
    "/admin/orders/{order_id}/payments",
    dependencies=[require_module("commerce", "orders:read")],
    responses=problems(PaymentNotFound),
)
async def read_money(order_id: UUID, payments: Payments) -> OrderMoneyRead:
    """All payments and refunds of an order, what is owed and by whom."""
    return await payments.money(order_id)


@router.post(
    "/admin/orders/{order_id}/payments/{payment_id}/received",
    dependencies=[require_module("commerce", "payments:write"), Idempotent],
    responses=problems(PaymentNotFound, PaymentChanged, ProviderConfirms, PaymentNotOpen),
)
async def mark_received(
    order_id: UUID, payment_id: UUID, body: Received, payments: Payments, if_match: IfMatch = None
) -> OrderMoneyRead:
    """Note money that came in: PIX seen at the bank, cash, card at the door.

    Less than asked leaves the payment open and flagged `short`; more is paid and flagged `over`;
    after the order was cancelled it is flagged `late` and a refund is begun.
    """
    return await payments.mark_received(
        order_id, payment_id, body.received_cents, _version(if_match)
    )


@router.post(
    "/admin/orders/{order_id}/payments/{payment_id}/refunds",
    dependencies=[require_module("commerce", "payments:refund"), Idempotent],
    responses=problems(PaymentNotFound, PaymentChanged, NothingToRefund),
)
async def refund_payment(
    order_id: UUID, payment_id: UUID, body: RefundCreate, payments: Payments,
    if_match: IfMatch = None,
) -> OrderMoneyRead:  # fmt: skip
    """Give part or all back: by Stripe for cards, by hand (then settled) for the rest."""
    return await payments.refund(order_id, payment_id, body, _version(if_match))


@router.post(
    "/admin/payments/refunds/{refund_id}/settled",
    dependencies=[require_module("commerce", "payments:refund"), Idempotent],
    responses=problems(RefundNotFound, RefundNotManual),
)
async def settle_refund(refund_id: UUID, desk: Desk) -> RefundRead:
    """The money was given back by hand."""
    return await desk.settled(refund_id)


@router.post(
    "/admin/payments/refunds/{refund_id}/retry",
    dependencies=[require_module("commerce", "payments:refund"), Idempotent],
    responses=problems(RefundNotFound, RefundNotRetryable),
)
async def retry_refund(refund_id: UUID, desk: Desk) -> RefundRead:
    """Try a refund that Stripe refused once more."""
    return await desk.again(refund_id)


@router.get(
    "/admin/payments/settings",
    dependencies=[require_module("commerce", "stores:read")],
)
async def read_settings(payments: Payments) -> PaymentSettingsRead:
    """The PIX key, who receives, and how long an order waits for its money."""
    return await payments.configured()


@router.put(
    "/admin/payments/settings",
    dependencies=[require_module("commerce", "payments:configure")],
    responses=problems(PixKeyInvalid),
)
async def put_settings(body: PaymentSettingsPut, payments: Payments) -> PaymentSettingsRead:
    """Replace the settings; the owner's alone, as whoever sets the key is paid."""
    return await payments.configure(body)


@router.post(
    "/webhooks/stripe/{slug}",
    dependencies=[public()],
    responses=problems(
        WebhookSignatureInvalid,
        WebhookBodyInvalid,
        WebhookWrongMode,
        TooLarge,
    ),
)
async def shop_stripe_webhook(slug: str, request: Request) -> Taken:
    """Events of a tenant's own Stripe account, signed with its connection's webhook secret.

    Who knows no secret is told nothing else: not which tenants there are, nor which take cards.
    """
    runtime = runtime_of(request)
    tenant = await runtime.tenants.find("slug", slug)
    if tenant is None:
        raise WebhookSignatureInvalid()
    source = ShopStripeSource(runtime, tenant)
    await receive(runtime, source, request.headers, request.stream())
    return Taken()
