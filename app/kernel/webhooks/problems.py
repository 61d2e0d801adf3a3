"""What can go wrong with outbound webhooks."""

from __future__ import annotations

from http import HTTPStatus

from app.core.problems import Conflict, NotFound, Problem


class WebhookEndpointNotFound(NotFound):
    code = "webhook-endpoint-not-found"
    title = "There is no such webhook endpoint."


class WebhookDeliveryNotFound(NotFound):
    code = "webhook-delivery-not-found"
    title = "There is no such delivery: see GET /api/v1/admin/webhooks/{endpoint_id}/deliveries."


class WebhookUrlRefused(Problem):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "webhook-url-refused"
    title = "This URL cannot receive webhooks: give a public https:// address."


class UnknownEventType(Problem):
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "unknown-event-type"
    title = "There is no such event: choose from known, or * for all."


class TooManyEndpoints(Conflict):
    code = "too-many-webhook-endpoints"
    title = "A tenant has at most 20 webhook endpoints: delete one first."


class EndpointDisabled(Conflict):
    code = "webhook-endpoint-disabled"
    title = "This endpoint is switched off: switch it on first."


class DeliveryUnderWay(Conflict):
    code = "webhook-delivery-under-way"
    title = "This delivery is still being tried: it can be replayed when it has ended."
