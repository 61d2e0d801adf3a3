"""The six steps before every request, in order, run by one pure-ASGI layer.

TrustedHost > Cors > SecurityHeaders > RequestLog > RateLimit > Tenancy, then ready bytes, short
ways and FastAPI.

Six nested layers cost six coroutines and two wrappers around ``send`` for every request, most of
what a warm catalogue answer costs at all (spec/kernel-facts A.3 found the same: fuse). So each
step is a short class whose ``enter`` looks at the request, may leave response headers in
``meta.out``, and refuses by answering a Problem; ``layers.Layers`` runs them in order. Because the
request's id and the strict headers are there from the start, refusals carry them too.
"""

from __future__ import annotations

import logging
import re
import time
from random import getrandbits

import orjson
from starlette.types import Scope

from app.core import problems
from app.core.problems import Problem
from app.core.ratelimit import Limit, LocalLimiter
from app.core.settings import Settings
from app.core.tokens import TokenInvalid
from app.kernel.identity import claims_from, key_from
from app.kernel.request import Headers, Meta
from app.kernel.tenancy import TenantContext, TenantSuspended, UnknownTenant
from app.kernel.throttle import (
    API_RATE,
    KEY_RATE,
    limit_key,
    limit_tenant,
    policy_of,
    refusal,
)
from app.kernel.work import Runtime

log = logging.getLogger(__name__)

