"""HTTP for connections to vendors."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.connections.problems import ConnectionNotFound, UnknownProvider
from app.kernel.connections.schemas import ConnectionPut, ConnectionRead
from app.kernel.connections.service import ConnectionService, ConnectionView
from app.kernel.work import service

router = APIRouter(prefix="/api/v1/admin/connections", tags=["connections"])
Connections = Annotated[ConnectionService, service(ConnectionService)]
_WRITE = require_module("platform", "connections:write")


@router.get(
    "",
    response_model=list[ConnectionRead],
    dependencies=[require_module("platform", "connections:read")],
)
async def list_connections(connections: Connections) -> list[ConnectionView]:
    """Every provider there is, with this tenant's configuration; never a secret."""
    return await connections.listed()


@router.put(
    "/{provider}",
    response_model=ConnectionRead,
    dependencies=[_WRITE],
    responses=problems(UnknownProvider),
)
async def put_connection(
    provider: str, body: ConnectionPut, connections: Connections
) -> ConnectionView:
    """Connect a provider, or change its connection; the secret is write-only."""
    return await connections.put(provider, body)


@router.delete(
    "/{provider}",
    status_code=204,
    dependencies=[_WRITE],
    responses=problems(UnknownProvider, ConnectionNotFound),
)
async def delete_connection(provider: str, connections: Connections) -> None:
    """Disconnect a provider and forget its secret."""
    await connections.delete(provider)
