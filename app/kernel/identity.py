"""Who is asking: token to live session to member, checked on every request, cached one second.

The cache makes a hot session cost no query; its one-second life is the bound within which a
revoked session is refused by every process, doorbell or not (spec/platform §7).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Request, Response

from app.core.database import Database
from app.core.problems import Forbidden, Unauthenticated
from app.core.redis import Bus
from app.core.tokens import Claims, TokenInvalid, Tokens

COOKIE = "admin_token"
KEY_PREFIX = "lgk_"
"""How API keys begin: told from session tokens at a glance, and found by scanners of leaks."""
TOPIC = "sessions"
_CACHED_S = 1.0
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class SessionEnded(Unauthenticated):
    code = "session-ended"
    title = "This session was ended or expired: log in again."


class ApiKeyInvalid(Unauthenticated):
    code = "api-key-invalid"
    title = "This API key is unknown, expired or revoked, or who made it left: create another one."


class TenantMismatch(Forbidden):
    code = "tenant-mismatch"
    title = "Your session belongs to another tenant than the one this request names."


class CrossSiteRequest(Forbidden):
    code = "cross-site-request"
    title = "A cookie session changes things only from its own site: send the token as Bearer."


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """The API key through which somebody's program asks."""

    id: UUID
    label: str
    """Its name and visible beginning, as the audit trail tells it."""
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Impersonator:
    """The person of the platform who works in a member's name."""

    impersonation_id: UUID
    user_id: UUID
    name: str
    """Their e-mail."""
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """A member with their session; or, with ``key``, a program a member made an API key for."""

    user_id: UUID
    tenant_id: UUID
    session_id: UUID
    """Of a key, which has no session, the key's own id."""
    email: str
    name: str
    role: str
    group_grants: frozenset[str]
    key: KeyFacts | None = None
    impersonator: Impersonator | None = None
    """Who acts in this member's name; None: the member does."""


class SessionKey(Protocol):
    """What names a session: valid claims, or an identity found before."""

    @property
    def user_id(self) -> UUID: ...
    @property
    def tenant_id(self) -> UUID: ...
    @property
    def session_id(self) -> UUID: ...


GROUP_GRANTS = """
(SELECT coalesce(array_agg(DISTINCT x), '{}') FROM group_members m
   JOIN groups g ON g.tenant_id = m.tenant_id AND g.id = m.group_id, unnest(g.grants) AS x
  WHERE m.tenant_id = u.tenant_id AND m.user_id = u.id)
"""
"""What the groups of the user ``u`` grant."""

# One look-up answers: is the session alive, is the user active, what do groups grant, and who
# else acts in it. An impersonation lives no longer than the session it was begun from, and ends
# at once when who began it no longer runs the platform.
_FIND = f"""
SELECT s.id AS session_id, s.tenant_id, u.id AS user_id, u.email, u.name, u.role,
  i.id AS impersonation_id, i.by_user_id, i.by_name, s.expires_at, {GROUP_GRANTS} AS grants
FROM user_sessions s JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
  LEFT JOIN impersonations i ON i.tenant_id = s.tenant_id AND i.session_id = s.id
WHERE s.tenant_id = $1 AND s.id = $2 AND s.user_id = $3 AND s.revoked_at IS NULL
  AND s.expires_at > now() AND s.last_seen_at > now() - make_interval(mins => $4)
  AND u.is_active AND (i.id IS NULL OR EXISTS (
    SELECT FROM user_sessions r JOIN users p ON p.tenant_id = r.tenant_id AND p.id = r.user_id
      JOIN tenants h ON h.id = r.tenant_id
    WHERE r.tenant_id = i.by_tenant_id AND r.id = i.by_session_id AND r.user_id = i.by_user_id
      AND r.revoked_at IS NULL AND r.expires_at > now() AND p.is_active AND p.role = 'owner'
      AND h.is_super_admin AND h.status = 'active'))
"""  # noqa: S608 - joined from our own text
# The same question about many sessions at once.
_EACH = _FIND.replace("$1", "k.tenant_id").replace("$2", "k.id").replace("$3", "k.user_id")
_FIND_MANY = f"""
SELECT found.* FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS k(tenant_id, id, user_id),
  LATERAL ({_EACH}) AS found
"""  # noqa: S608 - constants of this module
_TOUCH = """
UPDATE user_sessions SET last_seen_at = now()
WHERE tenant_id = $1 AND id = $2 AND last_seen_at < now() - interval '60 seconds'
"""


