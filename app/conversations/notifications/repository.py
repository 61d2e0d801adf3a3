"""Queries over notifications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from app.conversations.notifications.models import Notification, OrderMessageSetting
from app.conversations.notifications.problems import NotificationNotFound
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository


class NotificationRepository(Repository[Notification]):
    model = Notification
    missing = NotificationNotFound

    async def intend(
        self, channel: str, dedupe_key: str, *, order_id: UUID | None, recipient: str, body: str
    ) -> Notification:
        """The one row of this fact and channel, locked; inserted when this is its first time."""
        await self.session.execute(
            insert(Notification)
            .values(
                id=new_id(),
                channel=channel,
                dedupe_key=dedupe_key,
                order_id=order_id,
                recipient=recipient,
                body=body,
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "dedupe_key", "channel"])
        )
        found = await self.session.execute(
            select(Notification)
            .where(Notification.dedupe_key == dedupe_key, Notification.channel == channel)
            .with_for_update()
        )
        return found.scalar_one()

    async def recent(
        self, page: PageRequest, *, state: str | None, channel: str | None
    ) -> Page[Notification]:
        statement = self.query()
        if state is not None:
            statement = statement.where(Notification.state == state)
        if channel is not None:
            statement = statement.where(Notification.channel == channel)
        return await self.page(statement, page)

    async def of_order(self, order_id: UUID) -> Sequence[Notification]:
        """What was sent because of an order, oldest first."""
        return await self.all(
            self.query().where(Notification.order_id == order_id).order_by(Notification.id)
        )


class OrderMessageRepository(Repository[OrderMessageSetting]):
    model = OrderMessageSetting

    async def of(self, fact: str) -> OrderMessageSetting | None:
        return await self.one_or_none(self.query().where(OrderMessageSetting.fact == fact))

    async def put(self, fact: str, values: dict[str, Any]) -> None:
        await self.session.execute(
            insert(OrderMessageSetting)
            .values(id=new_id(), fact=fact, **values)
            .on_conflict_do_update(index_elements=["tenant_id", "fact"], set_=values)
        )
