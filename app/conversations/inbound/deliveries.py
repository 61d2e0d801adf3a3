"""A tenant's view of what WhatsApp delivered for it, and another try."""

from __future__ import annotations

from uuid import UUID

from app.conversations.inbound.intake import PROVIDER
from app.conversations.inbound.problems import DeliveryNotFound, DeliveryWaits
from app.core.pagination import Page, PageRequest
from app.kernel.inbox.models import InboxMessage
from app.kernel.inbox.problems import InboxMessageNotFound
from app.kernel.inbox.schemas import MessageFilter, MessageState
from app.kernel.inbox.service import again, own
from app.kernel.work import UnitOfWork


class DeliveryService:
    def __init__(self, work: UnitOfWork) -> None:
        self.work = work

    async def listed(self, page: PageRequest, state: MessageState | None) -> Page[InboxMessage]:
        """The tenant's deliveries, newest first."""
        wanted = MessageFilter(state, PROVIDER, self.work.tenant.id)
        return await own(self.work, page, wanted)

    async def replay(self, delivery_id: UUID) -> InboxMessage:
        """Process a delivery again, its tries and its receipt forgotten: every item has a key of
        its own, so that nothing is done twice. Raises DeliveryNotFound, DeliveryWaits."""
        try:
            row = await again(self.work, delivery_id, PROVIDER)
        except InboxMessageNotFound:
            raise DeliveryNotFound() from None
        if row is None:
            raise DeliveryWaits()
        return row
