"""Reading an account's templates page by page: the repair for webhooks that never came."""

from __future__ import annotations

from app.contracts.gateways.messaging import GatewayFailure, GatewayRefused
from app.contracts.gateways.whatsapp import WhatsAppGateway
from app.conversations.numbers.problems import NumberNotFound
from app.conversations.numbers.service import NumberService
from app.conversations.templates.service import SYNC, TemplateService
from app.core.clock import now
from app.kernel.jobs.service import JobContext, RetryLater

__all__ = ["SYNC", "SYNC_ALL", "sync", "sync_all"]

SYNC_ALL = "conversations.templates.sync_all"
_AGAIN_S = 300.0


async def sync(job: JobContext) -> None:
    """Make one account's templates what the vendor has. Raises RetryLater."""
    waba_id = str(job.payload["waba_id"])
    began = now()
    try:
        async with job.works() as work:
            account = await NumberService(work).account_of_waba(waba_id)
            gateway = work.port(WhatsAppGateway)
    except NumberNotFound:
        return  # disconnected meanwhile
    try:
        async for page in gateway.templates(account):
            async with job.works() as work:
                await TemplateService(work).keep(waba_id, page, began)
    except GatewayFailure as failure:
        if isinstance(failure, GatewayRefused) and not failure.retryable:
            return  # the test button and the health card tell it
        raise RetryLater(_AGAIN_S) from failure
    async with job.works() as work:
        await TemplateService(work).finish_look(waba_id, began)


async def sync_all(job: JobContext) -> None:
    """Queue a look at each account; for schedules."""
    async with job.works() as work:
        await TemplateService(work).queue_sync()