_SIGNED = ("/api/v1/webhooks/", "/api/v1/billing/webhook/")
"""Where providers deliver, thousands from one address: each verifies before it stores."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")


class UnknownHost(Problem):
    status = problems.MalformedRequest.status
    code = "unknown-host"
    title = "This host name is not served here: check the address."


class OriginNotAllowed(problems.Forbidden):
    code = "origin-not-allowed"
    title = "This origin may not call the API from a browser: list it in CORS_ALLOWED_ORIGINS."


class TrustedHost:
    """Refuses host names we do not serve: Host feeds links, cookies and tenant resolution."""

    def __init__(self, settings: Settings) -> None:
        self._any = not settings.trusted_hosts
        self._exact = {h for h in settings.trusted_hosts if not h.startswith("*.")}
        self._suffixes = tuple(h[1:] for h in settings.trusted_hosts if h.startswith("*."))

    def enter(self, meta: Meta) -> Problem | None:
        if self._any or self._known(meta.headers.get(b"host", b"")):
            return None
        log.warning("host.refused", extra={"host": meta.header(b"host")})
        return UnknownHost()

    def _known(self, host: bytes) -> bool:
        name = host.decode("latin-1").lower().partition(":")[0]
        return name in self._exact or name.endswith(self._suffixes or ("\0",))


class Cors:
    """Lets the listed browser origins call the API; silent for everybody else."""

    _METHODS = b"GET, POST, PUT, PATCH, DELETE, OPTIONS"
    _EXPOSED = (
        b"ETag, Idempotency-Replayed, RateLimit, Retry-After, X-Impersonated-By, X-Request-Id"
    )

    def __init__(self, settings: Settings) -> None:
        self._origins = {o.encode() for o in settings.cors_allowed_origins}
        self._any = b"*" in self._origins

    def enter(self, scope: Scope, meta: Meta) -> Problem | None:
        """Name the allowed origin; mark a preflight. Called when the request names an origin."""
        origin = meta.headers[b"origin"]
        wanted = meta.headers.get(b"access-control-request-method")
        preflight = scope["method"] == "OPTIONS" and wanted is not None
        if not (self._any or origin.lower() in self._origins):
            return OriginNotAllowed() if preflight else None
        meta.out += [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"false" if self._any else b"true"),
            (b"access-control-expose-headers", self._EXPOSED),
            (b"vary", b"Origin"),
        ]
        meta.is_preflight = preflight
        return None

    def preflight(self, meta: Meta) -> Headers:
        """What a preflight is told beside the origin."""
        return [
            (b"access-control-allow-methods", self._METHODS),
            (
                b"access-control-allow-headers",
                meta.headers.get(b"access-control-request-headers", b""),
            ),
            (b"access-control-max-age", b"600"),
        ]


class SecurityHeaders:
    """The headers that keep browsers strict, by what the answer holds."""

    _SHARED = (
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"permissions-policy", b"camera=(), microphone=(), geolocation=(self)"),
        (b"cross-origin-resource-policy", b"cross-origin"),
    )
    _CSP = b"default-src 'none'; frame-ancestors 'none'"
    _CSP_DOCS = (
        b"default-src 'self'; img-src 'self' data:; script-src 'self' 'unsafe-inline'; "
        b"style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
    )
    _HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")

    def __init__(self, settings: Settings) -> None:
        hsts = [self._HSTS] if settings.environment == "production" else []
        api, docs = ((b"content-security-policy", v) for v in (self._CSP, self._CSP_DOCS))
        self.by_content: dict[str, Headers] = {
            "": [*self._SHARED, *hsts, api],
            "docs": [*self._SHARED, *hsts, docs],
            # A file brings a policy of its own.
            "file": [*self._SHARED, *hsts],
            # Ready bytes are JSON for scripts: what steers documents would only cost them time.
            "data": [self._SHARED[0], *hsts],
        }


class RequestLog:
    """Gives the request its id and knows who asks; afterwards writes its line."""

    def __init__(self, settings: Settings) -> None:
        self._proxies = settings.trusted_proxy_count
        self._heads: dict[tuple[str, str, str | None, str], bytes] = {}

    def enter(self, scope: Scope, meta: Meta) -> None:
        given = meta.headers.get(b"x-request-id")
        if given is None or _REQUEST_ID.fullmatch(given) is None:
            given = b"%016x" % getrandbits(64)  # a name, not a secret
        meta.request_id_bytes = given
        meta.out.append((b"x-request-id", given))
        client = scope.get("client")
        meta.client_ip = client[0] if client else ""
        if self._proxies:
            meta.client_ip = self._before_proxies(meta)

    def _before_proxies(self, meta: Meta) -> str:
        """The address our own outermost proxy saw, else the peer (ASVS 4.1.3)."""
        hops = (meta.header(b"x-forwarded-for") or "").split(",")
        seen = hops[-self._proxies].strip() if len(hops) >= self._proxies else ""
        return seen or meta.client_ip

    def line(self, scope: Scope, meta: Meta, route: str, seconds: float) -> bytes:
        """The request as JSON; its route is the template: no ids, no tokens, few series."""
        key = (scope["method"], route, meta.tenant.slug if meta.tenant else None, meta.client_ip)
        head = self._heads.get(key)
        if head is None:
            names = ("method", "route", "tenant", "ip")
            head = orjson.dumps({"event": "request"} | dict(zip(names, key, strict=True)))[:-1]
            if len(self._heads) > 5000:
                self._heads.clear()
            self._heads[key] = head
        facts = (meta.status, seconds * 1000, meta.request_id_bytes, time.time())
        return head + b',"status":%d,"ms":%.2f,"request_id":"%b","at":%.3f}' % facts


class RateLimit:
    """General limits per address, decided in this process; strict shared ones sit on routes."""

    def __init__(self, settings: Settings, runtime: Runtime) -> None:
        self._runtime, self._tokens, self._keys = runtime, runtime.tokens, runtime.keys
        self._reads = self._told(Limit("reads", settings.rate_limit_reads_per_minute, 60))
        self._writes = self._told(Limit("anonymous", settings.rate_limit_anonymous, 15 * 60))
        self._off = settings.environment == "test"

    def enter(self, scope: Scope, meta: Meta) -> Problem | None:
        if self._off:
            return None
        reads = (
            scope["method"] in ("GET", "HEAD", "OPTIONS")
            or scope["path"].startswith(_SIGNED)
            or self._is_member(meta)
        )
        limiter, policy, left = self._reads if reads else self._writes
        # Told from half of the budget on: before that nobody needs to slow down.
        if limiter.has_plenty(meta.client_ip):
            return None
        decision = limiter.take(meta.client_ip)
        if not decision.allowed:
            meta.out += (policy, (b"ratelimit", left % (0, int(decision.retry_after_s) + 1)))
            return refusal(decision)
        if decision.remaining * 2 <= limiter.limit.burst:
            meta.out += (policy, (b"ratelimit", left % (decision.remaining, decision.reset_s)))
        return None

    async def of_plan(self, meta: Meta, tenant: TenantContext) -> None:
        """Count a member's or a key's request against the plan's rates. Raises TooMany.

        Only the tenant's own: else any stranger could use up a shop's budget.
        """
        key = key_from(meta)
        if key is not None:
            await self._of_key(meta, tenant, key)
            return
        try:
            claims = claims_from(self._runtime.tokens, meta)
        except TokenInvalid:
            return
        if claims is not None and claims.tenant_id == tenant.id:
            await self._of_tenant(meta, tenant)

    async def _of_key(self, meta: Meta, tenant: TenantContext, key: str) -> None:
        found = await self._keys.identity(key)  # kept for a second, and asked for again by the gate
        if found is None or found.key is None or found.tenant_id != tenant.id:
            return
        if KEY_RATE in tenant.limits:
            await limit_key(self._runtime, meta, found.key.id, tenant.limits[KEY_RATE])
        await self._of_tenant(meta, tenant)

    async def _of_tenant(self, meta: Meta, tenant: TenantContext) -> None:
        if API_RATE in tenant.limits:
            await limit_tenant(self._runtime, meta, tenant, tenant.limits[API_RATE])

    def _is_member(self, meta: Meta) -> bool:
        """Whether the request carries a token we signed or a key that was good a while ago."""
        key = key_from(meta)
        if key is not None:
            return self._keys.is_proven(key)
        try:
            return claims_from(self._tokens, meta) is not None
        except TokenInvalid:
            return False

    @staticmethod
    def _told(limit: Limit) -> tuple[LocalLimiter, tuple[bytes, bytes], bytes]:
        left = b'"%b";r=%%d;t=%%d' % limit.name.encode()
        return LocalLimiter(limit), policy_of(limit), left


class Tenancy:
    """Finds the tenant: X-Tenant-Id, X-Tenant, host, the session's, then the legacy one."""

    def __init__(self, settings: Settings, runtime: Runtime) -> None:
        self._directory, self._tokens = runtime.tenants, runtime.tokens
        self._keys = runtime.keys
        self._domain = f".{settings.base_domain}" if settings.base_domain else ""
        self._legacy = settings.legacy_tenant

    def known(self, meta: Meta) -> bool:
        """Set the tenant without a query, when it is named by header and cached as active."""
        name = meta.headers.get(b"x-tenant")
        if name is None or b"x-tenant-id" in meta.headers:
            return False
        context = self._directory.cached("slug", name.decode("latin-1"))
        if context is None or context.status == "suspended":
            return False
        meta.tenant = context
        return True

    async def resolve(self, meta: Meta) -> TenantContext | None:
        """The request's tenant; None when it names none. Raises UnknownTenant, TenantSuspended."""
        for kind, name in (("id", b"x-tenant-id"), ("slug", b"x-tenant")):
            if name in meta.headers:
                key = (meta.header(name) or "").strip().lower()
                context = self._directory.cached(kind, key) or await self._directory.find(kind, key)
                if context is None:
                    raise UnknownTenant()
                return self._served(context)
        context = await self._by_host(meta) or await self._by_session(meta)
        if context is None and self._legacy:
            context = await self._directory.find("slug", self._legacy)
        return self._served(context) if context is not None else None

    async def _by_host(self, meta: Meta) -> TenantContext | None:
        host = (meta.header(b"host") or "").lower().partition(":")[0]
        if self._domain and host.endswith(self._domain):
            return await self._directory.find("slug", host.removesuffix(self._domain))
        # Addresses and localhost are nobody's custom domain: no query for them.
        if "." not in host or host.replace(".", "").isdigit():
            return None
        return await self._directory.find("host", host)

    async def _by_session(self, meta: Meta) -> TenantContext | None:
        key = key_from(meta)
        if key is not None:
            who = await self._keys.identity(key)
            return await self._directory.by_id(who.tenant_id) if who else None
        try:
            claims = claims_from(self._tokens, meta)
        except TokenInvalid:
            return None
        return await self._directory.by_id(claims.tenant_id) if claims else None

    @staticmethod
    def _served(context: TenantContext) -> TenantContext:
        if context.status == "suspended":
            raise TenantSuspended()
        return context
