"""HTTP for providers: what can be connected, how far this tenant is, and keys tried out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from app.core.problems import problems
from app.kernel.access import require_module
from app.kernel.connections import checks, oauth
from app.kernel.connections.problems import (
    ConnectedByConsent,
    ConnectionNotFound,
    ProviderUrlRefused,
    TooManyConnections,
    UnknownProvider,
)
from app.kernel.connections.schemas import (
    CheckRead,
    ConnectionPut,
    CredentialsTest,
    IntegrationRead,
    IntegrationStatus,
    ProviderRead,
    SignatureProviderRead,
)
from app.kernel.connections.service import ConnectionService
from app.kernel.work import Works, service

router = APIRouter(prefix="/api/v1", tags=["connections"])
Connections = Annotated[ConnectionService, service(ConnectionService)]
_READ = require_module("platform", "connections:read")
_WRITE = require_module("platform", "connections:write")


@router.get("/connections/providers", dependencies=[_READ])
async def list_providers(connections: Connections) -> list[ProviderRead]:
    """Every provider, and what it needs to be connected."""
    return connections.registry()


@router.get("/integrations", dependencies=[_READ])
async def list_integrations(connections: Connections) -> list[IntegrationRead]:
    """Every provider, and how far this tenant is with it; never a secret."""
    return await connections.integrations()


@router.get("/integrations/status", dependencies=[_READ])
async def read_integrations_status(connections: Connections) -> dict[str, IntegrationStatus]:
    """Whether each provider is connected and how its last check went, by provider."""
    return await connections.statuses()


@router.get("/signature-providers", dependencies=[_READ])
async def list_signature_providers(connections: Connections) -> list[SignatureProviderRead]:
    """The signature vendors, each with this tenant's connections to it."""
    return await connections.signature_providers()


@router.get(
    "/signature-providers/{provider}",
    dependencies=[_READ],
    responses=problems(UnknownProvider),
)
async def get_signature_provider(provider: str, connections: Connections) -> SignatureProviderRead:
    """One signature vendor, what it needs, and this tenant's connections to it."""
    return await connections.signature_provider(provider)


@router.post(
    "/signature-providers/{provider}/test",
    dependencies=[_WRITE],
    responses=problems(UnknownProvider),
)
async def test_signature_credentials(
    provider: str, body: CredentialsTest, works: Works
) -> CheckRead:
    """Try credentials out before they are stored; they are stored nowhere."""
    return await checks.try_credentials(works, provider, body, "signature")


@router.get("/admin/connections", dependencies=[_READ])
async def list_provider_connections(connections: Connections) -> list[IntegrationRead]:
    """Every provider there is, with this tenant's configuration; never a secret."""
    return await connections.integrations()


@router.put(
    "/admin/connections/{provider}",
    dependencies=[_WRITE],
    responses=problems(UnknownProvider, ConnectedByConsent, TooManyConnections, ProviderUrlRefused),
)
async def put_provider_connection(
    provider: str, body: ConnectionPut, connections: Connections
) -> IntegrationRead:
    """Connect a provider, or change the connection that stands for it; the secret is write-only."""
    return await connections.put(provider, body)


@router.delete(
    "/admin/connections/{provider}",
    status_code=204,
    dependencies=[_WRITE],
    responses=problems(UnknownProvider, ConnectionNotFound),
)
async def delete_provider_connection(provider: str, works: Works) -> None:
    """Disconnect the connection that stands for a provider, and forget its secret."""
    await oauth.disconnect_provider(works, provider)
