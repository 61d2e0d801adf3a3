"""A tenant's credentials at vendors: stored sealed, handed to jobs, never shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import orjson

from app.core.problems import Invalid
from app.kernel.connections.models import Connection
from app.kernel.connections.problems import ConnectionNotFound, UnknownProvider
from app.kernel.connections.repository import ConnectionRepository
from app.kernel.connections.rules import PROVIDERS, Provider, checked
from app.kernel.connections.schemas import ConnectionPut
from app.kernel.work import Work


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """A provider and how far this tenant is with it; holds no secret."""

    provider: str
    is_connected: bool
    is_enabled: bool
    config: dict[str, str]
    config_fields: list[str]
    secret_fields: list[str]
    connected_at: datetime | None


class ConnectionService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.connections = ConnectionRepository(work.session)

    async def listed(self) -> list[ConnectionView]:
        """Every provider there is, connected or not."""
        rows = {c.provider: c for c in await self.connections.listed()}
        return [_view(p, rows.get(name)) for name, p in sorted(PROVIDERS.items())]

    async def put(self, name: str, body: ConnectionPut) -> ConnectionView:
        """Connect a provider or change its connection; no secret given keeps the stored one.

        Raises UnknownProvider, Invalid (a field is missing, unknown or malformed).
        """
        provider = _provider(name)
        config = checked(provider.config, body.config, "/body/config")
        before = await self.connections.by_provider(name, lock=True)
        if body.secret is not None:
            secret = checked(provider.secret, body.secret, "/body/secret")
            sealed = self.work.runtime.vault.encrypt(orjson.dumps(secret).decode(), self._at(name))
        elif before is not None:
            sealed = before.secret
        else:
            raise Invalid(errors=[{"pointer": "/body/secret", "detail": "Field required"}])
        await self.connections.upsert(name, config, sealed, body.is_enabled)
        if before is not None:
            self.work.session.expire(before)
        row = await self.connections.by_provider(name)
        self.work.record(
            "connection.put",
            "connection",
            row.id if row else None,
            provider=name,
            config=config,
            is_enabled=body.is_enabled,
            secret_changed=body.secret is not None,
        )
        return _view(provider, row)

    async def delete(self, name: str) -> None:
        """Disconnect, forgetting the secret. Raises UnknownProvider, ConnectionNotFound."""
        _provider(name)
        row = await self.connections.by_provider(name, lock=True)
        if row is None:
            raise ConnectionNotFound()
        await self.connections.delete(row)
        self.work.record("connection.deleted", "connection", row.id, provider=name)

    async def credentials(self, provider: str) -> dict[str, str] | None:
        """Configuration and secrets of an enabled connection, for jobs; None without one.

        Raises core.crypto.SecretUnreadable when no key of the ring opens it.
        """
        row = await self.connections.by_provider(provider)
        if row is None or not row.is_enabled:
            return None
        plain = self.work.runtime.vault.decrypt(row.secret, self._at(provider))
        return {**row.config, **orjson.loads(plain)}

    def _at(self, provider: str) -> str:
        return f"connections:{self.work.tenant.id}:{provider}"


def _provider(name: str) -> Provider:
    if name not in PROVIDERS:
        raise UnknownProvider()
    return PROVIDERS[name]


def _view(provider: Provider, row: Connection | None) -> ConnectionView:
    return ConnectionView(
        provider=provider.name,
        is_connected=row is not None,
        is_enabled=row is not None and row.is_enabled,
        config=dict(row.config) if row is not None else {},
        config_fields=list(provider.config.model_fields),
        secret_fields=list(provider.secret.model_fields),
        connected_at=row.created_at if row is not None else None,
    )
