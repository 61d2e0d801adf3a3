"""A tenant's credentials at vendors: stored sealed, handed to jobs, never shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import orjson

from app.contracts.gateways.oauth import OAuthGateway
from app.core.clock import now
from app.core.guard import UrlRefused
from app.core.ids import new_id
from app.core.problems import Invalid
from app.kernel.connections.models import ACTIVE, CONNECTION_SECRET, Connection
from app.kernel.connections.problems import (
    ConnectedByConsent,
    ConnectionNotFound,
    ProviderUrlRefused,
    TooManyConnections,
    UnknownProvider,
)
from app.kernel.connections.repository import ConnectionRepository
from app.kernel.connections.rules import PROVIDERS, Kind, Provider, checked
from app.kernel.connections.schemas import (
    ConnectionCreate,
    ConnectionPut,
    ConnectionRead,
    ConnectionUpdate,
    IntegrationRead,
    IntegrationStatus,
    ProviderRead,
    SignatureProviderRead,
)
from app.kernel.tenancy import TOPIC as TENANTS
from app.kernel.work import Work

MOST = 100


@dataclass(frozen=True, slots=True)
class Credentials:
    """An enabled connection as other slices use it: ``values`` are configuration and secrets."""

    id: UUID
    provider: str
    name: str
    values: dict[str, str] = field(repr=False)


class ConnectionService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.connections = ConnectionRepository(work.session)

    async def listed(
        self, kind: Kind | None = None, provider: str | None = None
    ) -> Sequence[Connection]:
        """Connections by provider and age."""
        wanted = {p.name for p in PROVIDERS.values() if kind is None or p.kind == kind}
        return await self.connections.listed(wanted & {provider} if provider else wanted)

    async def get(
        self, connection_id: UUID, kind: Kind | None = None, *, lock: bool = False
    ) -> Connection:
        """One connection, of ``kind`` when given. Raises ConnectionNotFound."""
        row = await self.connections.get(connection_id, lock=lock)
        if kind is not None and row.kind != kind:
            raise ConnectionNotFound()
        return row

    async def create(self, body: ConnectionCreate, kind: Kind | None = None) -> Connection:
        """Connect a provider with its keys.

        Raises UnknownProvider, ConnectedByConsent, Invalid, ProviderUrlRefused,
        ConnectionNameTaken, TooManyConnections.
        """
        provider = provider_of(body.provider, kind)
        config, secret = self._configured(provider, body.config), _secret_of(provider, body.secret)
        row = await self.add(provider, body.name, config, secret, is_enabled=body.is_enabled)
        if body.is_default:
            await self._prefer(row)
        self.work.record(
            "connection.created",
            "connection",
            row.id,
            provider=provider.name,
            name=row.name,
            config=config,
            is_default=row.is_default,
        )
        return row

    async def add(
        self,
        provider: Provider,
        name: str,
        config: dict[str, str],
        secret: Mapping[str, str],
        *,
        is_enabled: bool = True,
    ) -> Connection:
        """A new row, which is the default when it is the first of its purpose; audit by callers.

        Raises ConnectionNameTaken, TooManyConnections.
        """
        await self.connections.lock()
        if await self.connections.count() >= MOST:
            raise TooManyConnections()
        row = Connection(
            id=new_id(),
            created_at=now(),
            provider=provider.name,
            purpose=provider.purpose,
            name=name,
            config=config,
            is_enabled=is_enabled,
            is_default=not await self.connections.has_default(provider.purpose),
            status=ACTIVE,
            scopes=[],
        )
        self.seal(row, secret)
        self.work.ring(TENANTS)
        return await self.connections.add(row)

    async def update(
        self, connection_id: UUID, body: ConnectionUpdate, kind: Kind | None = None
    ) -> Connection:
        """Change a connection; fields left out stay as they are.

        Raises ConnectionNotFound, Invalid, ProviderUrlRefused, ConnectionNameTaken,
        ConnectedByConsent (its secret comes from the vendor alone).
        """
        await self.connections.lock()
        row = await self.get(connection_id, kind, lock=True)
        if body.config is not None or body.secret is not None:
            config = body.config if body.config is not None else row.config
            self._reconfigure(row, config, body.secret)
        row.name = body.name or row.name
        if body.is_enabled is not None:
            row.is_enabled = body.is_enabled
        await self.connections.flush()
        if body.is_default:
            await self._prefer(row)
        self.work.record(
            "connection.updated",
            "connection",
            row.id,
            provider=row.provider,
            changed=sorted(body.model_fields_set),
            config=row.config,
        )
        return row

    async def put(self, name: str, body: ConnectionPut) -> IntegrationRead:
        """Connect a provider or change the connection that stands for it.

        Raises UnknownProvider, Invalid (a field is missing, unknown or malformed),
        ConnectedByConsent, ProviderUrlRefused, TooManyConnections.
        """
        provider = provider_of(name)
        await self.connections.lock()
        row = await self.connections.of(name)
        if row is not None:
            self._reconfigure(row, body.config, body.secret)
            row.is_enabled = body.is_enabled
            await self.connections.flush()
        else:
            config = self._configured(provider, body.config)
            secret = _secret_of(provider, body.secret)
            row = await self.add(
                provider, provider.label, config, secret, is_enabled=body.is_enabled
            )
        self.work.record(
            "connection.put",
            "connection",
            row.id,
            provider=name,
            config=row.config,
            is_enabled=body.is_enabled,
            secret_changed=body.secret is not None,
        )
        return _integration(provider, await self.connections.listed({name}))

    async def delete(self, connection_id: UUID, kind: Kind) -> None:
        """Forget a connection that is keys. Raises ConnectionNotFound."""
        await self.connections.lock()
        await self.remove(await self.get(connection_id, kind, lock=True))

    async def remove(self, row: Connection, **facts: object) -> None:
        """Forget a connection and its secret; the oldest of its purpose takes its place."""
        await self.connections.delete(row)
        self.work.ring(TENANTS)
        heir = await self.connections.default(row.purpose) if row.is_default else None
        if heir is not None:
            heir.is_default = True
        self.work.record("connection.deleted", "connection", row.id, provider=row.provider, **facts)

    async def integrations(self) -> list[IntegrationRead]:
        """Every provider there is, connected or not."""
        rows = await self._by_provider()
        return [_integration(p, rows.get(name, [])) for name, p in sorted(PROVIDERS.items())]

    async def statuses(self) -> dict[str, IntegrationStatus]:
        """How each provider fares, by its name."""
        rows = await self._by_provider()
        return {name: _status(rows.get(name, [])) for name in sorted(PROVIDERS)}

    async def _by_provider(self) -> dict[str, list[Connection]]:
        found: dict[str, list[Connection]] = {}
        for row in await self.connections.listed():
            found.setdefault(row.provider, []).append(row)
        return found

    def registry(self) -> list[ProviderRead]:
        """Every provider and what it needs."""
        return [self._described(provider) for _, provider in sorted(PROVIDERS.items())]

    async def signature_providers(self) -> list[SignatureProviderRead]:
        """The signature vendors with this tenant's connections."""
        names = sorted(name for name, p in PROVIDERS.items() if p.kind == "signature")
        return [await self.signature_provider(name) for name in names]

    async def signature_provider(self, name: str) -> SignatureProviderRead:
        """One of them. Raises UnknownProvider."""
        provider = provider_of(name, "signature")
        rows = await self.connections.listed({name})
        return SignatureProviderRead(
            **dict(self._described(provider)),
            connections=[ConnectionRead.model_validate(row) for row in rows],
        )

    async def credentials(self, provider: str) -> dict[str, str] | None:
        """Configuration and secrets of an enabled connection, for jobs; None without one.

        Of providers that are connected by consent ask ``tokens.token_for`` instead.
        Raises core.crypto.SecretUnreadable when no key of the ring opens it.
        """
        row = await self.connections.enabled(provider)
        return None if row is None else self.opened(row)

    async def default(self, purpose: str) -> Credentials | None:
        """What serves a purpose (``ai``, ``signature``, a provider's name); None without one."""
        row = await self.connections.default(purpose)
        return None if row is None else self._handed(row)

    async def usable(self, connection_id: UUID, kind: Kind | None = None) -> Credentials | None:
        """A named connection, of ``kind`` when given; None when it is off or gone."""
        row = await self.connections.find(connection_id)
        if row is None or not row.is_enabled or (kind is not None and row.kind != kind):
            return None
        return self._handed(row)

    async def note(self, connection_id: UUID, status: str, reason: str | None) -> None:
        """Keep how a call with these credentials went; a connection that is gone is ignored."""
        row = await self.connections.find(connection_id, lock=True)
        if row is not None:
            row.note(status, reason, now())

    def opened(self, row: Connection) -> dict[str, str]:
        """Configuration and secrets in the clear. Raises core.crypto.SecretUnreadable."""
        plain = self.work.runtime.vault.decrypt(row.secret, *self._contexts(row))
        return {**row.config, **orjson.loads(plain)}

    def seal(self, row: Connection, secret: Mapping[str, str]) -> None:
        """Keep a secret in its row's envelope."""
        plain = orjson.dumps(dict(secret)).decode()
        row.secret = self.work.runtime.vault.encrypt(plain, self._contexts(row)[0])

    def _contexts(self, row: Connection) -> tuple[str, ...]:
        values = {"tenant_id": self.work.tenant.id, "id": row.id, "provider": row.provider}
        return CONNECTION_SECRET.bound_to(values)

    def _described(self, provider: Provider) -> ProviderRead:
        ready = not provider.by_consent or self.work.port(OAuthGateway, provider.name).is_configured
        return ProviderRead(
            provider=provider.name,
            label=provider.label,
            kind=provider.kind,
            by_consent=provider.by_consent,
            is_available=ready,
            config_schema=provider.config.model_json_schema(),
            secret_schema=provider.secret.model_json_schema(),
        )

    def _handed(self, row: Connection) -> Credentials:
        return Credentials(row.id, row.provider, row.name, self.opened(row))

    def _configured(self, provider: Provider, values: Mapping[str, str]) -> dict[str, str]:
        if provider.by_consent:
            raise ConnectedByConsent()
        config = checked(provider.config, values, "/body/config")
        if "base_url" in config:
            try:
                self.work.runtime.guard.check(config["base_url"])
            except UrlRefused as refused:
                raise ProviderUrlRefused(str(refused)) from None
        return config

    def _reconfigure(
        self, row: Connection, values: Mapping[str, str], given: Mapping[str, str] | None
    ) -> None:
        provider = PROVIDERS[row.provider]
        config = self._configured(provider, values)
        # A stored key never follows to an address that its owner did not give it for: whoever
        # may write a connection could otherwise read the key there.
        moved = config.get("base_url") != row.config.get("base_url")
        if given is not None or moved:
            self.seal(row, _secret_of(provider, given))
        row.config = config
        row.status, row.status_reason, row.checked_at = ACTIVE, None, None

    async def _prefer(self, row: Connection) -> None:
        if not row.is_default:
            await self.connections.prefer_none(row.purpose)
            row.is_default = True
            await self.connections.flush()


