"""What a tenant does with its webhook endpoints."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from app.core.clock import now
from app.core.guard import UrlRefused
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.kernel.tenancy import TOPIC as TENANTS
from app.kernel.webhooks import rules
from app.kernel.webhooks.models import (
    ENDPOINT_SECRET,
    PENDING,
    WebhookDelivery,
    WebhookEndpoint,
)
from app.kernel.webhooks.problems import (
    DeliveryUnderWay,
    EndpointDisabled,
    TooManyEndpoints,
    UnknownEventType,
    WebhookUrlRefused,
)
from app.kernel.webhooks.repository import DeliveryRepository, EndpointRepository
from app.kernel.webhooks.schemas import (
    DeliveryState,
    EndpointCreate,
    EndpointSecret,
    EndpointUpdate,
)
from app.kernel.work import Work

DELIVER = "kernel.webhooks.deliver"


def secret_context(tenant_id: UUID, endpoint_id: UUID) -> str:
    """What the envelope of an endpoint's secret is bound to."""
    return ENDPOINT_SECRET.bound_to({"tenant_id": tenant_id, "id": endpoint_id})[0]


def payload_of(event: str, at: datetime, data: dict[str, object]) -> str:
    """The body of a delivery (Standard Webhooks: type, timestamp, data)."""
    body = {"type": event, "timestamp": at, "data": data}
    return orjson.dumps(body, option=orjson.OPT_UTC_Z).decode()


@dataclass(frozen=True, slots=True)
class _Kept:
    secret: str
    plain: str


