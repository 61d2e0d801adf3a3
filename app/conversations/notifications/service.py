"""Owing somebody a message: the intent first, then the send, then how it ended.

Each fact is told once per channel. The row is the memory: a delivery of its job that finds it
``sending`` knows that an earlier one died between the vendor and us, and never sends again,
because neither vendor has an idempotency key. A tenant without an enabled connection to the
channel has not asked for it: nothing is sent and no row is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.contracts.commerce import OrderLookup, OrderMessage, OrderSummary
from app.contracts.gateways.messaging import (
    GatewayFailure,
    GatewayOutcomeUnknown,
    GatewayRefused,
    MessageGateway,
    MessagingCredentials,
    SentMessage,
)
from app.conversations.notifications.models import Notification
from app.conversations.notifications.repository import NotificationRepository
from app.conversations.notifications.rules import (
    OrderFact,
    customer_text,
    shop_text,
    stock_text,
)
from app.conversations.notifications.schemas import NotificationChannel, NotificationState
from app.core.backoff import retry_wait
from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.kernel.connections.service import ConnectionService
from app.kernel.work import Work

_S = NotificationState


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that is ours to send now, outside any transaction."""

    id: UUID
    gateway: MessageGateway
    credentials: MessagingCredentials
    to: str
    text: str


class NotificationService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.notifications = NotificationRepository(work.session)

    async def recent(
        self,
        page: PageRequest,
        *,
        state: NotificationState | None,
        channel: NotificationChannel | None,
    ) -> Page[Notification]:
        return await self.notifications.recent(page, state=state, channel=channel)

    async def of_order(self, order_id: UUID) -> tuple[OrderMessage, ...]:
        """Answer the ``OrderMessages`` contract for other domains."""
        return tuple(
            OrderMessage(row.sent_at or row.created_at, row.channel, row.state, row.body)
            for row in await self.notifications.of_order(order_id)
        )

    async def is_connected(self, channel: NotificationChannel) -> bool:
        """Whether the tenant has asked to be told, or to tell, by this channel."""
        return await ConnectionService(self.work).credentials(channel) is not None

    async def prepare(
        self, channel: NotificationChannel, order_id: UUID, fact: OrderFact
    ) -> Outgoing | None:
        """Write the intent and take it; None when there is nothing to send (any more)."""
        account = await ConnectionService(self.work).credentials(channel)
        if account is None:
            return None
        order = await self.work.port(OrderLookup).summary(order_id)
        if order is None:
            return None
        text = _text(channel, order, fact)
        if text is None:
            return None
        row = await self.notifications.intend(
            channel,
            f"{order_id}:{fact.name}",
            order_id=order_id,
            recipient=_recipient(channel, order, account),
            body=text,
        )
        return self._take(row, channel, account)

    async def prepare_report(
        self, report_id: UUID, lines: list[str], *, more: bool
    ) -> Outgoing | None:
        """Write the intent to tell the shop's chat of its stock, and take it; None as above."""
        channel = NotificationChannel.TELEGRAM
        account = await ConnectionService(self.work).credentials(channel)
        if account is None:
            return None
        row = await self.notifications.intend(
            channel,
            f"stock:{report_id}",
            order_id=None,
            recipient=account["chat_id"],
            body=stock_text(lines, more=more),
        )
        return self._take(row, channel, account)

    def _take(
        self, row: Notification, channel: NotificationChannel, account: dict[str, str]
    ) -> Outgoing | None:
        if row.state == _S.SENDING:
            row.state, row.error = _S.UNKNOWN, "a delivery ended without an answer"
            return None
        if row.state != _S.PENDING:
            return None
        if not row.recipient:
            row.state, row.error = _S.FAILED, "no-recipient"
            return None
        row.state, row.attempts = _S.SENDING, row.attempts + 1
        return Outgoing(
            row.id,
            self.work.port(MessageGateway, channel),
            _messaging(account),
            row.recipient,
            row.body,
        )

    async def accepted(self, id: UUID, sent: SentMessage) -> None:
        """The vendor took it. Raises NotificationNotFound."""
        row = await self.notifications.get(id, lock=True)
        row.state, row.error = _S.SENT, None
        row.provider_message_id, row.sent_at = sent.id, now()

    async def ended(self, id: UUID, failure: GatewayFailure) -> float | None:
        """It did not: seconds until it should be tried again, None when never.

        Raises NotificationNotFound.
        """
        row = await self.notifications.get(id, lock=True)
        row.error = str(failure)
        if isinstance(failure, GatewayOutcomeUnknown):
            row.state = _S.UNKNOWN
            return None
        wait = _wait(row, failure)
        row.state = _S.FAILED if wait is None else _S.PENDING
        return wait


def _wait(row: Notification, failure: GatewayFailure) -> float | None:
    if not isinstance(failure, GatewayRefused):
        return retry_wait(row.attempts, None)
    return retry_wait(row.attempts, failure.retry_after_s) if failure.retryable else None


def _messaging(account: dict[str, str]) -> MessagingCredentials:
    """A connection's fields, which differ by vendor, as the gateways take them."""
    token = account.get("access_token") or account["bot_token"]
    return MessagingCredentials(token, account.get("phone_number_id", ""))


def _recipient(channel: NotificationChannel, order: OrderSummary, account: dict[str, str]) -> str:
    if channel is NotificationChannel.WHATSAPP:
        return order.customer_phone
    return account["chat_id"]


def _text(channel: NotificationChannel, order: OrderSummary, fact: OrderFact) -> str | None:
    if channel is NotificationChannel.WHATSAPP:
        return customer_text(order, fact)
    return shop_text(order, fact)
