"""HTTP for software agents, by the Universal Commerce Protocol; and the switch of the channel."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from app.commerce.stores.problems import StoreNotFound
from app.commerce.ucp import problems as p
from app.commerce.ucp.browsing import Browsing
from app.commerce.ucp.handoff import HandoffService
from app.commerce.ucp.protocol import PATH, business_profile
from app.commerce.ucp.schemas import (
    UcpCartRead,
    UcpCheckoutIn,
    UcpCheckoutRead,
    UcpCompleteIn,
    UcpLookupIn,
    UcpProductIn,
    UcpProductRead,
    UcpProductsRead,
    UcpProfileRead,
    UcpRefusalRead,
    UcpSearchIn,
    UcpSettingsPut,
    UcpSettingsRead,
)
from app.commerce.ucp.service import Desk, Told
from app.commerce.ucp.shop import UcpSettingsService
from app.core.problems import MEDIA_TYPE, Busy, Problem, from_validation, problems
from app.kernel.access import public, require_module
from app.kernel.idempotency import IdempotencyKey, IdempotencyKeyReused, intent_of
from app.kernel.work import Works, service

_MEDIA = "application/json"
_KEPT = "public, max-age=300"


class UcpRoute(APIRoute):
    """Refuses as everything here does, with the protocol's ``content`` beside the ``code``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await handle(request)
            except IdempotencyKeyReused:
                problem: Problem = p.UcpKeyReused()
            except Problem as refused:
                problem = refused
            except RequestValidationError as invalid:
                problem = from_validation(invalid)
            body = problem.body(request.scope["path"], request.scope["meta"].request_id or None)
            content = problem.detail or problem.title
            return Response(
                orjson.dumps({"content": content} | body, default=str),
                problem.status.value,
                problem.headers,
                MEDIA_TYPE,
            )

        return handler


router = APIRouter(tags=["ucp"], route_class=UcpRoute)
admin_router = APIRouter(prefix="/api/v1/admin/ucp", tags=["ucp"])
_PUBLIC = [public("commerce")]
_SESSIONS = f"{PATH}/checkout-sessions"
_ONE = f"{_SESSIONS}/{{checkout_session_id}}"
_REFUSALS = (
    p.UcpOff,
    p.InvalidProfileUrl,
    p.ProfileUnreachable,
    p.ProfileMalformed,
    p.VersionUnsupported,
    p.TooManyProfiles,
)
_OF_SESSION = (*_REFUSALS, p.UcpSessionNotFound)
_CHANGES = (*_OF_SESSION, p.UcpSessionEnded, p.UcpKeyReused, Busy)
Settings = Annotated[UcpSettingsService, service(UcpSettingsService)]
Handoff = Annotated[HandoffService, service(HandoffService)]
Agent = Annotated[
    str | None,
    Header(
        alias="UCP-Agent",
        description='Who asks: profile="https://platform.example/.well-known/ucp".',
    ),
]
Either = UcpCheckoutRead | UcpRefusalRead


