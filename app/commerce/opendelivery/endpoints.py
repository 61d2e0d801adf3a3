"""HTTP of Open Delivery: credentials for the staff, the standard's own paths for programs."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Form, Header, Query, Request, Response

from app.commerce.opendelivery.problems import (
    CancellationRefused,
    ClientRefused,
    CredentialNotFound,
    MoveRefused,
    TokenRequired,
    TooManyCredentials,
)
from app.commerce.opendelivery.rules import (
    Call,
    EventType,
    Waiting,
    cancel_metadata,
    parse_client_id,
)
from app.commerce.opendelivery.schemas import (
    Acknowledgment,
    CancellationRequest,
    CredentialCreate,
    CredentialCreated,
    CredentialRead,
    EventRead,
    OrderConfirmed,
    OrderDetail,
    TokenAsked,
    TokenRead,
)
from app.commerce.opendelivery.service import LIFE_S, CredentialService, PosService
from app.commerce.orders.problems import OrderNotFound
from app.commerce.stores.problems import StoreNotFound
from app.core.ids import made_at
from app.core.pagination import PageRead, Paging
from app.core.problems import problems
from app.kernel.access import ModuleNotEnabled, public, require_module
from app.kernel.tenancy import TenantSuspended
from app.kernel.work import runtime_of, service, works_for

_ROOT = "/api/v1/open-delivery"
admin_router = APIRouter(prefix="/api/v1/admin/open-delivery", tags=["open-delivery"])
router = APIRouter(prefix=_ROOT, tags=["open-delivery"])
Credentials = Annotated[CredentialService, service(CredentialService)]
Pos = Annotated[PosService, service(PosService)]
_USE = require_module("commerce", "open-delivery:use")


@admin_router.get("/credentials", dependencies=[require_module("commerce", "open-delivery:read")])
async def list_credentials(credentials: Credentials, page: Paging) -> PageRead[CredentialRead]:
    """Credentials of points of sale, newest first; never their secrets."""
    return PageRead[CredentialRead].model_validate(await credentials.listed(page))


@admin_router.post(
    "/credentials",
    status_code=201,
    dependencies=[require_module("commerce", "open-delivery:write")],
    responses=problems(StoreNotFound, TooManyCredentials),
)
async def create_credential(
    request: Request, body: CredentialCreate, credentials: Credentials
) -> CredentialCreated:
    """Make a credential for one point of sale, which asks for tokens with it.

    It does what it does as long as whoever made it may do that, too.
    """
    made = await credentials.create(request.scope["meta"].identity, body)
    known = CredentialRead.model_validate(made.row).model_dump()
    return CredentialCreated(**known, client_secret=made.secret)


@admin_router.delete(
    "/credentials/{credential_id}",
    status_code=204,
    dependencies=[require_module("commerce", "open-delivery:write")],
    responses=problems(CredentialNotFound),
)
async def revoke_credential(credential_id: UUID, credentials: Credentials) -> None:
    """Revoke a credential; it and its tokens open nothing from the next second on."""
    await credentials.revoke(credential_id)


@router.post(
    "/oauth/token",
    dependencies=[public()],
    responses=problems(ClientRefused, TenantSuspended, ModuleNotEnabled),
)
async def issue_token(
    request: Request, response: Response, body: Annotated[TokenAsked, Form()]
) -> TokenRead:
    """A token for an hour, to be kept and used again; the credential says for which tenant."""
    named = parse_client_id(body.client_id)
    tenant = (
        await runtime_of(request).tenants.find("id", str(named[0])) if named is not None else None
    )
    if named is None or tenant is None:
        raise ClientRefused()
    async with works_for(request, tenant)() as work:
        token = await CredentialService(work).token(named[1], body.client_secret)
        if tenant.status == "suspended":
            raise TenantSuspended()
        if "commerce" not in tenant.modules:
            raise ModuleNotEnabled(module="commerce")
    response.headers["Cache-Control"] = "no-store"
    return TokenRead(access_token=token, expires_in=LIFE_S)


@router.get(
    "/v1/events:polling",
    dependencies=[_USE],
    response_model_exclude_none=True,
    response_model=list[EventRead],
    responses={204: {"description": "Nothing new."}, **problems(TokenRequired)},
)
async def poll_events(
    request: Request,
    pos: Pos,
    kinds: Annotated[list[EventType] | None, Query(alias="eventType", max_length=15)] = None,
    merchants: Annotated[str | None, Header(alias="x-polling-merchants")] = None,
) -> list[EventRead] | Response:
    """What happened to orders and was not acknowledged, oldest first, at most 100.

    Orders that are paid beforehand come once they are paid.
    """
    stores = None if merchants is None else _ids(merchants)
    found = await pos.poll(stores, frozenset(kinds or ()))
    if not found:
        return Response(status_code=204)
    base = runtime_of(request).settings.public_base_url.rstrip("/")
    return [_shown(event, base) for event in found]


@router.post(
    "/v1/events/acknowledgment",
    status_code=202,
    dependencies=[_USE],
    response_class=Response,
    responses=problems(TokenRequired),
)
async def acknowledge_events(body: Acknowledgment, pos: Pos) -> Response:
    """Take events out of what is polled by this credential; repeats change nothing."""
    await pos.acknowledge(body.root)
    return Response(status_code=202)


@router.get(
    "/v1/orders/{order_id}",
    dependencies=[_USE],
    response_model_exclude_none=True,
    responses=problems(OrderNotFound, TokenRequired),
)
async def read_order(order_id: UUID, pos: Pos) -> OrderDetail:
    """One order with items, options, prices, payments, customer and address."""
    return await pos.order(order_id)


@router.post(
    "/v1/orders/{order_id}/confirm",
    status_code=202,
    dependencies=[_USE],
    response_class=Response,
    responses=problems(OrderNotFound, MoveRefused, TokenRequired),
)
async def confirm(
    order_id: UUID,
    pos: Pos,
    body: Annotated[OrderConfirmed, Body(default_factory=OrderConfirmed)],
) -> Response:
    """The store takes the order on."""
    said = [f"PDV {body.order_external_code}"] if body.order_external_code else []
    said += [body.reason] if body.reason else []
    return await _told(pos, order_id, Call.CONFIRM, ": ".join(said) or None)


@router.post(
    "/v1/orders/{order_id}/preparing",
    status_code=202,
    dependencies=[_USE],
    response_class=Response,
    responses=problems(OrderNotFound, MoveRefused, TokenRequired),
)
async def preparing(order_id: UUID, pos: Pos) -> Response:
    """Somebody began to prepare it; optional."""
    return await _told(pos, order_id, Call.PREPARING)


@router.post(
    "/v1/orders/{order_id}/readyForPickup",
    operation_id="open_delivery_ready_for_pickup",
    status_code=202,
    dependencies=[_USE],
    response_class=Response,
    responses=problems(OrderNotFound, MoveRefused, TokenRequired),
)
async def ready_for_pickup(order_id: UUID, pos: Pos) -> Response:
    """It waits for the customer or for whoever delivers it."""
    return await _told(pos, order_id, Call.READY)


@router.post(
    "/v1/orders/{order_id}/dispatch",
    status_code=202,
    dependencies=[_USE],
    response_class=Response,
    responses=problems(OrderNotFound, MoveRefused, TokenRequired),
)
async def dispatch(order_id: UUID, pos: Pos) -> Response:
    """It left the store for the customer's door."""
    return await _told(pos, order_id, Call.DISPATCH)


