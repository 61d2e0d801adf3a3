"""Access tokens of accounts connected by consent: renewed before they end, once at a time.

A renewal is claimed by a lease in the connection's own row, in a transaction of its own, so one
caller of all processes asks the vendor and the others wait for what it stores. Vendors that rotate
refresh tokens take a second use of the same one for theft and end the consent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

from app.contracts.gateways.oauth import (
    Grant,
    GrantEnded,
    OAuthFailure,
    OAuthGateway,
    VendorRefused,
)
from app.contracts.platform import ConnectionExpired as ConnectionExpiredEvent
from app.core.clock import now
from app.kernel.connections.models import ACTIVE, ERROR, EXPIRED, Connection
from app.kernel.connections.problems import (
    ConnectionDisabled,
    ConnectionExpired,
    ProviderFailed,
    TakesKeys,
)
from app.kernel.connections.service import ConnectionService, provider_of
from app.kernel.work import Runtime, UnitOfWork, WorkFactory

MARGIN = timedelta(seconds=60)
"""A token that ends sooner is renewed before it is handed out."""
LEASE = timedelta(seconds=30)
"""Longer than a renewal can take: its call has a deadline of ten seconds."""
WAIT_S = 20.0
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a vendor's API wants as Bearer; good for a minute at least."""

    value: str = field(repr=False)
    expires_at: datetime
    scopes: tuple[str, ...]
    account_id: str | None


@dataclass(frozen=True, slots=True)
class _Renewal:
    """A claimed renewal: what it needs with no transaction open."""

    connection_id: UUID
    until: datetime
    gateway: OAuthGateway
    refresh_token: str = field(repr=False)


async def token_for(
    works: WorkFactory, connection_id: UUID, refused: str | None = None
) -> AccessToken:
    """A valid access token, renewed before it ends; call it with no Work open.

    ``refused`` is a token that the vendor no longer accepts, whatever its life: unless it was
    renewed already, it is renewed now. Raises ConnectionNotFound, TakesKeys, ConnectionDisabled,
    ConnectionExpired (a person must consent again), ProviderFailed (try again later).
    """
    async with works() as work:
        runtime = work.runtime
        found = await _step(work, connection_id, refused, claim=False)
    if isinstance(found, AccessToken):
        return found
    async with _lock_of(runtime, connection_id):
        ends = time.monotonic() + WAIT_S
        while time.monotonic() < ends:
            async with works() as work:
                found = await _step(work, connection_id, refused, claim=True)
            if isinstance(found, _Renewal):
                return await _unbroken(runtime, _renew(works, found))
            if isinstance(found, AccessToken):
                return found
            await asyncio.sleep(_LOOK_S)
    raise ProviderFailed("Its token is still being renewed: try again in a minute.")


async def _step(
    work: UnitOfWork, connection_id: UUID, refused: str | None, *, claim: bool
) -> AccessToken | _Renewal | None:
    """The token as it stands, else the renewal if it becomes ours, else None."""
    service = ConnectionService(work)
    row = await service.get(connection_id)
    gateway = gateway_of(work, row.provider)
    if not row.is_enabled:
        raise ConnectionDisabled()
    if row.status == EXPIRED:
        raise ConnectionExpired(row.status_reason)
    held, at = service.opened(row), now()
    ends = row.token_expires_at or at
    if ends > at + MARGIN and held["access_token"] != refused:
        return AccessToken(held["access_token"], ends, tuple(row.scopes), row.account_id)
    if claim and await service.connections.claim_refresh(row.id, row.secret, at, LEASE):
        return _Renewal(row.id, at + LEASE, gateway, held["refresh_token"])
    return None


async def _renew(works: WorkFactory, renewal: _Renewal) -> AccessToken:
    try:
        grant = await renewal.gateway.refresh(renewal.refresh_token)
    except OAuthFailure as failure:
        async with works() as work:
            await _failed(work, renewal, failure)
        if isinstance(failure, GrantEnded):
            raise ConnectionExpired(str(failure)) from failure
        raise ProviderFailed(str(failure)) from failure
    async with works() as work:
        service = ConnectionService(work)
        row = await service.get(renewal.connection_id, lock=True)
        if row.refresh_until == renewal.until:  # else it was connected anew meanwhile
            keep(service, row, grant, renewal.refresh_token)
            row.status, row.status_reason, row.refresh_until = ACTIVE, None, None
        ends = row.token_expires_at or now()
        return AccessToken(grant.access_token, ends, tuple(row.scopes), row.account_id)


async def _failed(work: UnitOfWork, renewal: _Renewal, failure: OAuthFailure) -> None:
    row = await ConnectionService(work).connections.find(renewal.connection_id, lock=True)
    if row is None or row.refresh_until != renewal.until:
        return
    row.refresh_until = None
    if isinstance(failure, GrantEnded):
        row.note(EXPIRED, str(failure), now())
        work.publish(
            ConnectionExpiredEvent(
                connection_id=row.id, provider=row.provider, label=row.account_name or row.name
            )
        )
    elif isinstance(failure, VendorRefused):
        row.note(ERROR, str(failure), now())


def keep(service: ConnectionService, row: Connection, grant: Grant, before: str) -> None:
    """Access and refresh token in one envelope, in one row: neither is ever kept alone."""
    service.seal(row, sealed(grant, before))
    row.token_expires_at = now() + timedelta(seconds=grant.expires_in_s)
    row.scopes = list(grant.scopes) or row.scopes


def sealed(grant: Grant, before: str) -> dict[str, str]:
    return {
        "access_token": grant.access_token,
        "refresh_token": grant.refresh_token or before,
    }


def gateway_of(work: UnitOfWork, name: str) -> OAuthGateway:
    if not provider_of(name).by_consent:
        raise TakesKeys()
    return work.port(OAuthGateway, name)


def _lock_of(runtime: Runtime, connection_id: UUID) -> asyncio.Lock:
    """One caller of this process polls; the others stand behind it."""
    locks: WeakValueDictionary[UUID, asyncio.Lock] = runtime.caches.setdefault(
        "oauth-locks", WeakValueDictionary()
    )
    lock = locks.get(connection_id)
    if lock is None:
        lock = locks[connection_id] = asyncio.Lock()
    return lock


async def _unbroken(runtime: Runtime, renewal: Coroutine[Any, Any, AccessToken]) -> AccessToken:
    """A caller that goes away must not take the vendor's new refresh token along."""
    running: set[asyncio.Task[AccessToken]] = runtime.caches.setdefault("oauth-renewals", set())
    task: asyncio.Task[AccessToken] = asyncio.create_task(renewal)
    running.add(task)
    task.add_done_callback(running.discard)
    return await asyncio.shield(task)