@router.get(
    "/.well-known/ucp",
    response_model=UcpProfileRead,
    dependencies=_PUBLIC,
    responses=problems(p.UcpOff),
)
async def show_ucp_profile(request: Request, settings: Settings) -> Response:
    """What agents may do here: protocol version, endpoint, capabilities, payment handlers."""
    await settings.shop()
    profile = business_profile(f"{_origin(request)}{PATH}", await settings.methods())
    body = orjson.dumps(profile, option=orjson.OPT_SORT_KEYS)
    headers = {
        "Cache-Control": _KEPT,
        "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        "Vary": "X-Tenant, X-Tenant-Id",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(None, 304, headers)
    return Response(body, 200, headers, _MEDIA)


@router.post(
    _SESSIONS,
    status_code=201,
    response_model=UcpCheckoutRead,
    dependencies=_PUBLIC,
    responses={
        **problems(*_REFUSALS, p.UcpKeyReused, Busy),
        200: {"model": UcpRefusalRead, "description": "Nothing of it is sold here."},
    },
)
async def create_ucp_checkout(
    request: Request,
    body: UcpCheckoutIn,
    works: Works,
    agent: Agent = None,
    key: IdempotencyKey = None,
) -> Response:
    """Begin a checkout; its messages say what is missing until it can be completed."""
    intent = await intent_of(request, key) if key else None
    return _answer(await Desk(works, agent, intent).create(body))


@router.get(_ONE, response_model=Either, dependencies=_PUBLIC, responses=problems(*_OF_SESSION))
async def show_ucp_checkout(
    checkout_session_id: UUID, works: Works, agent: Agent = None
) -> Response:
    """The checkout as it stands now: prices, freight and availability are those of this moment."""
    return _answer(await Desk(works, agent).show(checkout_session_id))


@router.put(_ONE, response_model=Either, dependencies=_PUBLIC, responses=problems(*_CHANGES))
async def update_ucp_checkout(
    request: Request,
    checkout_session_id: UUID,
    body: UcpCheckoutIn,
    works: Works,
    agent: Agent = None,
    key: IdempotencyKey = None,
) -> Response:
    """Replace what is wanted, as a whole."""
    intent = await intent_of(request, key) if key else None
    return _answer(await Desk(works, agent, intent).update(checkout_session_id, body))


@router.post(
    f"{_ONE}/complete",
    response_model=Either,
    dependencies=_PUBLIC,
    responses=problems(*_CHANGES),
)
async def complete_ucp_checkout(
    request: Request,
    checkout_session_id: UUID,
    body: UcpCompleteIn,
    works: Works,
    agent: Agent = None,
    key: IdempotencyKey = None,
) -> Response:
    """Place the order, once, at the total that was shown; else messages say why not."""
    intent = await intent_of(request, key) if key else None
    desk = Desk(works, agent, intent)
    return _answer(await desk.complete(checkout_session_id, body.payment))


@router.post(
    f"{_ONE}/cancel",
    response_model=Either,
    dependencies=_PUBLIC,
    responses=problems(*_CHANGES),
)
async def cancel_ucp_checkout(
    request: Request,
    checkout_session_id: UUID,
    works: Works,
    agent: Agent = None,
    key: IdempotencyKey = None,
) -> Response:
    """End the checkout without an order."""
    intent = await intent_of(request, key) if key else None
    return _answer(await Desk(works, agent, intent).cancel(checkout_session_id))


@router.get(
    f"{_ONE}/cart",
    dependencies=_PUBLIC,
    responses=problems(p.UcpOff, p.UcpSessionNotFound, p.UcpSessionEnded),
)
async def show_ucp_cart(checkout_session_id: UUID, handoff: Handoff) -> UcpCartRead:
    """The checkout as a cart of the storefront, for the page that ``continue_url`` leads to."""
    return await handoff.cart(checkout_session_id)


@router.post(
    f"{PATH}/catalog/search",
    response_model=UcpProductsRead | UcpRefusalRead,
    dependencies=_PUBLIC,
    responses=problems(*_REFUSALS, StoreNotFound),
)
async def search_ucp_catalog(
    request: Request, body: UcpSearchIn, works: Works, agent: Agent = None
) -> Response:
    """What a store sells, by words, category or price; the best match first."""
    return _answer(await Browsing(works, agent, _origin(request)).search(body))


@router.post(
    f"{PATH}/catalog/lookup",
    response_model=UcpProductsRead | UcpRefusalRead,
    dependencies=_PUBLIC,
    responses=problems(*_REFUSALS, StoreNotFound, p.RequestTooLarge),
)
async def look_up_ucp_catalog(
    request: Request, body: UcpLookupIn, works: Works, agent: Agent = None
) -> Response:
    """Products by SKUs or ids of theirs or of their variants, each named by what it answers."""
    return _answer(await Browsing(works, agent, _origin(request)).lookup(body))


@router.post(
    f"{PATH}/catalog/product",
    response_model=UcpProductRead | UcpRefusalRead,
    dependencies=_PUBLIC,
    responses=problems(*_REFUSALS, StoreNotFound),
)
async def show_ucp_product(
    request: Request, body: UcpProductIn, works: Works, agent: Agent = None
) -> Response:
    """One product with everything that can be bought of it."""
    return _answer(await Browsing(works, agent, _origin(request)).product(body))


@admin_router.get("", dependencies=[require_module("commerce", "stores:read")])
async def show_ucp_settings(settings: Settings) -> UcpSettingsRead:
    """Whether agents may order, and what they are told of the shop."""
    return await settings.shown()


@admin_router.put(
    "",
    dependencies=[require_module("commerce", "stores:write")],
    responses=problems(StoreNotFound),
)
async def put_ucp_settings(body: UcpSettingsPut, settings: Settings) -> UcpSettingsRead:
    """Switch orders of agents on or off."""
    return await settings.put(body)


def _answer(told: Told) -> Response:
    headers = {"Idempotency-Replayed": "true"} if told.is_old else None
    return Response(told.body, told.status, headers, _MEDIA)


def _origin(request: Request) -> str:
    """Where we were asked; in production that is behind https, whoever ends it."""
    live = request.app.state.runtime.settings.environment == "production"
    scheme = "https" if live else request.url.scheme
    return f"{scheme}://{request.headers.get('host', '')}"
