"""Asking the vendor about a number between two Works: the test button, refresh, registration."""

from __future__ import annotations

from uuid import UUID

from app.contracts.gateways.messaging import GatewayFailure, GatewayRefused
from app.contracts.gateways.whatsapp import RemoteNumber, WhatsAppGateway
from app.conversations.numbers.news import NumberNews, shown
from app.conversations.numbers.problems import problem_of
from app.conversations.numbers.schemas import NumberCheck
from app.conversations.numbers.service import NumberService
from app.kernel.work import WorkFactory


async def look(works: WorkFactory, number_id: UUID) -> NumberCheck:
    """Ask with the stored token what the number is now, and keep it; never raises a failure.

    Raises NumberNotFound.
    """
    async with works() as work:
        service = NumberService(work)
        account = service.account(await service.get(number_id))
        gateway = work.port(WhatsAppGateway)
    remote: RemoteNumber | None = None
    failure: GatewayFailure | None = None
    try:
        remote = await gateway.number(account)
    except GatewayFailure as error:
        failure = error
    async with works() as work:
        await NumberNews(work).seen(number_id, remote, None if failure is None else failure.reason)
        row = await NumberService(work).get(number_id)
        code = failure.code if isinstance(failure, GatewayRefused) else None
        detail = None if failure is None else failure.reason
        return NumberCheck(ok=failure is None, code=code, detail=detail, number=shown(row))


async def register(works: WorkFactory, number_id: UUID, pin: str) -> NumberCheck:
    """Begin to use the number at the vendor, then look at it.

    Raises NumberNotFound, WhatsAppRefused, WhatsAppUnavailable, WhatsAppUncertain.
    """
    async with works() as work:
        service = NumberService(work)
        account = service.account(await service.get(number_id))
        gateway = work.port(WhatsAppGateway)
        work.record("number.registration_asked", "number", number_id)
    try:
        await gateway.register(account, pin)
    except GatewayFailure as failure:
        raise problem_of(failure, account) from failure
    return await look(works, number_id)
