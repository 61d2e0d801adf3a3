"""HTTP for connections: all of them, those to AI vendors, and accounts connected by consent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.connections import checks, oauth
from app.kernel.connections.models import Connection
from app.kernel.connections.problems import (
    ConnectedByConsent,
    ConnectionDisabled,
    ConnectionNameTaken,
    ConnectionNotFound,
    ConsentDenied,
    ConsentNeedsSession,
    OAuthStateInvalid,
    ProviderFailed,
    ProviderNotConfigured,
    ProviderUrlRefused,
    ReturnRefused,
    TakesKeys,
    TooManyConnections,
    UnknownProvider,
)
from app.kernel.connections.rules import Kind
from app.kernel.connections.schemas import (
    CheckRead,
    ConnectionCreate,
    ConnectionRead,
    ConnectionUpdate,
    ConsentRead,
    ConsentStart,
)
from app.kernel.connections.service import ConnectionService
from app.kernel.idempotency import Idempotent, ReplayableRoute
from app.kernel.work import Work, Works, service

router = APIRouter(prefix="/api/v1/connections", tags=["connections"], route_class=ReplayableRoute)
ai_router = APIRouter(
    prefix="/api/v1/ai/connections", tags=["connections"], route_class=ReplayableRoute
)
Connections = Annotated[ConnectionService, service(ConnectionService)]
_READ = require_module("platform", "connections:read")
_WRITE = require_module("platform", "connections:write")
_CREATING = problems(
    UnknownProvider,
    ConnectedByConsent,
    ConnectionNameTaken,
    TooManyConnections,
    ProviderUrlRefused,
)
_CHANGING = problems(
    ConnectionNotFound, ConnectedByConsent, ConnectionNameTaken, ProviderUrlRefused
)


@router.get("", response_model=list[ConnectionRead], dependencies=[_READ])
async def list_connections(
    connections: Connections,
    kind: Kind | None = None,
    provider: Annotated[str | None, Query(max_length=64)] = None,
) -> Sequence[Connection]:
    """This tenant's connections by provider and age; never a secret."""
    return await connections.listed(kind, provider)


@router.post(
    "",
    status_code=201,
    response_model=ConnectionRead,
    dependencies=[_WRITE, Idempotent],
    responses=_CREATING,
)
async def create_connection(body: ConnectionCreate, connections: Connections) -> Connection:
    """Connect a provider with its keys; the secret is write-only."""
    return await connections.create(body)


@router.post(
    "/providers/{provider}/authorize",
    dependencies=[_WRITE],
    responses=problems(
        UnknownProvider,
        TakesKeys,
        ProviderNotConfigured,
        ConsentNeedsSession,
        TooManyConnections,
        ReturnRefused,
    ),
)
async def authorize_connection(
    provider: str, body: ConsentStart, work: Work, request: Request
) -> ConsentRead:
    """Where a person consents (OAuth 2.0 with PKCE); good for ten minutes, in this session."""
    who = request.scope["meta"].identity
    return await oauth.start(work, who.session_id, provider, body)


@router.get(
    "/providers/{provider}/callback",
    response_model=ConnectionRead,
    dependencies=[_WRITE],
    responses={
        303: {"description": "Back to `return_to`, with `connection_id` or `error`."},
        **problems(
            OAuthStateInvalid,
            ConsentDenied,
            UnknownProvider,
            TakesKeys,
            TooManyConnections,
            ProviderFailed,
        ),
    },
)
async def finish_authorization(
    provider: str,
    works: Works,
    request: Request,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    error: Annotated[str, Query(max_length=200)] = "",
) -> Connection | Response:
    """Where the provider sends the browser back; a state works once, in the session it is of."""
    who = request.scope["meta"].identity
    done = await oauth.finish(works, who.session_id, provider, state, code, error)
    if done.location is not None:
        return RedirectResponse(done.location, 303)
    assert done.connection is not None  # noqa: S101 - without a page to return to it raises
    return done.connection


@router.get(
    "/{connection_id}",
    response_model=ConnectionRead,
    dependencies=[_READ],
    responses=problems(ConnectionNotFound),
)
async def get_connection(connection_id: UUID, connections: Connections) -> Connection:
    """One connection and how it fares."""
    return await connections.get(connection_id)


@router.patch(
    "/{connection_id}",
    response_model=ConnectionRead,
    dependencies=[_WRITE],
    responses=_CHANGING,
)
async def update_connection(
    connection_id: UUID, body: ConnectionUpdate, connections: Connections
) -> Connection:
    """Change a connection; fields left out stay, a new address needs the secret again."""
    return await connections.update(connection_id, body)


@router.delete(
    "/{connection_id}",
    status_code=204,
    dependencies=[_WRITE],
    responses=problems(ConnectionNotFound),
)
async def delete_connection(connection_id: UUID, works: Works) -> None:
    """Disconnect: the secret is forgotten, a consent given back to the provider."""
    await oauth.disconnect(works, connection_id)


@router.post(
    "/{connection_id}/test",
    dependencies=[_WRITE],
    responses=problems(ConnectionNotFound, ConnectionDisabled),
)
async def test_connection(connection_id: UUID, works: Works) -> CheckRead:
    """Make one cheap call with the stored credentials; the connection keeps the outcome."""
    return await checks.try_connection(works, connection_id)


@ai_router.get("", response_model=list[ConnectionRead], dependencies=[_READ])
async def list_ai_connections(connections: Connections) -> Sequence[Connection]:
    """Connections to AI vendors; one of them is the default."""
    return await connections.listed("ai")


@ai_router.post(
    "",
    status_code=201,
    response_model=ConnectionRead,
    dependencies=[_WRITE, Idempotent],
    responses=_CREATING,
)
async def create_ai_connection(body: ConnectionCreate, connections: Connections) -> Connection:
    """Connect an AI vendor, or any server that speaks OpenAI's protocol."""
    return await connections.create(body, "ai")


@ai_router.patch(
    "/{connection_id}",
    response_model=ConnectionRead,
    dependencies=[_WRITE],
    responses=_CHANGING,
)
async def update_ai_connection(
    connection_id: UUID, body: ConnectionUpdate, connections: Connections
) -> Connection:
    """Change a connection to an AI vendor; a new address needs the key again."""
    return await connections.update(connection_id, body, "ai")


@ai_router.delete(
    "/{connection_id}",
    status_code=204,
    dependencies=[_WRITE],
    responses=problems(ConnectionNotFound),
)
async def delete_ai_connection(connection_id: UUID, connections: Connections) -> None:
    """Forget a connection to an AI vendor and its key."""
    await connections.delete(connection_id, "ai")


@ai_router.post(
    "/{connection_id}/test",
    dependencies=[_WRITE],
    responses=problems(ConnectionNotFound),
)
async def test_ai_connection(connection_id: UUID, works: Works) -> CheckRead:
    """Ask the vendor for its models with the stored key; the connection keeps the outcome."""
    return await checks.try_connection(works, connection_id, "ai")
