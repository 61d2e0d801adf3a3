"""The test button: one cheap call with a connection's credentials, its outcome shown and kept."""

from __future__ import annotations

import time
from uuid import UUID

from app.contracts.gateways.checks import Check, CredentialCheck
from app.contracts.gateways.oauth import GrantEnded, OAuthFailure, OAuthGateway
from app.core.clock import now
from app.core.crypto import SecretUnreadable
from app.kernel.connections.models import ACTIVE, ERROR, EXPIRED
from app.kernel.connections.problems import ConnectionExpired, ProviderFailed
from app.kernel.connections.rules import PROVIDERS, Kind, checked
from app.kernel.connections.schemas import CheckRead, CredentialsTest
from app.kernel.connections.service import ConnectionService, provider_of
from app.kernel.connections.tokens import token_for
from app.kernel.work import WorkFactory

_STATUS = {"ok": ACTIVE, "consent-ended": EXPIRED}


async def try_connection(
    works: WorkFactory, connection_id: UUID, kind: Kind | None = None
) -> CheckRead:
    """Ask the vendor whether it accepts a stored connection; the connection keeps the outcome.

    Raises ConnectionNotFound, ConnectionDisabled (one by consent that is switched off).
    """
    async with works() as work:
        row = await ConnectionService(work).get(connection_id, kind)
        by_consent, seen = PROVIDERS[row.provider].by_consent, row.secret
    began = time.monotonic()
    if by_consent:
        check = await _by_consent(works, connection_id, row.provider)
    else:
        check = await _by_keys(works, connection_id)
    told = _told(check, began)
    async with works() as work:
        left = await ConnectionService(work).connections.find(connection_id, lock=True)
        # Keys that were replaced while the vendor judged the old ones keep a clean slate.
        if left is not None and (by_consent or left.secret == seen):
            status = _STATUS.get(check.reason, ERROR)
            left.note(status, check.detail or None, told.checked_at)
            work.record(
                "connection.tested",
                "connection",
                left.id,
                provider=left.provider,
                outcome=check.reason,
            )
    return told


async def try_credentials(
    works: WorkFactory, name: str, body: CredentialsTest, kind: Kind
) -> CheckRead:
    """Ask the vendor whether it accepts credentials that are stored nowhere.

    Raises UnknownProvider, Invalid.
    """
    provider = provider_of(name, kind)
    values = checked(provider.config, body.config, "/body/config")
    values |= checked(provider.secret, body.secret, "/body/secret")
    async with works() as work:
        port = work.port(CredentialCheck, name)
        work.record("connection.credentials_tested", "connection", None, provider=name)
    began = time.monotonic()
    return _told(await port.check(values), began)


async def _by_keys(works: WorkFactory, connection_id: UUID) -> Check:
    async with works() as work:
        service = ConnectionService(work)
        row = await service.get(connection_id)
        port = work.port(CredentialCheck, row.provider)
        try:
            values = service.opened(row)
        except SecretUnreadable:
            detail = "The stored credentials can no longer be read: enter them again."
            return Check("credentials-refused", detail)
    return await port.check(values)


async def _by_consent(works: WorkFactory, connection_id: UUID, provider: str) -> Check:
    """A token that the vendor refuses is renewed once: that tells a lapse from a withdrawal."""
    async with works() as work:
        gateway = work.port(OAuthGateway, provider)
    try:
        token = await token_for(works, connection_id)
        try:
            account = await gateway.account(token.value)
        except GrantEnded:
            token = await token_for(works, connection_id, refused=token.value)
            account = await gateway.account(token.value)
    except (ConnectionExpired, GrantEnded) as ended:
        return Check("consent-ended", str(ended))
    except (ProviderFailed, OAuthFailure) as failure:
        return Check("unavailable", str(failure))
    except SecretUnreadable:
        return Check("consent-ended", "The stored tokens can no longer be read: connect again.")
    return Check("ok", account=account.name)


def _told(check: Check, began: float) -> CheckRead:
    return CheckRead(
        ok=check.is_ok,
        reason=check.reason,
        detail=check.detail,
        account=check.account,
        checked_at=now(),
        duration_ms=int((time.monotonic() - began) * 1000),
    )
