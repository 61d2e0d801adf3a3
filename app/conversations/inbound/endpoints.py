"""HTTP for WhatsApp's webhook, and for the deliveries that it stored."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse

from app.conversations.inbound.deliveries import DeliveryService
from app.conversations.inbound.intake import challenge, take_in
from app.conversations.inbound.problems import DeliveryNotFound, DeliveryWaits, VerifyTokenWrong
from app.conversations.inbound.schemas import DeliveryRead
from app.core.pagination import PageRead, Paging
from app.core.problems import TooLarge, problems
from app.kernel.access import public, require_module
from app.kernel.inbox.models import InboxMessage
from app.kernel.inbox.problems import WebhookSignatureInvalid
from app.kernel.inbox.schemas import MessageState, Received
from app.kernel.work import runtime_of, service

router = APIRouter(prefix="/api/v1", tags=["whatsapp"])
Deliveries = Annotated[DeliveryService, service(DeliveryService)]
Mode = Annotated[str, Query(alias="hub.mode", max_length=40, examples=["subscribe"])]
Token = Annotated[
    str, Query(alias="hub.verify_token", max_length=400, examples=["segredo-da-loja"])
]
Challenge = Annotated[str, Query(alias="hub.challenge", max_length=400, examples=["1158201444"])]
_CHALLENGED: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.get(
    "/webhooks/whatsapp",
    dependencies=[public()],
    response_class=PlainTextResponse,
    responses=problems(VerifyTokenWrong) | _CHALLENGED,
)
async def whatsapp_challenge(
    request: Request, mode: Mode = "", token: Token = "", answer: Challenge = ""
) -> str:
    """The vendor's check when the platform's app subscribes: answers the challenge."""
    return await challenge(runtime_of(request), None, mode, token, answer)


@router.get(
    "/webhooks/whatsapp/{slug}",
    dependencies=[public()],
    response_class=PlainTextResponse,
    responses=problems(VerifyTokenWrong) | _CHALLENGED,
)
async def tenant_whatsapp_challenge(
    slug: str, request: Request, mode: Mode = "", token: Token = "", answer: Challenge = ""
) -> str:
    """The vendor's check when a tenant's own app subscribes: any of its numbers' tokens is good."""
    return await challenge(runtime_of(request), slug, mode, token, answer)


@router.post(
    "/webhooks/whatsapp",
    dependencies=[public()],
    responses=problems(WebhookSignatureInvalid, TooLarge),
)
async def whatsapp_webhook(request: Request) -> Received:
    """Messages, statuses and notices of any tenants' numbers, in any company.

    Stored as they are once the signature is good, and processed after the answer.
    """
    await take_in(runtime_of(request), None, request.headers, request.stream())
    return Received()


@router.post(
    "/webhooks/whatsapp/{slug}",
    dependencies=[public()],
    responses=problems(WebhookSignatureInvalid, TooLarge),
)
async def tenant_whatsapp_webhook(slug: str, request: Request) -> Received:
    """The same, of one tenant's app; what names another's number is stored and not processed."""
    await take_in(runtime_of(request), slug, request.headers, request.stream())
    return Received()


@router.get(
    "/admin/whatsapp/deliveries",
    dependencies=[require_module("conversations", "deliveries:read")],
)
async def list_deliveries(
    deliveries: Deliveries, page: Paging, state: MessageState | None = None
) -> PageRead[DeliveryRead]:
    """What WhatsApp delivered, newest first; ``state=dead`` shows what could not be processed."""
    return PageRead[DeliveryRead].model_validate(await deliveries.listed(page, state))


@router.post(
    "/admin/whatsapp/deliveries/{inbound_id}/replay",
    response_model=DeliveryRead,
    dependencies=[require_module("conversations", "deliveries:write")],
    responses=problems(DeliveryNotFound, DeliveryWaits),
)
async def replay_delivery(inbound_id: UUID, deliveries: Deliveries) -> InboxMessage:
    """Process a delivery again; what it did already it does not do twice."""
    return await deliveries.replay(inbound_id)
