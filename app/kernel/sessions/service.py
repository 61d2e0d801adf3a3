"""Log in, log out, and what a member may see of their sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.core.clock import now
from app.core.ratelimit import Limit
from app.kernel import identity as identities
from app.kernel.identity import Identity
from app.kernel.sessions.models import UserSession
from app.kernel.sessions.problems import SessionNotFound, TooManyLogins, WrongCredentials
from app.kernel.sessions.repository import SessionRepository
from app.kernel.users.models import User
from app.kernel.work import UnitOfWork, Work, WorkFactory


@dataclass(frozen=True, slots=True)
class LoggedIn:
    user: User
    session: UserSession
    access_token: str
    expires_in: int


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
    return LoggedIn(user, session, token, life)


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
