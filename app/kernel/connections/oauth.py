"""Accounts connected by consent (OAuth 2.0 with PKCE): asked for, taken, given back."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from app.contracts.gateways.oauth import (
    Account,
    Grant,
    OAuthFailure,
    OAuthGateway,
)
from app.core.clock import now
from app.core.crypto import SecretUnreadable, token_hash
from app.core.ids import new_id
from app.core.problems import Problem
from app.kernel.connections.models import (
    ACTIVE,
    OAUTH_VERIFIER,
    Connection,
    OAuthState,
)
from app.kernel.connections.problems import (
    ConnectionNotFound,
    ConsentDenied,
    OAuthStateInvalid,
    ProviderFailed,
    ProviderNotConfigured,
    ReturnRefused,
    TooManyConnections,
)
from app.kernel.connections.repository import OAuthStateRepository
from app.kernel.connections.rules import PROVIDERS, challenge_of, may_return_to
from app.kernel.connections.schemas import ConsentRead, ConsentStart
from app.kernel.connections.service import MOST, ConnectionService, provider_of
from app.kernel.connections.tokens import gateway_of, keep, sealed
from app.kernel.work import UnitOfWork, WorkFactory

STATE_LIFE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Finished:
    """How a consent ended: the connection, and where the browser is to go."""

    connection: Connection | None
    location: str | None


@dataclass(frozen=True, slots=True)
class _Asked:
    provider: str
    verifier: str = field(repr=False)
    name: str | None
    return_to: str | None
    redirect_uri: str
    gateway: OAuthGateway


async def start(work: UnitOfWork, session_id: UUID, name: str, body: ConsentStart) -> ConsentRead:
    """Where to send a person for consent; the state lives ten minutes, for this session alone.

    Raises UnknownProvider, TakesKeys, ProviderNotConfigured, ReturnRefused, TooManyConnections,
    ConsentNeedsSession (a program asks, which no browser can come back to).
    """
    gateway = gateway_of(work, name)
    if not gateway.is_configured:
        raise ProviderNotConfigured()
    if body.return_to is not None and not may_return_to(
        body.return_to, work.runtime.settings.oauth_return_origins
    ):
        raise ReturnRefused()
    if await ConnectionService(work).connections.count() >= MOST:
        raise TooManyConnections()
    states, at = OAuthStateRepository(work.session), now()
    await states.forget_old(at)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    row = OAuthState(
        id=new_id(),
        session_id=session_id,
        provider=name,
        state_hash=token_hash(state),
        name=body.name,
        return_to=body.return_to,
        expires_at=at + STATE_LIFE,
    )
    row.verifier = work.runtime.vault.encrypt(verifier, _verifier_context(work, row))
    await states.add(row)
    work.record("connection.consent_asked", "connection", None, provider=name)
    url = gateway.authorize_url(
        state=state, challenge=challenge_of(verifier), redirect_uri=_redirect_uri(work, name)
    )
    return ConsentRead(authorization_url=url, expires_at=row.expires_at)


async def finish(
    works: WorkFactory, session_id: UUID, name: str, state: str, code: str, error: str
) -> Finished:
    """Take what the vendor's redirect brought; the state is used up whatever comes of it.

    Raises UnknownProvider, TakesKeys, OAuthStateInvalid; ConsentDenied, ProviderFailed and
    TooManyConnections too, unless the consent names a page to return to: that is told the code.
    """
    async with works() as work:
        asked = await _take(work, session_id, name, state)
    if asked is None:
        raise OAuthStateInvalid()
    try:
        row = await _connect(works, asked, code, error)
    except Problem as problem:
        if asked.return_to is None:
            raise
        return Finished(None, _with_query(asked.return_to, error=problem.code))
    if asked.return_to is None:
        return Finished(row, None)
    return Finished(row, _with_query(asked.return_to, connection_id=str(row.id)))


async def disconnect(works: WorkFactory, connection_id: UUID) -> None:
    """Forget a connection; a consent is given back first, where the vendor has a call for it.

    A vendor that fails does not keep anybody connected: the audit line says how it went.
    Raises ConnectionNotFound.
    """
    async with works() as work:
        service = ConnectionService(work)
        await service.connections.lock()
        row = await service.get(connection_id, lock=True)
        if not PROVIDERS[row.provider].by_consent:
            await service.remove(row)
            return
        gateway = gateway_of(work, row.provider)
        try:
            refresh_token = service.opened(row)["refresh_token"]
        except SecretUnreadable:
            refresh_token = ""
    revoked = await _revoked(gateway, refresh_token) if refresh_token else "unreadable"
    async with works() as work:
        service = ConnectionService(work)
        await service.connections.lock()
        left = await service.connections.find(connection_id, lock=True)
        if left is not None:
            await service.remove(left, revoked=revoked)


async def disconnect_provider(works: WorkFactory, name: str) -> None:
    """Forget the one that stands for a provider. Raises UnknownProvider, ConnectionNotFound."""
    provider = provider_of(name)
    async with works() as work:
        row = await ConnectionService(work).connections.of(provider.name)
    if row is None:
        raise ConnectionNotFound()
    await disconnect(works, row.id)


async def _revoked(gateway: OAuthGateway, refresh_token: str) -> str:
    try:
        return "yes" if await gateway.revoke(refresh_token) else "not-offered"
    except OAuthFailure as failure:
        return f"failed: {failure}"


async def _take(work: UnitOfWork, session_id: UUID, name: str, state: str) -> _Asked | None:
    gateway = gateway_of(work, name)
    row = await OAuthStateRepository(work.session).take(token_hash(state), session_id, name, now())
    if row is None:
        return None
    verifier = work.runtime.vault.decrypt(row.verifier, _verifier_context(work, row))
    uri = _redirect_uri(work, name)
    return _Asked(name, verifier, row.name, row.return_to, uri, gateway)


async def _connect(works: WorkFactory, asked: _Asked, code: str, error: str) -> Connection:
    if error == "access_denied":
        raise ConsentDenied()
    if error or not code:
        raise ProviderFailed(f"The provider answered {error[:60] or 'without a code'}.")
    try:
        grant = await asked.gateway.exchange(
            code=code, verifier=asked.verifier, redirect_uri=asked.redirect_uri
        )
        account = await asked.gateway.account(grant.access_token)
    except OAuthFailure as failure:
        raise ProviderFailed(str(failure)) from failure
    async with works() as work:
        return await _store(work, asked, grant, account)


async def _store(work: UnitOfWork, asked: _Asked, grant: Grant, account: Account) -> Connection:
    service, provider = ConnectionService(work), PROVIDERS[asked.provider]
    await service.connections.lock()
    row = await service.connections.of_account(provider.name, account.id)
    if row is None:
        names = {one.name for one in await service.listed(provider=provider.name)}
        name = _free(asked.name or account.name[:80], names)
        row = await service.add(provider, name, {}, sealed(grant, ""))
        row.account_id = account.id
    row.account_name, row.is_enabled = account.name, True
    row.status, row.status_reason, row.refresh_until = ACTIVE, None, None
    keep(service, row, grant, "")
    work.record(
        "connection.connected",
        "connection",
        row.id,
        provider=row.provider,
        account=account.name,
        scopes=row.scopes,
    )
    await service.connections.flush()
    return row


def _redirect_uri(work: UnitOfWork, name: str) -> str:
    # One per provider: a code of one vendor is never taken to another's token server (RFC 9700
    # §4.4, mix-up).
    root = work.runtime.settings.public_base_url.rstrip("/")
    return f"{root}/api/v1/connections/providers/{name}/callback"


def _verifier_context(work: UnitOfWork, row: OAuthState) -> str:
    return OAUTH_VERIFIER.bound_to({"tenant_id": work.tenant.id, "id": row.id})[0]


def _with_query(url: str, **fields: str) -> str:
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode(fields))))
    return parts._replace(query=query).geturl()


def _free(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name[:76]} {number}"
    return found
