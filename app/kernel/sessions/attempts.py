"""How often somebody may guess: a password per account and address, a code per account."""

from __future__ import annotations

from uuid import UUID

from app.core.ratelimit import Limit
from app.kernel.sessions.problems import TooManyLogins
from app.kernel.work import Runtime, UnitOfWork

_CODES = Limit("totp", 10, 3600)
"""Who has the password and guesses all day finds a code with a chance of one in 1,400; each wrong
one is in the audit trail."""


async def count_password(runtime: Runtime, tenant: str, email: str, address: str | None) -> None:
    """Count one attempt at a password, whether or not the account exists. Raises TooManyLogins.

    Three limits: one account from one address (somebody guesses), one account from anywhere (a
    botnet guesses), one address at any account of any tenant (somebody sprays one password).
    """
    config, account, address = runtime.settings, f"{tenant}:{email}", address or ""
    pair = f"{account}:{address}"
    await _take(runtime, Limit("login", config.login_attempts_per_minute, 60), pair)
    await _take(runtime, Limit("login-account", config.login_attempts_per_account, 60), account)
    await _take(runtime, Limit("login-address", config.login_attempts_per_address, 60), address)


async def count_code(work: UnitOfWork, user_id: UUID) -> None:
    """Count one attempt at a second factor. Raises TooManyLogins."""
    await _take(work.runtime, _CODES, f"{work.tenant.id}:{user_id}")


async def _take(runtime: Runtime, limit: Limit, key: str) -> None:
    decision = await runtime.limiter.take(limit, key)
    if not decision.allowed:
        problem = TooManyLogins()
        problem.headers = {"Retry-After": str(int(decision.retry_after_s) + 1)}
        raise problem
