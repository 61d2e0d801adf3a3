"""One delivery's life: made with its event, prepared, recorded, tried again or given up."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.contracts.platform import WebhookEndpointDisabled
from app.core.clock import now
from app.kernel.tenancy import TOPIC as TENANTS
from app.kernel.webhooks import rules
from app.kernel.webhooks.models import (
    FAILED,
    PENDING,
    SUCCEEDED,
    WebhookDelivery,
    WebhookEndpoint,
)
from app.kernel.webhooks.repository import DeliveryRepository, EndpointRepository
from app.kernel.webhooks.service import DELIVER, payload_of, secret_context
from app.kernel.work import UnitOfWork

_GONE = 410


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is needed to call the receiver with no transaction open."""

    delivery_id: UUID
    endpoint_id: UUID
    number: int
    """Attempts made before this one."""
    url: str
    is_failing: bool
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended; ``error`` None says it arrived."""

    status: int | None
    error: str | None
    response: str | None = None
    duration_ms: int | None = None
    retry_after_s: float | None = None


class DeliveryService:
    """For the jobs alone; people use ``WebhookService``."""

    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.endpoints = EndpointRepository(work.session)
        self.deliveries = DeliveryRepository(work.session)

    async def fan_out(self, told: dict[str, Any]) -> None:
        """A delivery and its job per endpoint that hears the event; a second run adds none."""
        event, event_id = str(told["type"]), UUID(told["event_id"])
        payload = payload_of(event, datetime.fromisoformat(told["at"]), told["data"])
        for endpoint in await self.endpoints.enabled():
            if not endpoint.hears(event):
                continue
            made = await self.deliveries.add_once(endpoint.id, event_id, event, payload)
            if made is not None:
                self.work.enqueue(DELIVER, {"delivery_id": made, "attempt": 0})

    async def prepare(self, delivery_id: UUID, number: int) -> Attempt | None:
        """The next attempt; None when it was made already, or nobody waits for it any more."""
        row = await self.deliveries.find(delivery_id, lock=True)
        if row is None or row.state != PENDING or row.attempts != number:
            return None
        endpoint = await self.endpoints.get(row.endpoint_id)
        if not endpoint.is_enabled:
            row.state, row.next_at, row.last_error = FAILED, None, "endpoint disabled"
            return None
        body, at = row.payload.encode(), now()
        keys = self._secrets(endpoint, at)
        message = rules.message_id(row.event_id)
        headers = rules.signed_headers(keys, message, int(at.timestamp()), body)
        failing = endpoint.failing_since is not None
        return Attempt(row.id, endpoint.id, number, endpoint.url, failing, headers, body)

    async def record(self, attempt: Attempt, outcome: Outcome) -> None:
        """Keep how it ended and queue what follows, in one transaction."""
        row = await self.deliveries.find(attempt.delivery_id, lock=True)
        if row is None or row.state != PENDING or row.attempts != attempt.number:
            return
        row.attempts, row.attempted_at = row.attempts + 1, now()
        row.last_status, row.last_error = outcome.status, outcome.error
        row.last_response, row.duration_ms = outcome.response, outcome.duration_ms
        if outcome.error is None:
            row.state, row.next_at = SUCCEEDED, None
            await self.endpoints.recovered(row.endpoint_id)
        else:
            await self._failed(row, outcome)
        await self.deliveries.flush()

    async def _failed(self, row: WebhookDelivery, outcome: Outcome) -> None:
        endpoint = await self.endpoints.get(row.endpoint_id, lock=True)
        self._blame(endpoint, outcome)
        delays = self.work.runtime.settings.webhook_retry_seconds
        wait = rules.wait_after(row.attempts - row.attempts_before, delays, outcome.retry_after_s)
        if wait is None or not endpoint.is_enabled:
            row.state, row.next_at = FAILED, None
            return
        row.next_at = now() + timedelta(seconds=wait)
        self.work.enqueue(
            DELIVER,
            {"delivery_id": row.id, "attempt": row.attempts},
            delay=timedelta(seconds=wait),
        )

    def _blame(self, endpoint: WebhookEndpoint, outcome: Outcome) -> None:
        if not endpoint.is_enabled:
            return
        at, days = now(), self.work.runtime.settings.webhook_disable_days
        endpoint.failing_since = endpoint.failing_since or at
        if outcome.status == _GONE:
            reason = "gone"
        elif at - endpoint.failing_since >= timedelta(days=days):
            reason = "failing"
        else:
            return
        endpoint.disable(reason)
        self.work.publish(
            WebhookEndpointDisabled(
                webhook_endpoint_id=endpoint.id, url=endpoint.url, reason=reason
            )
        )
        self.work.ring(TENANTS)

    def _secrets(self, endpoint: WebhookEndpoint, at: datetime) -> list[str]:
        # The newest first; what was rotated out signs until its last instant.
        old = [s for until, s in endpoint.retiring.items() if datetime.fromisoformat(until) > at]
        context = secret_context(self.work.tenant.id, endpoint.id)
        vault = self.work.runtime.vault
        return [vault.decrypt(sealed, context) for sealed in (endpoint.secret, *reversed(old))]
