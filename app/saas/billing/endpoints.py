"""HTTP for what a tenant pays, and the webhooks by which payments are heard of."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request

from app.core.pagination import PageRead, Paging
from app.core.problems import Invalid, TooLarge, problems
from app.kernel.access import public, require_module, tenant_member
from app.kernel.idempotency import IdempotencyKey
from app.kernel.inbox.problems import (
    WebhookBodyInvalid,
    WebhookNotConfigured,
    WebhookReplayed,
    WebhookSignatureInvalid,
    WebhookWrongMode,
)
from app.kernel.inbox.schemas import Received
from app.kernel.inbox.service import receive
from app.kernel.work import runtime_of, service
from app.saas.billing.jobs import IntakeSource, StatusSource, StripeSource
from app.saas.billing.problems import (
    AlreadySubscribed,
    BillingNotConfigured,
    BillingProviderFailed,
    CheckoutRaced,
    NoBillingAccount,
    PriceNotOffered,
)
from app.saas.billing.schemas import (
    BillingOverview,
    CheckoutCreate,
    CheckoutRead,
    InvoiceRead,
    PortalCreate,
    PortalRead,
    SubscriptionRead,
)
from app.saas.billing.service import BillingService

router = APIRouter(prefix="/api/v1", tags=["billing"])
Billing = Annotated[BillingService, service(BillingService)]


@router.post(
    "/checkout/create-session",
    dependencies=[require_module("platform", "billing:write")],
    responses=problems(
        BillingNotConfigured,
        PriceNotOffered,
        AlreadySubscribed,
        CheckoutRaced,
        BillingProviderFailed,
    ),
)
async def create_checkout_session(
    body: CheckoutCreate, billing: Billing, key: IdempotencyKey = None
) -> CheckoutRead:
    """Open Stripe's page to subscribe to the plan of a price; pages opened before are closed.

    A retry with the same Idempotency-Key is shown the same page.
    """
    page = await billing.open_checkout(body, key)
    return CheckoutRead(session_id=page.id, url=page.url)


@router.post(
    "/billing/create-portal-session",
    dependencies=[require_module("platform", "billing:write")],
    responses=problems(BillingNotConfigured, NoBillingAccount, BillingProviderFailed),
)
async def create_portal_session(body: PortalCreate, billing: Billing) -> PortalRead:
    """Open Stripe's portal: card, plan, invoices, cancelling."""
    return PortalRead(url=await billing.open_portal(body.return_url))


@router.get("/billing/subscription", dependencies=[tenant_member()])
async def get_subscription(billing: Billing) -> SubscriptionRead:
    """The tenant's plan and standing."""
    return await billing.overview()


@router.get("/admin/billing", dependencies=[require_module("platform", "billing:read")])
async def get_billing(billing: Billing) -> BillingOverview:
    """Plan, standing, limits and modules of the tenant."""
    return await billing.overview()


@router.get("/admin/billing/invoices", dependencies=[require_module("platform", "billing:read")])
async def list_invoices(billing: Billing, page: Paging) -> PageRead[InvoiceRead]:
    """The tenant's invoices, newest first."""
    return PageRead[InvoiceRead].model_validate(await billing.invoices(page))


@router.post(
    "/admin/billing/sync",
    dependencies=[require_module("platform", "billing:write")],
    responses=problems(BillingNotConfigured, NoBillingAccount, BillingProviderFailed),
)
async def sync_billing(billing: Billing) -> BillingOverview:
    """Ask Stripe for the subscription as it is now, e.g. on the way back from its page."""
    return await billing.sync()


@router.post(
    "/webhooks/stripe",
    dependencies=[public()],
    responses=problems(
        WebhookNotConfigured,
        WebhookSignatureInvalid,
        WebhookBodyInvalid,
        WebhookWrongMode,
        TooLarge,
    ),
)
async def stripe_webhook(request: Request) -> Received:
    """Stripe's events (`Stripe-Signature`): kept, answered at once, processed once by a job."""
    runtime = runtime_of(request)
    await receive(runtime, StripeSource(runtime), request.headers, request.stream())
    return Received()


_REFUSALS = problems(
    WebhookNotConfigured, WebhookSignatureInvalid, WebhookReplayed, Invalid, TooLarge
)


@router.post("/billing/webhook/status", dependencies=[public()], responses=_REFUSALS)
async def status_webhook(request: Request) -> Received:
    """Another billing system tells a tenant's plan and standing.

    Body: `event_id`, `occurred_at`, `tenant` (slug), `plan_code`, `status`, and optionally
    `current_period_end`. `X-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">` with
    BILLING_WEBHOOK_SECRET, at most 300 s old; an `event_id` that was received before is 409.
    """
    runtime = runtime_of(request)
    if not await receive(runtime, StatusSource(runtime), request.headers, request.stream()):
        raise WebhookReplayed()
    return Received()


@router.post("/billing/webhook/intake", dependencies=[public()], responses=_REFUSALS)
async def intake_webhook(request: Request) -> Received:
    """A contract sold outside: the tenant `slug` is made with its owner, or put on the plan.

    Body: `event_id`, `occurred_at`, `slug`, `name`, `plan_code`, `status` (active or trialing),
    `owner` (`name`, `email`). Signed as `/billing/webhook/status` is.
    """
    runtime = runtime_of(request)
    if not await receive(runtime, IntakeSource(runtime), request.headers, request.stream()):
        raise WebhookReplayed()
    return Received()