class WebhookService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.endpoints = EndpointRepository(work.session)
        self.deliveries = DeliveryRepository(work.session)

    async def listed(self, page: PageRequest) -> Page[WebhookEndpoint]:
        """Endpoints, newest first."""
        return await self.endpoints.page(self.endpoints.query(), page)

    async def get(self, endpoint_id: UUID) -> WebhookEndpoint:
        """One endpoint. Raises WebhookEndpointNotFound."""
        return await self.endpoints.get(endpoint_id)

    async def create(self, body: EndpointCreate) -> EndpointSecret:
        """Subscribe a URL. Raises WebhookUrlRefused, UnknownEventType, TooManyEndpoints."""
        self._check(body.url, body.events)
        if await self.endpoints.count() >= rules.MAX_ENDPOINTS:
            raise TooManyEndpoints()
        id_ = new_id()
        kept = self._new_secret(id_)
        row = WebhookEndpoint(
            id=id_,
            url=body.url,
            events=body.events,
            description=body.description,
            secret=kept.secret,
            is_enabled=True,
        )
        await self.endpoints.add(row)
        self.work.record(
            "webhook_endpoint.created", "webhook_endpoint", id_, after=body.model_dump()
        )
        self.work.ring(TENANTS)
        return await self._shown(row, kept.plain)

    async def update(self, endpoint_id: UUID, body: EndpointUpdate) -> WebhookEndpoint:
        """Change what is given. Raises WebhookEndpointNotFound and the problems of ``create``."""
        row = await self.endpoints.get(endpoint_id, lock=True)
        sent = body.model_dump(exclude_unset=True, exclude_none=True)
        self._check(sent.get("url"), sent.get("events"))
        before = {name: getattr(row, name) for name in sent}
        for name in sent.keys() - {"is_enabled"}:
            setattr(row, name, sent[name])
        if body.is_enabled is True and not row.is_enabled:
            row.enable()
        elif body.is_enabled is False and row.is_enabled:
            row.disable("manual")
        await self.endpoints.flush()
        self.work.record(
            "webhook_endpoint.updated", "webhook_endpoint", row.id, before=before, after=sent
        )
        self.work.ring(TENANTS)
        return row

    async def delete(self, endpoint_id: UUID) -> None:
        """Forget an endpoint and its deliveries. Raises WebhookEndpointNotFound."""
        row = await self.endpoints.get(endpoint_id, lock=True)
        await self.endpoints.delete(row)
        self.work.record("webhook_endpoint.deleted", "webhook_endpoint", row.id, url=row.url)
        self.work.ring(TENANTS)

    async def rotate(self, endpoint_id: UUID) -> EndpointSecret:
        """A new secret; the old one also signs for 24 hours. Raises WebhookEndpointNotFound."""
        row = await self.endpoints.get(endpoint_id, lock=True)
        kept, at = self._new_secret(row.id), now()
        alive = {
            until: s for until, s in row.retiring.items() if datetime.fromisoformat(until) > at
        }
        alive[(at + rules.ROTATION).isoformat()] = row.secret
        row.retiring = dict(sorted(alive.items())[-rules.MAX_RETIRING :])
        row.secret = kept.secret
        await self.endpoints.flush()
        self.work.record("webhook_endpoint.rotated", "webhook_endpoint", row.id)
        return await self._shown(row, kept.plain)

    async def test(self, endpoint_id: UUID) -> WebhookDelivery:
        """Send a test event. Raises WebhookEndpointNotFound, EndpointDisabled."""
        row = await self.endpoints.get(endpoint_id)
        if not row.is_enabled:
            raise EndpointDisabled()
        data: dict[str, object] = {"endpoint_id": str(row.id), "message": "Olá do Largo"}
        sent = WebhookDelivery(
            endpoint_id=row.id,
            event_id=new_id(),
            type=rules.TEST_EVENT,
            payload=payload_of(rules.TEST_EVENT, now(), data),
        )
        await self.deliveries.add(sent)
        await self.work.session.refresh(sent)
        return self._queued(sent)

    async def history(
        self, endpoint_id: UUID, page: PageRequest, state: DeliveryState | None
    ) -> Page[WebhookDelivery]:
        """What was sent, newest first. Raises WebhookEndpointNotFound."""
        await self.endpoints.get(endpoint_id)
        return await self.deliveries.of(endpoint_id, page, state)

    async def replay(self, delivery_id: UUID) -> WebhookDelivery:
        """Send an ended delivery again: same id, same bytes, all retries anew.

        Raises WebhookDeliveryNotFound, DeliveryUnderWay, EndpointDisabled.
        """
        row = await self.deliveries.get(delivery_id, lock=True)
        if row.state == PENDING:
            raise DeliveryUnderWay()
        if not (await self.endpoints.get(row.endpoint_id)).is_enabled:
            raise EndpointDisabled()
        row.state, row.attempts_before, row.next_at = PENDING, row.attempts, now()
        await self.deliveries.flush()
        self.work.record("webhook_delivery.replayed", "webhook_delivery", row.id)
        return self._queued(row)

    def _queued(self, row: WebhookDelivery) -> WebhookDelivery:
        self.work.enqueue(DELIVER, {"delivery_id": row.id, "attempt": row.attempts})
        return row

    async def _shown(self, row: WebhookEndpoint, plain: str) -> EndpointSecret:
        await self.work.session.refresh(row)
        facts = {n: getattr(row, n) for n in EndpointSecret.model_fields if n != "secret"}
        return EndpointSecret(**facts, secret=plain)

    def _new_secret(self, endpoint_id: UUID) -> _Kept:
        plain = rules.new_secret()
        context = secret_context(self.work.tenant.id, endpoint_id)
        return _Kept(self.work.runtime.vault.encrypt(plain, context), plain)

    def _check(self, url: str | None, events: list[str] | None) -> None:
        if url is not None:
            try:
                self.work.runtime.guard.check(url)
            except UrlRefused as refused:
                raise WebhookUrlRefused(f"The URL was refused: {refused}.") from refused
        known = rules.event_types()
        unknown = sorted(set(events or ()) - known - {"*"})
        if unknown:
            raise UnknownEventType(unknown=unknown, known=sorted(known))
