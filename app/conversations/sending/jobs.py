"""Jobs that send messages and marks, and the beat that asks people about what stayed unknown."""

from __future__ import annotations

import logging
import time
from uuid import UUID

from app.contracts.gateways.messaging import GatewayFailure
from app.contracts.gateways.whatsapp import WhatsAppGateway
from app.conversations.inbox.service import MARK_READ
from app.conversations.media.problems import UploadNotFound
from app.conversations.media.uploads import carry
from app.conversations.numbers.service import NumberService
from app.conversations.sending.dispatch import (
    Dispatch,
    Later,
    Never,
    Next,
    Outgoing,
    tenants_undecided,
)
from app.conversations.sending.pacing import TurnLater, pacer_of, pass_line
from app.conversations.sending.service import SEND
from app.kernel.files.problems import FileNotFound
from app.kernel.jobs.service import JobContext, RetryLater
from app.kernel.work import Actor, Runtime, unit_of_work

log = logging.getLogger(__name__)

__all__ = ["MARK_READ", "SEND", "mark_read", "mark_undecided_now_and_then", "send"]
_EVERY_S = 30.0
_NEXT = "sending.undecided_at"


async def send(job: JobContext) -> None:
    """Send one message. Raises RetryLater."""
    message_id = UUID(job.payload["message_id"])
    async with job.works() as work:
        turn = await Dispatch(work).turn(message_id)
    if turn is None:
        return
    _not_later(turn)
    if isinstance(turn, Next):
        if turn.carries and not await _carried(job, message_id):
            return
        try:
            async with job.place.left():
                await pass_line(job.runtime, turn.pace, turn.contact_id, turn.urgency)
        except TurnLater as later:
            raise RetryLater(later.seconds) from later
    async with job.works() as work:
        outgoing = await Dispatch(work).take(message_id)
    _not_later(outgoing)
    if isinstance(outgoing, Never):
        async with job.works() as work:
            await Dispatch(work).give_up(message_id, outgoing.code)
    if isinstance(outgoing, Outgoing):
        await _deliver(job, outgoing)


def _not_later(found: object) -> None:
    if isinstance(found, Later):
        raise RetryLater(found.seconds)


async def _deliver(job: JobContext, outgoing: Outgoing) -> None:
    attempt_id = outgoing.attempt_id
    try:
        async with job.place.left():
            sent = await outgoing.gateway.send(
                outgoing.account, outgoing.to, outgoing.message, reference=str(attempt_id)
            )
    except GatewayFailure as failure:
        async with job.works() as work:
            later = await Dispatch(work).ended(attempt_id, failure)
        if later is not None and later.pause is not None:
            await pacer_of(job.runtime).hold(later.pause, later.seconds)
        _not_later(later)
        return
    async with job.works() as work:
        await Dispatch(work).accepted(attempt_id, sent)


async def _carried(job: JobContext, message_id: UUID) -> bool:
    """Whether the vendor has what the message carries; it fails when it cannot. Raises
    RetryLater."""
    try:
        await carry(job.runtime, job.works, message_id)
    except GatewayFailure as failure:
        async with job.works() as work:
            again = await Dispatch(work).not_carried(message_id, failure)
        if again is not None:
            raise RetryLater(again) from failure
        return False
    except (UploadNotFound, FileNotFound):
        async with job.works() as work:
            await Dispatch(work).give_up(message_id, "media-lost")
        return False
    return True


async def mark_read(job: JobContext) -> None:
    """Show the contact that a message was read; a mark that fails is not worth a second try."""
    async with job.works() as work:
        numbers = NumberService(work)
        account = numbers.account(await numbers.get(UUID(job.payload["number_id"])))
        gateway = work.port(WhatsAppGateway)
    try:
        await gateway.mark_read(
            account, job.payload["wamid"], typing=bool(job.payload["is_typing"])
        )
    except GatewayFailure as failure:
        log.info("sending.unmarked", extra={"reason": failure.reason})


async def mark_undecided_now_and_then(runtime: Runtime) -> int:
    """Ask people about what stayed unknown, each half minute in each process; how many."""
    if time.monotonic() < runtime.caches.get(_NEXT, 0.0):
        return 0
    runtime.caches[_NEXT] = time.monotonic() + _EVERY_S
    return await mark_undecided(runtime)


async def mark_undecided(runtime: Runtime) -> int:
    """Ask people about every message that stayed unknown; how many."""
    marked = 0
    for tenant_id in await tenants_undecided(runtime):
        try:
            tenant = await runtime.tenants.by_id(tenant_id)
            async with unit_of_work(runtime, tenant, Actor("system", "sending")) as work:
                marked += await Dispatch(work).mark_undecided()
        except Exception:
            # One tenant's trouble is not the others'.
            log.exception("sending.undecided_failed", extra={"tenant_id": str(tenant_id)})
    return marked
