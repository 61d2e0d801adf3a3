"""Log in, log out, and what a member may see of their sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from app.core.clock import now
from app.core.crypto import token_hash
from app.core.ids import new_token
from app.core.ratelimit import Limit
from app.kernel import identity as identities
from app.kernel.identity import Identity
from app.kernel.sessions.models import RefreshToken, UserSession
from app.kernel.sessions.problems import (
    RefreshRefused,
    SessionNotFound,
    TooManyLogins,
    WrongCredentials,
    WrongCurrentPassword,
)
from app.kernel.sessions.repository import SessionRepository
from app.kernel.users.models import User
from app.kernel.work import UnitOfWork, Work, WorkFactory


@dataclass(frozen=True, slots=True)
class LoggedIn:
    user: User
    session: UserSession
    access_token: str
    expires_in: int
    refresh_token: str


class Pair(NamedTuple):
    """What a refresh answers; words without spaces, as it is stored for the grace."""

    access_token: str
    refresh_token: str
    expires_in: str


_GRACE = timedelta(seconds=10)


async def log_in(works: WorkFactory, email: str, password: str) -> LoggedIn:
    """Check the password and open a session; the oldest beyond the cap are cut.

    Two Works, because hashing takes a quarter of a second and must not hold a connection.
    Raises WrongCredentials (whether or not the account exists), TooManyLogins.
    """
    email = email.strip().lower()
    async with works() as work:
        await _throttle(work, email)
        user = await SessionRepository(work.session).user_by_email(email)
        hashed = user.password_hash if user is not None and user.is_active else None
    verdict = await work.runtime.passwords.verify(password, hashed)
    if not verdict.ok:
        async with works() as work:
            work.record("auth.login_failed", "user", user.id if user else None, email=email)
        raise WrongCredentials()
    async with works() as work:
        return await _open_session(work, email, hashed, verdict.upgraded)


async def _throttle(work: UnitOfWork, email: str) -> None:
    burst = work.runtime.settings.login_attempts_per_minute
    limit = Limit("login", burst, 60)
    decision = await work.runtime.limiter.take(limit, f"{work.tenant.id}:{email}:{work.actor.ip}")
    if not decision.allowed:
        problem = TooManyLogins()
        problem.headers = {"Retry-After": str(int(decision.retry_after_s) + 1)}
        raise problem


async def _open_session(
    work: UnitOfWork, email: str, hashed: str | None, upgraded: str | None
) -> LoggedIn:
    sessions, settings = SessionRepository(work.session), work.runtime.settings
    # The user's row is the lock that keeps parallel logins within the cap.
    user = await sessions.user_by_email(email, lock=True)
    if user is None or not user.is_active or user.password_hash != hashed:
        raise WrongCredentials()
    if upgraded:
        user.password_hash = upgraded
    user.last_login_at = now()
    alive = await sessions.alive(user.id)
    surplus = [s.id for s in alive[settings.max_active_sessions - 1 :]]
    if surplus:
        await sessions.revoke(surplus, "session-limit")
        work.ring(identities.TOPIC)
    session = await sessions.add(
        UserSession(
            user_id=user.id,
            expires_at=now() + timedelta(days=settings.session_absolute_days),
            ip=work.actor.ip,
            user_agent=(work.actor.user_agent or "")[:300] or None,
        )
    )
    work.record("auth.logged_in", "session", session.id, email=email)
    token, life = work.runtime.tokens.issue(user.id, work.tenant.id, user.role, session.id)
    refresh = await _add_refresh_token(work, session)
    return LoggedIn(user, session, token, life, refresh)


async def _add_refresh_token(work: UnitOfWork, session: UserSession) -> str:
    token = new_token()
    ends = now() + timedelta(days=work.runtime.settings.refresh_token_expire_days)
    work.session.add(
        RefreshToken(
            session_id=session.id,
            token_hash=token_hash(token),
            expires_at=min(ends, session.expires_at),
        )
    )
    await work.session.flush()
    return token


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
    pair = Pair(access, await _add_refresh_token(work, session), str(life))
    link.used_at = at
    link.successor = work.runtime.vault.encrypt(" ".join(pair), _context(work, link))
    return pair


def _context(work: UnitOfWork, link: RefreshToken) -> str:
    return f"{work.tenant.id}:refresh_tokens:{link.id}"


async def change_password(works: WorkFactory, who: Identity, current: str, password: str) -> None:
    """Set one's own password; every other session of the user ends (ASVS 7.4.3).

    Raises WrongCurrentPassword, TooManyLogins (guesses here count as guesses at the login).
    """
    async with works() as work:
        await _throttle(work, who.email)
        user = await SessionRepository(work.session).user_by_email(who.email)
        known = user.password_hash if user is not None else None
    verdict = await work.runtime.passwords.verify(current, known)
    if not verdict.ok:
        async with works() as work:
            work.record("auth.password_change_failed", "user", who.user_id)
        raise WrongCurrentPassword()
    hashed = await work.runtime.passwords.hash(password)
    async with works() as work:
        sessions = SessionRepository(work.session)
        user = await sessions.user_by_email(who.email, lock=True)
        # Changed meanwhile by somebody else: the password given is no longer the current one.
        if user is None or user.id != who.user_id or user.password_hash != known:
            raise WrongCurrentPassword()
        user.password_hash = hashed
        others = [s.id for s in await sessions.alive(user.id) if s.id != who.session_id]
        await sessions.revoke(others, "password-changed")
        work.record("auth.password_changed", "user", user.id, sessions_ended=len(others))
        work.ring(identities.TOPIC)


class SessionService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.sessions = SessionRepository(work.session)

    async def log_out(self, who: Identity) -> None:
        """End the current session; it is refused everywhere within a second."""
        await self.sessions.revoke([who.session_id], "logout")
        self.work.record("auth.logged_out", "session", who.session_id)
        self.work.ring(identities.TOPIC)

    async def own(self, who: Identity) -> Sequence[UserSession]:
        return await self.sessions.alive(who.user_id)

    async def end(self, who: Identity, session_id: UUID) -> None:
        """End one of one's own sessions. Raises SessionNotFound."""
        session = await self.sessions.get(session_id)
        if session.user_id != who.user_id:
            raise SessionNotFound()
        await self.sessions.revoke([session_id], "ended-by-user")
        self.work.record("auth.session_ended", "session", session_id)
        self.work.ring(identities.TOPIC)
