"""Queries over webhook endpoints and their deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.webhooks.models import WebhookDelivery, WebhookEndpoint
from app.kernel.webhooks.problems import WebhookDeliveryNotFound, WebhookEndpointNotFound


class EndpointRepository(Repository[WebhookEndpoint]):
    model = WebhookEndpoint
    missing = WebhookEndpointNotFound

    async def enabled(self) -> Sequence[WebhookEndpoint]:
        return await self.all(self.query().where(WebhookEndpoint.is_enabled))

    async def count(self) -> int:
        statement = select(func.count()).select_from(WebhookEndpoint)
        return await self.session.scalar(statement) or 0

    async def recovered(self, endpoint_id: UUID) -> None:
        """Forget that it was failing; no write when it was not."""
        await self.session.execute(
            update(WebhookEndpoint)
            .where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.failing_since.is_not(None))
            .values(failing_since=None)
        )


class DeliveryRepository(Repository[WebhookDelivery]):
    model = WebhookDelivery
    missing = WebhookDeliveryNotFound

    async def add_once(
        self, endpoint_id: UUID, event_id: UUID, type_: str, payload: str
    ) -> UUID | None:
        """Insert; None when this endpoint already has this event."""
        return await self.session.scalar(
            insert(WebhookDelivery)
            .values(
                id=new_id(), endpoint_id=endpoint_id, event_id=event_id, type=type_, payload=payload
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "endpoint_id", "event_id"])
            .returning(WebhookDelivery.id)
        )

    async def of(
        self, endpoint_id: UUID, page: PageRequest, state: str | None
    ) -> Page[WebhookDelivery]:
        statement = self.query().where(WebhookDelivery.endpoint_id == endpoint_id)
        if state is not None:
            statement = statement.where(WebhookDelivery.state == state)
        return await self.page(statement, page)
