"""The job that hands a letter to the carrier."""

from __future__ import annotations

from uuid import UUID

from app.contracts.gateways.email import EmailGateway
from app.contracts.gateways.messaging import GatewayFailure
from app.kernel.jobs.service import JobContext, RetryLater
from app.kernel.mail.service import SEND, MailService

__all__ = ["SEND", "send"]


async def send(job: JobContext) -> None:
    """Send one letter, at most once. Raises RetryLater."""
    id = UUID(job.payload["letter_id"])
    async with job.works() as work:
        email = await MailService(work).prepare(id)
        carrier = work.port(EmailGateway)
    if email is None:
        return
    try:
        await carrier.send(email)
    except GatewayFailure as failure:
        async with job.works() as work:
            wait = await MailService(work).ended(id, failure)
        if wait is not None:
            raise RetryLater(wait) from failure
        return
    async with job.works() as work:
        await MailService(work).accepted(id)