def provider_of(name: str, kind: Kind | None = None) -> Provider:
    """The provider, of ``kind`` when given. Raises UnknownProvider."""
    provider = PROVIDERS.get(name)
    if provider is None or (kind is not None and provider.kind != kind):
        raise UnknownProvider()
    return provider


def _secret_of(provider: Provider, given: Mapping[str, str] | None) -> dict[str, str]:
    if given is None:
        raise Invalid(errors=[{"pointer": "/body/secret", "detail": "Field required"}])
    return checked(provider.secret, given, "/body/secret")


def _standing(rows: Sequence[Connection]) -> Connection | None:
    """The one that stands for its provider: the default, else the oldest."""
    return next((row for row in rows if row.is_default), rows[0] if rows else None)


def _integration(provider: Provider, rows: Sequence[Connection]) -> IntegrationRead:
    row = _standing(rows)
    return IntegrationRead(
        provider=provider.name,
        label=provider.label,
        kind=provider.kind,
        by_consent=provider.by_consent,
        is_connected=row is not None,
        is_enabled=row is not None and row.is_enabled,
        config=dict(row.config) if row is not None else {},
        config_fields=list(provider.config.model_fields),
        secret_fields=list(provider.secret.model_fields),
        connected_at=row.created_at if row is not None else None,
        connection_id=row.id if row is not None else None,
        connections=len(rows),
        status=row.status if row is not None else None,
    )


def _status(rows: Sequence[Connection]) -> IntegrationStatus:
    row = _standing(rows)
    return IntegrationStatus(
        connected=row is not None and row.is_enabled and row.status == ACTIVE,
        status=row.status if row is not None else None,
        status_reason=row.status_reason if row is not None else None,
        checked_at=row.checked_at if row is not None else None,
        scopes=row.scopes if row is not None else [],
    )
