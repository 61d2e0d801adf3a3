"""Queries over carts filled in chats."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from app.conversations.carts.models import WhatsAppCart
from app.conversations.inbox.models import Conversation, Message
from app.conversations.numbers.models import WhatsAppNumber
from app.core.repository import Repository


class CartRepository(Repository[WhatsAppCart]):
    model = WhatsAppCart

    async def message(self, message_id: UUID) -> tuple[Message, str | None] | None:
        """What somebody wrote, and the store that sells in its number's chats."""
        found = await self.session.execute(
            select(Message, WhatsAppNumber.cart_store)
            .join(WhatsAppNumber, WhatsAppNumber.id == Message.number_id)
            .where(Message.id == message_id, Message.author == "contact")
        )
        row = found.one_or_none()
        return (row[0], row[1]) if row is not None else None

    async def begin(self, message_id: UUID, store: str) -> WhatsAppCart | None:
        """The cart of this message, made now; None when it is known already."""
        made = await self.session.scalar(
            insert(WhatsAppCart)
            .values(id=message_id, store=store, state="offered")
            .on_conflict_do_nothing(index_elements=["tenant_id", "id"])
            .returning(WhatsAppCart.id)
        )
        return await self.session.get_one(WhatsAppCart, made) if made is not None else None

    async def of_contact(self, cart_id: UUID, contact_id: UUID) -> WhatsAppCart | None:
        """This contact's cart, locked after its conversation, as whoever writes in it does."""
        held = select(Message.conversation_id).where(
            Message.id == cart_id, Message.contact_id == contact_id
        )
        conversation = await self.session.scalar(
            select(Conversation.id).where(Conversation.id.in_(held)).with_for_update()
        )
        if conversation is None:
            return None
        return await self.one_or_none(
            self.query().where(WhatsAppCart.id == cart_id).with_for_update()
        )

    async def of_order(self, order_id: UUID) -> tuple[WhatsAppCart, UUID] | None:
        """The cart that became an order, and the number in whose chat."""
        found = await self.session.execute(
            select(WhatsAppCart, Message.number_id)
            .join(Message, Message.id == WhatsAppCart.id)
            .where(WhatsAppCart.order_id == order_id)
        )
        row = found.one_or_none()
        return (row[0], row[1]) if row is not None else None
