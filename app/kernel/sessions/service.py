"""Log in, log out, and what a member may see of their sessions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from app.contracts.platform import ImpersonationEnded
from app.core.clock import now
from app.core.crypto import SignatureInvalid, Signer, token_hash
from app.core.ids import new_token
from app.kernel import identity as identities
from app.kernel.identity import Identity
from app.kernel.sessions.attempts import count_code, count_password
from app.kernel.sessions.models import RefreshToken, UserSession
from app.kernel.sessions.problems import (
    ChallengeRefused,
    SessionNotFound,
    TenantAmbiguous,
    WrongCredentials,
    WrongCurrentPassword,
)
from app.kernel.sessions.repository import SessionRepository
from app.kernel.sessions.rules import device_label
from app.kernel.sessions.schemas import LoginRead, MemberRead
from app.kernel.tenancy import TenantContext
from app.kernel.totp.problems import CodeRefused
from app.kernel.totp.service import TotpService
from app.kernel.users.models import User
from app.kernel.users.service import UserService
from app.kernel.work import Actor, Caller, Runtime, UnitOfWork, Work, WorkFactory, system_work


@dataclass(frozen=True, slots=True)
class LoggedIn:
    tenant: TenantContext
    user: User
    session: UserSession
    access_token: str
    expires_in: int
    refresh_token: str


@dataclass(frozen=True, slots=True)
class Challenged:
    """The password was right; a code of the second factor is still asked for."""

    challenge: str
    expires_in: int


def login_read(done: LoggedIn) -> LoginRead:
    """A new session as every route that opens one answers it."""
    return LoginRead(
        access_token=done.access_token,
        expires_in=done.expires_in,
        refresh_token=done.refresh_token,
        session_id=done.session.id,
        tenant_id=done.tenant.id,
        tenant_slug=done.tenant.slug,
        user=MemberRead.model_validate(done.user),
    )


_CHALLENGE_S = 300.0
_WRONG_TAKES_S = 0.5
_NAME_ONE = "If you work for more than one organization, say which one with X-Tenant (slug)."


async def tenants_of(runtime: Runtime, email: str) -> list[TenantContext]:
    """Where this e-mail has an account that may log in, the last used first."""
    async with system_work(runtime) as session:
        ids = await SessionRepository(session).tenants_with(_folded(email))
    return [await runtime.tenants.by_id(id) for id in ids]


async def log_in_anywhere(
    runtime: Runtime,
    works_of: Callable[[TenantContext], Caller],
    actor: Actor,
    email: str,
    password: str,
    device: str | None = None,
) -> LoggedIn | Challenged:
    """Log in without naming a tenant: where the one account of this e-mail is.

    One password is checked whether the e-mail has none, one or several accounts, so neither the
    answer nor its time tells which; that of the account used last, when there are several. Raises
    WrongCredentials, TooManyLogins, TenantAmbiguous (to who knows that account's password).
    """
    began = time.monotonic()
    # Counted under no tenant: what is left of a tenant's count would tell who is a member.
    await count_password(runtime, "-", _folded(email), actor.ip)
    found = await tenants_of(runtime, email)
    try:
        if not found:
            await runtime.passwords.verify(password, None)
            raise WrongCredentials()
        works = works_of(found[0])
        checked = await _checked(works, email, password)
    except WrongCredentials as wrong:
        await no_sooner(began, _WRONG_TAKES_S)
        raise WrongCredentials(_NAME_ONE) from wrong
    if len(found) > 1:
        raise TenantAmbiguous()
    async with works() as work:
        return await _open_session(work, checked, device)


async def no_sooner(began: float, seconds: float) -> None:
    """Wait until ``seconds`` after ``began`` (monotonic), so that the time of an answer tells
    nothing of what was found on the way to it.
    """
    await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))


async def log_in(
    works: Caller, email: str, password: str, device: str | None = None
) -> LoggedIn | Challenged:
    """Check the password and open a session, or ask for the second factor when it is on.

    Two Works, because hashing takes a quarter of a second and must not hold a connection.
    Raises WrongCredentials (whether or not the account exists), TooManyLogins.
    """
    tenant, address = str(works.tenant.id), works.actor.ip
    await count_password(works.runtime, tenant, _folded(email), address)
    checked = await _checked(works, email, password)
    async with works() as work:
        return await _open_session(work, checked, device)


class _Checked(NamedTuple):
    """An account whose password was right, and what its hash was then."""

    email: str
    hashed: str | None
    upgraded: str | None


async def _checked(works: WorkFactory, email: str, password: str) -> _Checked:
    email = _folded(email)
    async with works() as work:
        user = await SessionRepository(work.session).user_by_email(email)
        hashed = user.password_hash if user is not None and user.is_active else None
    verdict = await work.runtime.passwords.verify(password, hashed)
    if not verdict.ok:
        async with works() as work:
            work.record("auth.login_failed", "user", user.id if user else None, email=email)
        raise WrongCredentials()
    return _Checked(email, hashed, verdict.upgraded)


def _folded(email: str) -> str:
    return email.strip().lower()


async def _open_session(
    work: UnitOfWork, checked: _Checked, device: str | None
) -> LoggedIn | Challenged:
    # The user's row is the lock that keeps parallel logins within the cap.
    user = await SessionRepository(work.session).user_by_email(checked.email, lock=True)
    if user is None or not user.is_active or user.password_hash != checked.hashed:
        raise WrongCredentials()
    if checked.upgraded:
        user.password_hash = checked.upgraded
    if await TotpService(work).is_on(user.id):
        work.record("auth.code_requested", "user", user.id)
        return Challenged(_challenge(work, user), int(_CHALLENGE_S))
    return await open_session(work, user, device)


async def tenant_of_challenge(runtime: Runtime, challenge: str) -> TenantContext:
    """Where the first step found the account, for whoever named no tenant there either.

    Raises ChallengeRefused.
    """
    found = await runtime.tenants.by_id(UUID(_read(runtime, challenge)["tenant"]))
    if found.status != "active":
        raise ChallengeRefused()
    return found


async def log_in_with_code(
    works: WorkFactory, challenge: str, code: str, device: str | None = None
) -> LoggedIn:
    """The second step: a code of the app or a recovery code opens the session.

    Raises ChallengeRefused, CodeRefused, TooManyLogins.
    """
    async with works() as work:
        done = await _second_step(work, challenge, code, device)
    # Raised after the commit: the audit line of a wrong code must stay.
    if done is None:
        raise CodeRefused()
    return done


async def _second_step(
    work: UnitOfWork, challenge: str, code: str, device: str | None
) -> LoggedIn | None:
    user_id, fingerprint = _opened(work, challenge)
    await count_code(work, user_id)
    user = await SessionRepository(work.session).user_by_id(user_id, lock=True)
    if user is None or not user.is_active or _fingerprint(user) != fingerprint:
        raise ChallengeRefused()
    kind = await TotpService(work).spend(user.id, code)
    if kind is None:
        work.record("auth.code_refused", "user", user.id)
        return None
    return await open_session(work, user, device, second_factor=kind)


def _challenge(work: UnitOfWork, user: User) -> str:
    return _challenges(work.runtime).sign(
        {
            "tenant": str(work.tenant.id),
            "user": str(user.id),
            "password": _fingerprint(user),
            "until": time.time() + _CHALLENGE_S,
        }
    )


def _opened(work: UnitOfWork, challenge: str) -> tuple[UUID, str]:
    found = _read(work.runtime, challenge)
    if found["tenant"] != str(work.tenant.id):
        raise ChallengeRefused()
    return UUID(found["user"]), found["password"]


def _read(runtime: Runtime, challenge: str) -> dict[str, Any]:
    try:
        found = _challenges(runtime).open(challenge)
    except SignatureInvalid as error:
        raise ChallengeRefused() from error
    if found["until"] < time.time():
        raise ChallengeRefused()
    return found


def _challenges(runtime: Runtime) -> Signer:
    return Signer(runtime.settings.auth_secrets, "login-challenge")


def _fingerprint(user: User) -> str:
    # A password changed between the steps voids what the old one earned.
    return token_hash(user.password_hash).hex()[:16]


async def open_session(
    work: UnitOfWork, user: User, device: str | None = None, **facts: object
) -> LoggedIn:
    """A session for a user who has proven to be one, with every factor they have.

    Their row is locked or new; the oldest sessions beyond the cap are cut.
    """
    sessions, settings = SessionRepository(work.session), work.runtime.settings
    user.last_login_at = now()
    alive = await sessions.alive(user.id, opened_by_user=True)
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
            device=device_label(device, work.actor.user_agent),
        )
    )
    work.record("auth.logged_in", "session", session.id, email=user.email, **facts)
    token, life = work.runtime.tokens.issue(user.id, work.tenant.id, user.role, session.id)
    refresh = await add_refresh_token(work, session)
    return LoggedIn(work.tenant, user, session, token, life, refresh)


async def add_refresh_token(work: UnitOfWork, session: UserSession) -> str:
    """One more link of the session's chain; its hash is what is stored."""
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


async def check_password(works: WorkFactory, who: Identity, password: str) -> str:
    """Ask a member for their password again; answers the hash that it was right against.

    Raises WrongCurrentPassword, TooManyLogins (guesses here count as guesses at the login).
    """
    async with works() as work:
        await count_password(work.runtime, str(work.tenant.id), who.email, work.actor.ip)
        user = await SessionRepository(work.session).user_by_id(who.user_id)
        known = user.password_hash if user is not None else None
    verdict = await work.runtime.passwords.verify(password, known)
    if not verdict.ok or known is None:
        async with works() as work:
            work.record("auth.password_check_failed", "user", who.user_id)
        raise WrongCurrentPassword()
    return known


async def change_password(works: WorkFactory, who: Identity, current: str, password: str) -> None:
    """Set one's own password; every other session of the user ends (ASVS 7.4.3).

    Raises WrongCurrentPassword, TooManyLogins.
    """
    known = await check_password(works, who, current)
    async with works() as work:
        hashed = await work.runtime.passwords.hash(password)
        user = await SessionRepository(work.session).user_by_id(who.user_id, lock=True)
        # Changed meanwhile by somebody else: the password given is no longer the current one.
        if user is None or user.password_hash != known:
            raise WrongCurrentPassword()
        user.password_hash = hashed
        ended = await SessionService(work).end_others(who, "password-changed")
        work.record("auth.password_changed", "user", user.id, sessions_ended=ended)


class SessionService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.sessions = SessionRepository(work.session)

    async def log_out(self, who: Identity) -> None:
        """End the current session; it is refused everywhere within a second."""
        await self.sessions.revoke([who.session_id], "logout")
        self.work.record("auth.logged_out", "session", who.session_id)
        if who.impersonator is not None:
            told = ImpersonationEnded(
                impersonation_id=who.impersonator.impersonation_id,
                user_id=who.user_id,
                by=who.impersonator.name,
                reason="logout",
            )
            self.work.publish(told)
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

    async def end_others(self, who: Identity, reason: str) -> int:
        """End all of one's own sessions but this one; answers how many there were."""
        others = [s.id for s in await self.sessions.alive(who.user_id) if s.id != who.session_id]
        await self.sessions.revoke(others, reason)
        self.work.ring(identities.TOPIC)
        return len(others)

    async def of_user(self, user_id: UUID) -> Sequence[UserSession]:
        """Somebody's live sessions, newest first. Raises UserNotFound."""
        await UserService(self.work).get(user_id)
        return await self.sessions.alive(user_id)

    async def end_of_user(self, who: Identity, user_id: UUID, session_id: UUID | None) -> None:
        """End one session of somebody, or all of them.

        Of many at once one does it, the others find it done.
        Raises UserNotFound, RoleAboveYours, SessionNotFound.
        """
        # The user's row is locked: a session being opened is either seen here or comes after.
        await UserService(self.work).manageable(who, user_id)
        if session_id is None:
            ids = [s.id for s in await self.sessions.alive(user_id)]
        else:
            session = await self.sessions.get(session_id)
            if session.user_id != user_id:
                raise SessionNotFound()
            ids = [session.id] if session.revoked_at is None else []
        if not ids:
            return
        await self.sessions.revoke(ids, "ended-by-administrator")
        self.work.record("auth.sessions_ended", "user", user_id, sessions=ids)
        self.work.ring(identities.TOPIC)
