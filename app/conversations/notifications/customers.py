"""What customers are told of their orders, in the tenant's own words, through the inbox.

With a WhatsApp number of its own a tenant's messages are owed and sent by the inbox: free words
within the customer's day, else the template that the tenant chose. Without one, the notification's
own way over the connection ``whatsapp`` is left as it is.
"""

from __future__ import annotations

from uuid import UUID

from app.contracts.commerce import OrderLookup, OrderSummary
from app.conversations.carts.models import WhatsAppCart
from app.conversations.carts.rules import progress
from app.conversations.carts.service import CartService
from app.conversations.inbox.service import InboxService
from app.conversations.notifications.models import Notification, OrderMessageSetting
from app.conversations.notifications.repository import (
    NotificationRepository,
    OrderMessageRepository,
)
from app.conversations.notifications.rules import (
    EXAMPLE,
    OrderFact,
    customer_text,
    filled,
    values_of,
)
from app.conversations.notifications.schemas import (
    Fact,
    NotificationChannel,
    NotificationState,
    OrderMessagePut,
    OrderMessageRead,
)
from app.conversations.sending.problems import (
    ConsentMissing,
    WindowClosed,
)
from app.conversations.sending.schemas import OwnInteractive, TemplateMessageIn, TextMessage
from app.conversations.sending.service import Author, SendingService
from app.conversations.templates.problems import (
    TemplateNotApproved,
    TemplateParametersInvalid,
)
from app.kernel.contacts.service import ContactService
from app.kernel.work import Work

FACTS: tuple[Fact, ...] = (
    "placed", "confirmed", "preparing", "ready", "out_for_delivery", "delivered", "cancelled",
    "rejected",
)  # fmt: skip
_AUTHOR = Author("system", None, "utility")


class CustomerNews:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.settings = OrderMessageRepository(work.session)
        self.notifications = NotificationRepository(work.session)

    async def listed(self) -> list[OrderMessageRead]:
        """Every fact with the tenant's words for it, or ours."""
        rows = {row.fact: row for row in await self.settings.all(self.settings.query())}
        return [_shown(fact, rows.get(fact)) for fact in FACTS]

    async def put(self, fact: Fact, body: OrderMessagePut) -> OrderMessageRead:
        """What customers are told when this happens, from now on."""
        await self.settings.put(fact, body.model_dump())
        row = await self.settings.of(fact)
        after = body.model_dump(mode="json")
        self.work.record("order_message.set", "order_message", None, fact=fact, after=after)
        return _shown(fact, row)

    async def tell(self, order_id: UUID, fact: OrderFact) -> bool:
        """Owe the customer this news once; False when the tenant has no number of its own."""
        setting = await self.settings.of(fact.name)
        if setting is not None and not setting.is_on:
            return True
        inbox = InboxService(self.work)
        if not await inbox.has_number():
            return False
        cart = await CartService(self.work).of_order(order_id)
        if cart is not None and fact.name == "placed":
            return True  # the chat in which it was ordered has the receipt
        order = await self.work.port(OrderLookup).summary(order_id)
        text = _text(order, fact, setting) if order is not None else None
        if order is None or text is None:
            return True
        row = await self.notifications.intend(
            NotificationChannel.WHATSAPP,
            f"{order_id}:{fact.name}",
            order_id=order_id,
            recipient=order.customer_phone,
            body=text,
        )
        if row.state == NotificationState.PENDING:
            await self._owe(row, order, fact, setting, cart)
        return True

    async def _owe(
        self,
        row: Notification,
        order: OrderSummary,
        fact: OrderFact,
        setting: OrderMessageSetting | None,
        cart: tuple[WhatsAppCart, UUID] | None,
    ) -> None:
        contact = (
            await ContactService(self.work).by_phone(order.customer_phone)
            if order.customer_phone
            else None
        )
        number_id = cart[1] if cart is not None else None
        reached = await InboxService(self.work).reach(contact.id, number_id) if contact else None
        if reached is None:
            row.state, row.error = NotificationState.FAILED, "no-recipient"
            return
        sending = SendingService(self.work)
        try:
            try:
                message = await sending.queue(reached, _said(row.body, order, fact, cart), _AUTHOR)
            except WindowClosed:
                template = _template(setting, order, fact)
                if template is None:
                    raise
                message = await sending.queue(reached, template, _AUTHOR)
        except (
            WindowClosed, TemplateNotApproved, TemplateParametersInvalid, ConsentMissing
        ) as refused:  # fmt: skip
            row.state, row.error = NotificationState.FAILED, refused.code
            return
        row.state, row.message_id = NotificationState.QUEUED, message.id


def _said(
    body: str, order: OrderSummary, fact: OrderFact, cart: tuple[WhatsAppCart, UUID] | None
) -> OwnInteractive | TextMessage:
    """The news; as the order's own status where the order is shown in the chat."""
    shown = progress(order.id, fact.name, body) if cart and cart[0].has_details else None
    return shown or TextMessage(type="text", text=body)


def _text(order: OrderSummary, fact: OrderFact, setting: OrderMessageSetting | None) -> str | None:
    if setting is not None and setting.text:
        return filled(setting.text, values_of(order, fact))
    return customer_text(order, fact)


def _template(
    setting: OrderMessageSetting | None, order: OrderSummary, fact: OrderFact
) -> TemplateMessageIn | None:
    if setting is None or not setting.template_name:
        return None
    values = values_of(order, fact)
    return TemplateMessageIn.model_validate(
        {
            "type": "template",
            "name": setting.template_name,
            "language": setting.template_language,
            "components": [
                {
                    "type": "body",
                    "parameters": [
                        {"type": "text", "text": " ".join(values[name].split()) or "-"}
                        for name in setting.template_values
                    ],
                }
            ]
            if setting.template_values
            else [],
        }
    )


def _shown(fact: Fact, row: OrderMessageSetting | None) -> OrderMessageRead:
    return OrderMessageRead(
        fact=fact,
        is_on=row is None or row.is_on,
        text=row.text if row else None,
        template_name=row.template_name if row else None,
        template_language=row.template_language if row else None,
        template_values=list(row.template_values) if row else [],
        preview=_text(EXAMPLE, OrderFact(fact), row),
    )