@router.post(
    "/v1/orders/{order_id}/pickedUp",
    operation_id="open_delivery_picked_up",
    status_code=202,
    dependencies=[_USE],
    response_class=Response,
    responses=problems(OrderNotFound, MoveRefused, TokenRequired),
)
async def picked_up(order_id: UUID, pos: Pos) -> Response:
    """The customer came for it."""
    return await _told(pos, order_id, Call.PICKED_UP)


@router.post(
    "/v1/orders/{order_id}/delivered",
    status_code=202,
    dependencies=[_USE],
    response_class=Response,
    responses=problems(OrderNotFound, MoveRefused, TokenRequired),
)
async def delivered(order_id: UUID, pos: Pos) -> Response:
    """The customer has it."""
    return await _told(pos, order_id, Call.DELIVERED)


@router.post(
    "/v1/orders/{order_id}/requestCancellation",
    operation_id="open_delivery_request_cancellation",
    status_code=202,
    dependencies=[_USE],
    response_class=Response,
    responses=problems(OrderNotFound, CancellationRefused, TokenRequired),
)
async def request_cancellation(order_id: UUID, body: CancellationRequest, pos: Pos) -> Response:
    """Call an order off; the store may, until it is handed over, so the answer is immediate.

    Stock, coupons and money go back as when the staff cancels.
    """
    await pos.cancel(order_id, body)
    return Response(status_code=202)


async def _told(pos: PosService, order_id: UUID, call: Call, reason: str | None = None) -> Response:
    await pos.tell(order_id, call, reason)
    return Response(status_code=202)


def _ids(text: str) -> list[UUID]:
    """Those of a comma-separated list that are ids at all: of others there are no orders."""
    found = []
    for part in text.split(","):
        try:
            found.append(UUID(part.strip()))
        except ValueError:
            continue
    return found


def _shown(event: Waiting, base: str) -> EventRead:
    is_off = event.kind is EventType.CANCELLED
    return EventRead(
        event_id=event.id,
        event_type=event.kind,
        order_id=event.order_id,
        order_url=f"{base}{_ROOT}/v1/orders/{event.order_id}",
        # Of its id, by which events are ordered: a transaction's own time is when it began.
        created_at=made_at(event.id),
        metadata=cancel_metadata(event.actor_kind, event.reason) if is_off else None,
    )
