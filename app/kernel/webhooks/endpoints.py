"""HTTP for outbound webhooks: endpoints, their secrets, and what was delivered."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from app.core.pagination import PageRead, Paging
from app.core.problems import TooMany, problems
from app.kernel.access import require_module
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.throttle import throttled
from app.kernel.webhooks.models import WebhookDelivery, WebhookEndpoint
from app.kernel.webhooks.problems import (
    DeliveryUnderWay,
    EndpointDisabled,
    TooManyEndpoints,
    UnknownEventType,
    WebhookDeliveryNotFound,
    WebhookEndpointNotFound,
    WebhookUrlRefused,
)
from app.kernel.webhooks.schemas import (
    DeliveryRead,
    DeliveryState,
    EndpointCreate,
    EndpointRead,
    EndpointSecret,
    EndpointUpdate,
)
from app.kernel.webhooks.service import WebhookService
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/admin/webhooks", tags=["webhooks"], route_class=ReplayableRoute)
Webhooks = Annotated[WebhookService, service(WebhookService)]
_READ = require_module("platform", "webhooks:read")
_WRITE = require_module("platform", "webhooks:write")


@router.get("", dependencies=[_READ])
async def list_webhook_endpoints(webhooks: Webhooks, page: Paging) -> PageRead[EndpointRead]:
    """Where this tenant's events go, newest first; never a secret."""
    return PageRead[EndpointRead].model_validate(await webhooks.listed(page))


@router.post(
    "",
    status_code=201,
    dependencies=[_WRITE],
    responses=problems(WebhookUrlRefused, UnknownEventType, TooManyEndpoints),
)
async def create_webhook_endpoint(body: EndpointCreate, webhooks: Webhooks) -> EndpointSecret:
    """Subscribe a URL to events; the signing secret is shown in this answer alone."""
    return await webhooks.create(body)


@router.post(
    "/deliveries/{delivery_id}/replay",
    status_code=202,
    response_model=DeliveryRead,
    dependencies=[_WRITE, Idempotent],
    responses=problems(WebhookDeliveryNotFound, DeliveryUnderWay, EndpointDisabled),
)
async def replay_webhook_delivery(delivery_id: UUID, webhooks: Webhooks) -> WebhookDelivery:
    """Send an ended delivery again, with the same webhook-id and the same bytes."""
    return await webhooks.replay(delivery_id)


@router.get(
    "/{endpoint_id}",
    response_model=EndpointRead,
    dependencies=[_READ],
    responses=problems(WebhookEndpointNotFound),
)
async def get_webhook_endpoint(endpoint_id: UUID, webhooks: Webhooks) -> WebhookEndpoint:
    """One endpoint and how it fares."""
    return await webhooks.get(endpoint_id)


@router.patch(
    "/{endpoint_id}",
    response_model=EndpointRead,
    dependencies=[_WRITE],
    responses=problems(WebhookEndpointNotFound, WebhookUrlRefused, UnknownEventType),
)
async def update_webhook_endpoint(
    endpoint_id: UUID, body: EndpointUpdate, webhooks: Webhooks
) -> WebhookEndpoint:
    """Change an endpoint, or switch it on or off; fields left out stay as they are."""
    return await webhooks.update(endpoint_id, body)


@router.delete(
    "/{endpoint_id}",
    status_code=204,
    dependencies=[_WRITE],
    responses=problems(WebhookEndpointNotFound),
)
async def delete_webhook_endpoint(endpoint_id: UUID, webhooks: Webhooks) -> None:
    """Forget an endpoint, with its deliveries and whatever still waited for it."""
    await webhooks.delete(endpoint_id)


@router.post(
    "/{endpoint_id}/rotate",
    dependencies=[_WRITE],
    responses=problems(WebhookEndpointNotFound),
)
async def rotate_webhook_secret(endpoint_id: UUID, webhooks: Webhooks) -> EndpointSecret:
    """Make a new secret, shown in this answer alone; the old one also signs for 24 hours."""
    return await webhooks.rotate(endpoint_id)


@router.post(
    "/{endpoint_id}/test",
    status_code=202,
    response_model=DeliveryRead,
    dependencies=[_WRITE, throttled("webhook-tests", "60/h", by="tenant"), Idempotent],
    responses=problems(WebhookEndpointNotFound, EndpointDisabled, TooMany),
)
async def test_webhook_endpoint(endpoint_id: UUID, webhooks: Webhooks) -> WebhookDelivery:
    """Send a test event; how it went is in the deliveries a moment later."""
    return await webhooks.test(endpoint_id)


@router.get(
    "/{endpoint_id}/deliveries",
    dependencies=[_READ],
    responses=problems(WebhookEndpointNotFound),
)
async def list_webhook_deliveries(
    endpoint_id: UUID, webhooks: Webhooks, page: Paging, state: DeliveryState | None = None
) -> PageRead[DeliveryRead]:
    """What was sent to an endpoint and how it ended, newest first."""
    return PageRead[DeliveryRead].model_validate(await webhooks.history(endpoint_id, page, state))