class Sessions:
    """Live sessions, as this process knows them."""

    def __init__(self, database: Database, bus: Bus, idle_minutes: int) -> None:
        self._database, self._idle = database, idle_minutes
        self._cache: dict[UUID, tuple[float, Identity]] = {}
        self._touched: dict[UUID, float] = {}
        bus.listen(TOPIC, lambda key: self._cache.clear())

    async def identity(self, claims: SessionKey) -> Identity:
        """The member behind a live session. Raises SessionEnded."""
        at = time.monotonic()
        hit = self._cache.get(claims.session_id)
        if hit is not None and hit[0] > at:
            return hit[1]
        async with self._database.system_driver() as driver:
            row = await driver.fetchrow(
                _FIND, claims.tenant_id, claims.session_id, claims.user_id, self._idle
            )
            if row is None:
                raise SessionEnded()
            if self._touched.get(claims.session_id, 0.0) < at - 60:
                self._touched[claims.session_id] = at
                await driver.execute(_TOUCH, claims.tenant_id, claims.session_id)
        identity = _identity(row)
        if len(self._cache) > 10_000:
            self._cache.clear()
            self._touched.clear()
        self._cache[claims.session_id] = (at + _CACHED_S, identity)
        return identity

    async def living(self, keys: Iterable[SessionKey]) -> dict[UUID, Identity]:
        """Those of many sessions that are alive now, by session id: one query. Forgets the others.

        Asking is no use of a session: it does not put off its end.
        """
        asked = list(keys)
        async with self._database.system_driver() as driver:
            rows = await driver.fetch(
                _FIND_MANY,
                [k.tenant_id for k in asked],
                [k.session_id for k in asked],
                [k.user_id for k in asked],
                self._idle,
            )
        found = {row["session_id"]: _identity(row) for row in rows}
        for key in asked:
            if key.session_id not in found:
                self._cache.pop(key.session_id, None)
        return found


def _identity(row: Any) -> Identity:
    return Identity(
        row["user_id"],
        row["tenant_id"],
        row["session_id"],
        row["email"],
        row["name"],
        row["role"],
        frozenset(row["grants"]),
        impersonator=_impersonator(row) if row["impersonation_id"] is not None else None,
    )


def _impersonator(row: Any) -> Impersonator:
    return Impersonator(
        row["impersonation_id"], row["by_user_id"], row["by_name"], row["expires_at"]
    )


def key_from(meta: Any) -> str | None:
    """The API key a request carries, in X-Api-Key or as its Bearer."""
    given: str | None = meta.header(b"x-api-key")
    if given is not None:
        return given.strip()
    header = meta.header(b"authorization")
    if header is not None and header[7 : 7 + len(KEY_PREFIX)] == KEY_PREFIX:
        return str(header[7:]).strip() if header[:7].lower() == "bearer " else None
    return None


def token_from(meta: Any) -> tuple[str, bool] | None:
    """The access token a request carries, and whether it came as a cookie."""
    header = meta.header(b"authorization")
    if header is not None and header[:7].lower() == "bearer ":
        return header[7:].strip(), False
    cookies = meta.header(b"cookie")
    if cookies is not None and COOKIE in cookies:
        for part in cookies.split(";"):
            name, _, value = part.strip().partition("=")
            if name == COOKIE and value:
                return value, True
    return None


def claims_from(tokens: Tokens, meta: Any) -> Claims | None:
    """Valid claims of the request's token; None without one. Raises TokenInvalid."""
    found = token_from(meta)
    return tokens.verify(found[0]) if found is not None else None


async def current_identity(request: Request) -> Identity:
    """The member who asks; every gate but ``public`` calls it.

    Raises Unauthenticated, SessionEnded, ApiKeyInvalid, TenantMismatch, CrossSiteRequest.
    """
    meta = request.scope["meta"]
    if meta.identity is not None:
        found: Identity = meta.identity
        return found
    key = key_from(meta)
    if key is not None:
        return await _of_key(request, key)
    carried = token_from(meta)
    if carried is None:
        raise Unauthenticated()
    runtime = request.app.state.runtime
    try:
        claims = runtime.tokens.verify(carried[0])
    except TokenInvalid as error:
        raise SessionEnded() from error
    if carried[1] and request.method not in SAFE:
        refuse_cross_site(meta, runtime.settings.cors_allowed_origins)
    if meta.tenant is None or meta.tenant.id != claims.tenant_id:
        raise TenantMismatch()
    identity: Identity = await request.app.state.sessions.identity(claims)
    meta.identity = identity
    if identity.impersonator is not None:
        said = identity.impersonator.name.encode("ascii", "replace")
        meta.out.append((b"x-impersonated-by", said))
    return identity


async def _of_key(request: Request, key: str) -> Identity:
    # Needs no check of the origin: a browser sends this header only when its page was given a key.
    meta = request.scope["meta"]
    found: Identity | None = await request.app.state.runtime.keys.identity(key)
    if found is None:
        raise ApiKeyInvalid()
    if meta.tenant is None or meta.tenant.id != found.tenant_id:
        raise TenantMismatch()
    meta.identity = found
    return found


def refuse_cross_site(meta: Any, allowed_origins: tuple[str, ...]) -> None:
    """Cookie sessions change things from their own site only (ASVS 3.5.1).

    Fetch metadata first, the Origin header for browsers without it. Raises CrossSiteRequest.
    """
    origin = (meta.header(b"origin") or "").lower()
    if origin and origin in allowed_origins:
        return
    site = meta.header(b"sec-fetch-site")
    if site is not None:
        if site in ("same-origin", "none"):
            return
        raise CrossSiteRequest()
    if origin and urlsplit(origin).netloc != (meta.header(b"host") or "").lower():
        raise CrossSiteRequest()


def set_session_cookie(response: Response, token: str, life_s: int) -> None:
    """Give a browser its access token, out of its scripts' reach."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=life_s,
        path="/",
        httponly=True,
        # Browsers treat localhost as secure, so development needs no exception.
        secure=True,
        samesite="lax",
    )
