"""Ordering in a chat: a cart comes in, its ways and totals are offered, a button makes the order.

The order is placed by commerce, through the checkout's own code, under the id of the cart's
message: pressed twice, delivered twice or died in between, it is one order. What is said about it
is owed in the same transaction.
"""

from __future__ import annotations

from uuid import UUID

from app.contracts.carts import CartDesk, CartOffer, CartRefused, ChatCart, Fulfilment
from app.conversations.carts.models import WhatsAppCart
from app.conversations.carts.repository import CartRepository
from app.conversations.carts.rules import (
    DROP,
    choice_of,
    items_of,
    question,
    receipt,
    refusal,
)
from app.conversations.inbox.models import Message
from app.conversations.inbox.problems import ConversationNotLive
from app.conversations.sending.problems import ConsentMissing, NumberInactive, WindowClosed
from app.conversations.sending.schemas import ButtonsMessage, OwnInteractive, TextMessage
from app.conversations.sending.service import Author, SendingService
from app.kernel.work import Work

_AUTHOR = Author("bot")
_PRICE_CHANGED = "price-changed"


class CartService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.carts = CartRepository(work.session)

    async def received(self, message_id: UUID) -> None:
        """Offer the cart of this message, once; in a number that sells nothing it is a message."""
        found = await self.carts.message(message_id)
        if found is None or found[1] is None:
            return
        message, store = found[0], found[1]
        cart = await self.carts.begin(message.id, store)
        if cart is not None:
            await self._offer(cart, message, is_news=False)

    async def answered(self, message_id: UUID) -> None:
        """Do what a pressed button chose, once for each press."""
        found = await self.carts.message(message_id)
        chosen = choice_of(found[0].content) if found is not None else None
        if found is None or chosen is None:
            return
        message, (cart_id, choice) = found[0], chosen
        cart = await self.carts.of_contact(cart_id, message.contact_id)
        if cart is None or message.id in cart.answers:
            return
        cart.answers = [*cart.answers, message.id]
        if cart.state == "ordered":
            known = CartRefused("cart-already-ordered", (str(cart.order_number),))
            await self._say(cart, message, refusal(known))
        elif choice == DROP:
            cart.state, cart.reason = "dropped", None
            said = "Tudo bem, o carrinho foi desfeito. Quando quiser, é só montar outro."
            await self._say(cart, message, TextMessage(type="text", text=said))
        elif choice in cart.offered:
            await self._order(cart, message, "delivery" if choice == "delivery" else "pickup")

    async def of_order(self, order_id: UUID) -> tuple[WhatsAppCart, UUID] | None:
        """The cart that became an order, and the number in whose chat."""
        return await self.carts.of_order(order_id)

    async def _order(self, cart: WhatsAppCart, message: Message, way: Fulfilment) -> None:
        origin = await self.carts.message(cart.id)
        if origin is None:
            return
        desk, asked = self.work.port(CartDesk), _chat_cart(cart, origin[0])
        sold = await desk.sell(asked, way, int(cart.offered[way]))
        if isinstance(sold, CartRefused):
            if sold.code == _PRICE_CHANGED:
                await self._offer(cart, origin[0], is_news=True)
            else:
                cart.state, cart.reason = "refused", sold.code
                await self._say(cart, message, refusal(sold))
            return
        cart.state, cart.reason = "ordered", None
        cart.order_id, cart.order_number = sold.order_id, sold.number
        body = receipt(sold)
        cart.has_details = await self._say(cart, message, body) and isinstance(body, OwnInteractive)

    async def _offer(self, cart: WhatsAppCart, message: Message, *, is_news: bool) -> None:
        offer = await self.work.port(CartDesk).offer(_chat_cart(cart, message))
        if isinstance(offer, CartOffer):
            cart.state, cart.reason = "offered", None
            cart.offered = {way.fulfilment: way.total_cents for way in offer.ways}
            await self._say(cart, message, question(cart.id, offer, is_news=is_news))
        else:
            cart.state, cart.reason = "refused", offer.code
            await self._say(cart, message, refusal(offer))

    async def _say(
        self, cart: WhatsAppCart, to: Message, body: ButtonsMessage | OwnInteractive | TextMessage
    ) -> bool:
        """Owe this answer; False when nobody may be written to any more."""
        try:
            await SendingService(self.work).queue(to.conversation_id, body, _AUTHOR)
        except (ConversationNotLive, NumberInactive, WindowClosed, ConsentMissing) as refused:
            cart.reason = refused.code
            return False
        return True


def _chat_cart(cart: WhatsAppCart, message: Message) -> ChatCart:
    return ChatCart(cart.id, cart.store, message.contact_id, items_of(message.content))
