"""A forgotten password: a letter with a link good for one hour and one use, a new password."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from app.core.clock import now
from app.core.crypto import token_hash
from app.core.ratelimit import Limit
from app.kernel.mail.service import MailService
from app.kernel.mailed import new_mailed_token
from app.kernel.passwords.models import PasswordReset
from app.kernel.passwords.problems import ResetNotValid, TooManyResets
from app.kernel.passwords.repository import PasswordResetRepository
from app.kernel.sessions.service import no_sooner
from app.kernel.tenancy import TenantContext
from app.kernel.users.service import UserService
from app.kernel.work import Actor, Runtime, UnitOfWork, WorkFactory

LIFE = timedelta(hours=1)
PAGE = "redefinir-senha"
_ASKED = Limit("password-forgot", 3, 3600)
_ASKED_FOR_ACCOUNT = Limit("password-forgot-account", 10, 3600)
_TRIED = Limit("password-reset", 20, 3600)
_AS_LONG_AS_S = 0.25


async def throttle(runtime: Runtime, actor: Actor, email: str) -> None:
    """Before anything is looked up, so that it tells nothing. Raises TooManyResets."""
    email = email.strip().lower()
    await _take(runtime, _ASKED, f"{email}:{actor.ip}")
    await _take(runtime, _ASKED_FOR_ACCOUNT, email)


async def forgot(
    works_of: Callable[[TenantContext], WorkFactory], tenants: Sequence[TenantContext], email: str
) -> None:
    """Send the link to the account of this e-mail in each of these tenants, if it has one.

    Takes as long whether or not there is one: nobody may learn that by asking.
    """
    began = time.monotonic()
    for tenant in tenants:
        async with works_of(tenant)() as work:
            await _ask(work, email.strip().lower())
    await no_sooner(began, _AS_LONG_AS_S)


async def _ask(work: UnitOfWork, email: str) -> None:
    resets = PasswordResetRepository(work.session)
    user = await resets.account(email)
    if user is None:
        return
    await resets.forget_old(user.id)
    token = new_mailed_token(work.tenant.id)
    asked = await resets.add(
        PasswordReset(user_id=user.id, token_hash=token_hash(token), expires_at=now() + LIFE)
    )
    await MailService(work).send(
        "password_reset",
        to=user.email,
        reference=f"password-reset:{asked.id}",
        facts={"name": user.name, "organization": work.tenant.name},
        page=PAGE,
        token=token,
    )
    work.record("auth.password_forgotten", "user", user.id)


async def reset(works: WorkFactory, token: str, password: str) -> None:
    """Set the new password; the link and all others of the user are spent, all sessions end.

    Two Works, because hashing must not hold a connection. Raises ResetNotValid, TooManyResets.
    """
    digest = token_hash(token)
    async with works() as work:
        await _take(work.runtime, _TRIED, str(work.actor.ip))
        if await PasswordResetRepository(work.session).owner_of(digest) is None:
            raise ResetNotValid()
    hashed = await work.runtime.passwords.hash(password)
    async with works() as work:
        await _replace(work, digest, hashed)


async def _replace(work: UnitOfWork, digest: bytes, hashed: str) -> None:
    resets, users = PasswordResetRepository(work.session), UserService(work)
    user_id = await resets.owner_of(digest)
    if user_id is None:
        raise ResetNotValid()
    user = await users.locked(user_id)
    # Asked again under the user's lock: of two that use one link the second finds it spent.
    if await resets.owner_of(digest) is None:
        raise ResetNotValid()
    await resets.spend_all(user_id)
    await users.replace_password(user, hashed, "password-reset")
    await MailService(work).send(
        "password_changed",
        to=user.email,
        reference=f"password-changed:{digest.hex()}",
        facts={"name": user.name, "organization": work.tenant.name},
    )


async def _take(runtime: Runtime, limit: Limit, key: str) -> None:
    decision = await runtime.limiter.take(limit, key)
    if not decision.allowed:
        problem = TooManyResets()
        problem.headers = {"Retry-After": str(int(decision.retry_after_s) + 1)}
        raise problem
