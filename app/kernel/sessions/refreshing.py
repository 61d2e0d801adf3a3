"""Exchanging a refresh token for the next pair, and what a token used twice means."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from app.core.clock import now
from app.core.crypto import token_hash
from app.kernel import identity as identities
from app.kernel.sessions.models import SUCCESSOR, RefreshToken
from app.kernel.sessions.problems import RefreshRefused
from app.kernel.sessions.repository import SessionRepository
from app.kernel.sessions.service import add_refresh_token
from app.kernel.work import UnitOfWork, WorkFactory

_GRACE = timedelta(seconds=10)


class Pair(NamedTuple):
    """What a refresh answers; words without spaces, as it is stored for the grace."""

    access_token: str
    refresh_token: str
    expires_in: str


async def refresh(works: WorkFactory, token: str) -> Pair:
    """Exchange a refresh token for a new pair, once; the access token may be long expired.

    A used token ends its whole session, for somebody else has a copy (RFC 9700 §4.14.2). The one
    exception: the immediate predecessor within ten seconds is a browser's second tab or a retry,
    and is answered the very pair its twin got. Raises RefreshRefused.
    """
    async with works() as work:
        pair = await _rotate(work, token)
    # Raised after the commit: the end of a stolen session must not be rolled back.
    if pair is None:
        raise RefreshRefused()
    return pair


async def _rotate(work: UnitOfWork, token: str) -> Pair | None:
    sessions, settings, at = SessionRepository(work.session), work.runtime.settings, now()
    found = await sessions.refresh_token(token_hash(token))
    if found is None:
        return None
    link, session, user = found
    if not user.is_active or not session.is_alive(at, settings.admin_session_expire_minutes):
        return None
    if link.used_at is not None:
        if link.successor is not None and at - link.used_at <= _GRACE:
            return Pair(*work.runtime.vault.decrypt(link.successor, _context(work, link)).split())
        await sessions.revoke([session.id], "refresh-reused")
        work.record("auth.refresh_reused", "session", session.id, email=user.email)
        work.ring(identities.TOPIC)
        return None
    if link.expires_at <= at:
        return None
    await sessions.forget_spent(session.id)
    session.last_seen_at = at
    access, life = work.runtime.tokens.issue(user.id, work.tenant.id, user.role, session.id)
    pair = Pair(access, await add_refresh_token(work, session), str(life))
    link.used_at = at
    link.successor = work.runtime.vault.encrypt(" ".join(pair), _context(work, link))
    return pair


def _context(work: UnitOfWork, link: RefreshToken) -> str:
    return SUCCESSOR.bound_to({"tenant_id": work.tenant.id, "id": link.id})[0]
