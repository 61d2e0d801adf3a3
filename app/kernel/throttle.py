"""Rate limits that routes and plans declare, shared by all processes; one Redis trip each.

Headers are those of draft-ietf-httpapi-ratelimit-headers: ``RateLimit-Policy`` names the limit
(``q`` requests per ``w`` seconds), ``RateLimit`` says what is left of it (``r``) and when all of
it is there again (``t`` seconds); a refusal adds ``Retry-After``. While Redis is down each process
counts by itself and requests go on.
"""

from __future__ import annotations

import re
from typing import Any, Literal
from uuid import UUID

from fastapi import Depends, Request

from app.core.problems import TooMany
from app.core.ratelimit import Decision, Limit
from app.kernel.request import Headers, Meta
from app.kernel.tenancy import TenantContext
from app.kernel.work import Runtime, runtime_of

API_RATE = "api_requests_per_minute"
"""The plan's limit of what FastAPI answers for one tenant; ready bytes are not counted."""
KEY_RATE = "api_key_requests_per_minute"
"""The plan's limit for each API key by itself, so that one integration leaves the others theirs."""
RATES = frozenset({API_RATE, KEY_RATE})

By = Literal["member", "tenant", "address"]

_RATE = re.compile(r"(\d+)/(\d*)(s|min|h|d)")
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def rate(name: str, text: str) -> Limit:
    """A limit as routes write it: ``10/h``, ``100/15min``. Raises ValueError."""
    found = _RATE.fullmatch(text)
    if found is None or not int(found[1]):
        raise ValueError(f"{text!r} is no rate: write 10/h or 100/15min")
    return Limit(name, int(found[1]), int(found[2] or 1) * _UNITS[found[3]])


def throttled(name: str, text: str, *, by: By = "member") -> Any:
    """Dependency: at most ``text`` requests (``10/h``) of one member, tenant or address.

    Put it behind the gate: who may not enter does not use up the budget of who may.
    Raises TooMany.
    """
    limit = rate(name, text)

    async def check(request: Request) -> None:
        meta: Meta = request.scope["meta"]
        await _take(runtime_of(request), meta, limit, _key(meta, by))

    return Depends(check)


async def limit_tenant(runtime: Runtime, meta: Meta, tenant: TenantContext, burst: int) -> None:
    """Count one request of a tenant against its plan's rate. Raises TooMany."""
    await _take(runtime, meta, Limit("plan", max(burst, 1), 60), str(tenant.id))


async def limit_key(runtime: Runtime, meta: Meta, key_id: UUID, burst: int) -> None:
    """Count one request of an API key against its plan's rate of each. Raises TooMany."""
    await _take(runtime, meta, Limit("key", max(burst, 1), 60), str(key_id))


async def _take(runtime: Runtime, meta: Meta, limit: Limit, key: str) -> None:
    decision = await runtime.limiter.take(limit, key)
    meta.out += told(limit, decision)
    if not decision.allowed:
        raise refusal(decision)


def _key(meta: Meta, by: By) -> str:
    tenant = "" if meta.tenant is None else str(meta.tenant.id)
    if by == "tenant":
        return tenant
    if by == "member" and meta.identity is not None:
        return f"{tenant}:{meta.identity.user_id}"
    return f"{tenant}:{meta.client_ip}"


def refusal(decision: Decision) -> TooMany:
    """The problem that says when to come back."""
    problem = TooMany()
    problem.headers = {"Retry-After": str(int(decision.retry_after_s) + 1)}
    return problem


def policy_of(limit: Limit) -> tuple[bytes, bytes]:
    return b"ratelimit-policy", b'"%b";q=%d;w=%d' % (
        limit.name.encode(),
        limit.burst,
        limit.period_s,
    )


def told(limit: Limit, decision: Decision) -> Headers:
    """Both headers of a decision."""
    wait = decision.reset_s if decision.allowed else int(decision.retry_after_s) + 1
    left = b'"%b";r=%d;t=%d' % (limit.name.encode(), decision.remaining, wait)
    return [policy_of(limit), (b"ratelimit", left)]
