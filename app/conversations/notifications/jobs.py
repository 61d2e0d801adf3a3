"""Jobs that tell people about orders: the customer on WhatsApp, the shop on Telegram."""

from __future__ import annotations

from uuid import UUID

from app.contracts.gateways.messaging import GatewayFailure
from app.conversations.notifications.customers import CustomerNews
from app.conversations.notifications.rules import OrderFact
from app.conversations.notifications.schemas import NotificationChannel
from app.conversations.notifications.service import NotificationService, Outgoing
from app.kernel.jobs.service import JobContext, RetryLater

ORDER_NEWS = "conversations.notifications.order_news"
ORDER_WHATSAPP = "conversations.notifications.order_whatsapp"
ORDER_TELEGRAM = "conversations.notifications.order_telegram"
STOCK_TELEGRAM = "conversations.notifications.stock_telegram"
HEARD_WHEN = """(EXISTS (SELECT FROM whatsapp_numbers n WHERE n.tenant_id = t.id)
  OR EXISTS (SELECT FROM connections c WHERE c.tenant_id = t.id
    AND c.provider IN ('whatsapp', 'telegram')))"""
"""When there is anything to tell of orders by (``TenantDirectory``)."""
_BY_CONNECTION = {
    NotificationChannel.WHATSAPP: ORDER_WHATSAPP,
    NotificationChannel.TELEGRAM: ORDER_TELEGRAM,
}


async def order_news(job: JobContext) -> None:
    """Find who is to be told what happened to an order: one job of the checkout's where the
    tenant has connected anything, and one more for each channel that there is."""
    order_id, fact = UUID(job.payload["order_id"]), _fact(job)
    async with job.works() as work:
        channels = set(_BY_CONNECTION)
        if await CustomerNews(work).tell(order_id, fact):
            channels.discard(NotificationChannel.WHATSAPP)
        for channel in sorted(channels):
            if await NotificationService(work).is_connected(channel):
                entrypoint, key = _BY_CONNECTION[channel], f"{order_id}:{fact.name}"
                work.enqueue(entrypoint, job.payload, dedupe_key=key)


async def order_whatsapp(job: JobContext) -> None:
    """Tell the customer what happened to the order. Raises RetryLater."""
    await _tell(job, NotificationChannel.WHATSAPP)


async def order_telegram(job: JobContext) -> None:
    """Tell the shop's chat of a new or cancelled order. Raises RetryLater."""
    await _tell(job, NotificationChannel.TELEGRAM)


async def stock_telegram(job: JobContext) -> None:
    """Tell the shop's chat what is low. Raises RetryLater."""
    # The payload is contracts.commerce.StockReported.
    async with job.works() as work:
        message = await NotificationService(work).prepare_report(
            UUID(job.payload["stock_report_id"]), job.payload["lines"], more=job.payload["more"]
        )
    await _send(job, message)


def _fact(job: JobContext) -> OrderFact:
    # Payloads are the events of contracts.commerce: a status change names where it went.
    return OrderFact(job.payload.get("after", "placed"), job.payload.get("reason"))


async def _tell(job: JobContext, channel: NotificationChannel) -> None:
    async with job.works() as work:
        message = await NotificationService(work).prepare(
            channel, UUID(job.payload["order_id"]), _fact(job)
        )
    await _send(job, message)


async def _send(job: JobContext, message: Outgoing | None) -> None:
    if message is None:
        return
    try:
        sent = await message.gateway.send_text(
            credentials=message.credentials,
            to=message.to,
            text=message.text,
            reference=str(message.id),
        )
    except GatewayFailure as failure:
        async with job.works() as work:
            wait = await NotificationService(work).ended(message.id, failure)
        if wait is not None:
            raise RetryLater(wait) from failure
        return
    async with job.works() as work:
        await NotificationService(work).accepted(message.id, sent)
