"""The six layers around every request, pure ASGI, in order; the innermost serves ready bytes.

TrustedHost > CORS > SecurityHeaders > RequestLog > RateLimit > Tenancy (> ReadyBytes > FastAPI)

Each costs microseconds: headers are read once into ``scope['meta']``, inner layers leave
response headers in ``meta.out`` for SecurityHeaders to add, and only two layers wrap ``send``.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Awaitable, Callable

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import problems
from app.core.logging import ACCESS
from app.core.problems import Problem, TooMany
from app.core.ratelimit import Limit, LocalLimiter
from app.core.settings import Settings
from app.core.tokens import TokenInvalid
from app.kernel.identity import Identity, claims_from
from app.kernel.tenancy import TenantContext, TenantSuspended, UnknownTenant
from app.kernel.work import Runtime

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
Headers = list[tuple[bytes, bytes]]


class UnknownHost(Problem):
    status = problems.MalformedRequest.status
    code = "unknown-host"
    title = "This host name is not served here: check the address."


class OriginNotAllowed(problems.Forbidden):
    code = "origin-not-allowed"
    title = "This origin may not call the API from a browser: list it in CORS_ALLOWED_ORIGINS."


class Meta:
    """What the layers know of one request."""

    # fmt: off
    __slots__ = (
        "client_ip", "headers", "identity", "out", "request_id", "route", "status", "tenant",
    )
    # fmt: on

    def __init__(self, scope: Scope) -> None:
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.out: Headers = []
        self.request_id = ""
        self.client_ip = ""
        self.status = 0
        self.tenant: TenantContext | None = None
        self.identity: Identity | None = None
        self.route: str | None = None

    def header(self, name: bytes) -> str | None:
        """A request header by its lower-case name."""
        value = self.headers.get(name)
        return value.decode("latin-1") if value is not None else None


async def answer(problem: Problem, scope: Scope, send: Send) -> None:
    """Send a problem from a layer, with the headers the layers have gathered."""
    meta: Meta = scope["meta"]
    body = problems.encode(problem, scope["path"], meta.request_id or None)
    headers: Headers = [
        (b"content-type", problems.MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        *((k.lower().encode(), v.encode()) for k, v in problem.headers.items()),
    ]
    status = problem.status.value
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class TrustedHost:
    """Refuses host names we do not serve: Host feeds links, cookies and tenant resolution."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._any = not settings.trusted_hosts
        self._exact = {h for h in settings.trusted_hosts if not h.startswith("*.")}
        self._suffixes = tuple(h[1:] for h in settings.trusted_hosts if h.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        meta = scope["meta"] = Meta(scope)
        if not self._any and not self._known(meta.headers.get(b"host", b"")):
            log.warning("host.refused", extra={"host": meta.header(b"host")})
            await answer(UnknownHost(), scope, send)
            return
        await self.app(scope, receive, send)

    def _known(self, host: bytes) -> bool:
        name = host.decode("latin-1").lower().partition(":")[0]
        return name in self._exact or name.endswith(self._suffixes or ("\0",))


class Cors:
    """Lets the listed browser origins call the API; silent for everybody else."""

    _METHODS = b"GET, POST, PUT, PATCH, DELETE, OPTIONS"
    _EXPOSED = b"ETag, Idempotency-Replayed, RateLimit, Retry-After, X-Request-Id"

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._origins = {o.encode() for o in settings.cors_allowed_origins}
        self._any = b"*" in self._origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or b"origin" not in scope["meta"].headers:
            await self.app(scope, receive, send)
            return
        meta: Meta = scope["meta"]
        origin = meta.headers[b"origin"]
        allowed = self._any or origin.lower() in self._origins
        if allowed:
            meta.out += [
                (b"access-control-allow-origin", origin),
                (b"access-control-allow-credentials", b"false" if self._any else b"true"),
                (b"access-control-expose-headers", self._EXPOSED),
                (b"vary", b"Origin"),
            ]
        preflight = b"access-control-request-method" in meta.headers
        if scope["method"] != "OPTIONS" or not preflight:
            await self.app(scope, receive, send)
        elif allowed:
            await self._preflight(meta, send)
        else:
            await answer(OriginNotAllowed(), scope, send)

    async def _preflight(self, meta: Meta, send: Send) -> None:
        wanted = meta.headers.get(b"access-control-request-headers", b"")
        headers = [
            *meta.out,
            (b"access-control-allow-methods", self._METHODS),
            (b"access-control-allow-headers", wanted),
            (b"access-control-max-age", b"600"),
            (b"content-length", b"0"),
        ]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


class SecurityHeaders:
    """Adds the headers that keep browsers strict, and those that inner layers left."""

    _API = (
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
        (b"permissions-policy", b"camera=(), microphone=(), geolocation=(self)"),
        (b"cross-origin-resource-policy", b"cross-origin"),
    )
    _CSP = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
    _CSP_DOCS = (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data: https://fastapi.tiangolo.com; "
        b"script-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net; "
        b"style-src 'self' 'unsafe-inline' https://cdn.jsdelivr.net; frame-ancestors 'none'",
    )
    _HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._always: Headers = list(self._API)
        if settings.environment == "production":
            self._always.append(self._HSTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        meta: Meta = scope["meta"]
        csp = self._CSP_DOCS if scope["path"] == "/docs" else self._CSP

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = [*message["headers"], *self._always, *meta.out]
                if not any(name == b"content-security-policy" for name, _ in headers):
                    headers.append(csp)
            await send(message)

        await self.app(scope, receive, with_headers)


class RequestLog:
    """Gives the request its id, writes its line, and turns a crash into a problem with that id."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._proxies = settings.trusted_proxy_count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        meta: Meta = scope["meta"]
        given = meta.headers.get(b"x-request-id")
        known = given is not None and _REQUEST_ID.fullmatch(given) is not None
        request_id = given if known and given is not None else os.urandom(8).hex().encode()
        meta.request_id = request_id.decode()
        meta.out.append((b"x-request-id", request_id))
        meta.client_ip = self._client_ip(scope, meta)
        start = time.perf_counter()

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                meta.status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            log.exception("request.crashed", extra={"request_id": meta.request_id})
            if meta.status:
                raise
            await answer(Problem(), scope, watched)
        finally:
            if ACCESS.enabled:
                ACCESS.add(self._line(scope, meta, start))

    def _client_ip(self, scope: Scope, meta: Meta) -> str:
        """The peer, or the address our own outermost proxy saw (ASVS 4.1.3)."""
        if self._proxies:
            hops = (meta.header(b"x-forwarded-for") or "").split(",")
            if len(hops) >= self._proxies and hops[-self._proxies].strip():
                return hops[-self._proxies].strip()
        client = scope.get("client")
        return client[0] if client else ""

    @staticmethod
    def _line(scope: Scope, meta: Meta, start: float) -> bytes:
        # The template, not the path: ids and tokens stay out of the logs, series stay few.
        route = scope.get("route")
        template = meta.route or getattr(route, "path", None) or "unmatched"
        return orjson.dumps(
            {
                "at": time.time(),
                "event": "request",
                "method": scope["method"],
                "route": template,
                "status": meta.status,
                "ms": round((time.perf_counter() - start) * 1000, 2),
                "tenant": meta.tenant.slug if meta.tenant else None,
                "ip": meta.client_ip,
                "request_id": meta.request_id,
            }
        )


class RateLimit:
    """General limits per address, decided in this process; strict shared ones sit on routes."""

    def __init__(self, app: ASGIApp, settings: Settings, runtime: Callable[[], Runtime]) -> None:
        self.app, self._runtime = app, runtime
        self._limiter = LocalLimiter()
        self._reads = Limit("reads", settings.rate_limit_reads_per_minute, 60)
        self._writes = Limit("anonymous", settings.rate_limit_anonymous, 15 * 60)
        self._off = settings.environment == "test"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._off:
            await self.app(scope, receive, send)
            return
        meta: Meta = scope["meta"]
        reads = scope["method"] in ("GET", "HEAD", "OPTIONS") or self._is_member(meta)
        limit = self._reads if reads else self._writes
        decision = self._limiter.take(limit, meta.client_ip)
        policy = f'"{limit.name}";q={limit.burst};w={int(limit.period_s)}'
        if decision.allowed:
            meta.out.append((b"ratelimit-policy", policy.encode()))
            meta.out.append((b"ratelimit", f'"{limit.name}";r={decision.remaining}'.encode()))
            await self.app(scope, receive, send)
            return
        problem = TooMany()
        problem.headers = {"Retry-After": str(int(decision.retry_after_s) + 1)}
        await answer(problem, scope, send)

    def _is_member(self, meta: Meta) -> bool:
        # Signed by us, not merely sent: any header would else lift the limit of strangers.
        try:
            return claims_from(self._runtime().tokens, meta) is not None
        except TokenInvalid:
            return False


class Tenancy:
    """Finds the tenant: X-Tenant-Id, X-Tenant, host, the session's, then the legacy one."""

    def __init__(self, app: ASGIApp, settings: Settings, runtime: Callable[[], Runtime]) -> None:
        self.app, self._runtime = app, runtime
        self._domain = f".{settings.base_domain}" if settings.base_domain else ""
        self._legacy = settings.legacy_tenant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            meta: Meta = scope["meta"]
            try:
                meta.tenant = await self._resolve(meta)
            except Problem as problem:
                await answer(problem, scope, send)
                return
        await self.app(scope, receive, send)

    async def _resolve(self, meta: Meta) -> TenantContext | None:
        directory = self._runtime().tenants
        for kind, name in (("id", b"x-tenant-id"), ("slug", b"x-tenant")):
            if name in meta.headers:
                key = (meta.header(name) or "").strip().lower()
                context = directory.cached(kind, key) or await directory.find(kind, key)
                if context is None:
                    raise UnknownTenant()
                return self._served(context)
        context = await self._by_host(meta) or await self._by_session(meta)
        if context is None and self._legacy:
            context = await directory.find("slug", self._legacy)
        return self._served(context) if context is not None else None

    async def _by_host(self, meta: Meta) -> TenantContext | None:
        host = (meta.header(b"host") or "").lower().partition(":")[0]
        directory = self._runtime().tenants
        if self._domain and host.endswith(self._domain):
            return await directory.find("slug", host.removesuffix(self._domain))
        # Addresses and localhost are nobody's custom domain: no query for them.
        if "." not in host or host.replace(".", "").isdigit():
            return None
        return await directory.find("host", host)

    async def _by_session(self, meta: Meta) -> TenantContext | None:
        try:
            claims = claims_from(self._runtime().tokens, meta)
        except TokenInvalid:
            return None
        return await self._runtime().tenants.by_id(claims.tenant_id) if claims else None

    @staticmethod
    def _served(context: TenantContext) -> TenantContext:
        if context.status == "suspended":
            raise TenantSuspended()
        return context


Ready = Callable[[Scope, Meta, Runtime], Awaitable[tuple[int, Headers, bytes] | None]]
"""Answers a hot public read from memory; None hands the request on to its FastAPI route."""


class ReadyBytes:
    """Serves what a slice keeps ready in memory before FastAPI is asked (DESIGN §4.6).

    A ready route applies the same rule as its FastAPI twin's gate and hands on whatever it does
    not hold: this is a shorter way to the same answer, measured at 4 times the requests.
    """

    def __init__(
        self, app: ASGIApp, routes: dict[str, Ready], runtime: Callable[[], Runtime]
    ) -> None:
        self.app, self._routes, self._runtime = app, routes, runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET":
            ready = self._routes.get(scope["path"])
            if ready is not None:
                meta: Meta = scope["meta"]
                found = await ready(scope, meta, self._runtime())
                if found is not None:
                    meta.route = scope["path"]
                    status, headers, body = found
                    await send(
                        {"type": "http.response.start", "status": status, "headers": headers}
                    )
                    await send({"type": "http.response.body", "body": body})
                    return
        await self.app(scope, receive, send)


def wrap(
    app: ASGIApp, settings: Settings, routes: dict[str, Ready], runtime: Callable[[], Runtime]
) -> ASGIApp:
    """``app`` inside all layers; the order is the specification's (platform §3)."""
    stack: ASGIApp = ReadyBytes(app, routes, runtime)
    stack = RateLimit(Tenancy(stack, settings, runtime), settings, runtime)
    stack = SecurityHeaders(RequestLog(stack, settings), settings)
    return TrustedHost(Cors(stack, settings), settings)
