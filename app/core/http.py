"""One HTTP client for the process, and one honest reading of how a call to a vendor ended.

A call ends in one of four ways, and the difference decides whether repeating it is safe:
accepted, refused, to be tried later, or unknown (bytes may have left, no usable answer came).
No failure raised here carries the URL, headers or body: some vendors put the token in the path.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

from app.core.clock import now
from app.core.vitals import Vitals

if TYPE_CHECKING:
    from app.core.tracing import Spans

TIMEOUT = httpx.Timeout(connect=3, read=10, write=5, pool=1)
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=20)
# The whole call: a server that drips bytes never trips the read timeout, which is per read.
DEADLINE_S = 20.0
_LONGEST_WAIT_S = 7 * 24 * 3600.0


class CallNotSent(Exception):
    """No byte of the request left this process; repeating the call is safe."""


class CallUnanswered(Exception):
    """Bytes may have arrived and no usable answer came: the vendor may or may not have acted."""


class Verdict(StrEnum):
    """What an HTTP status says when the body does not say better."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    RETRY_LATER = "retry-later"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """A vendor's answer: ``body`` is None when it was not JSON."""

    status: int
    body: Any
    retry_after_s: float | None = None


@cache
def tls_context() -> ssl.SSLContext:
    """The process's TLS context: loading the certificate bundle costs 20 ms, once."""
    return httpx.create_ssl_context()


def user_agent() -> str:
    try:
        return f"largo/{version('largo')}"
    except PackageNotFoundError:  # running from a checkout that was not installed
        return "largo/dev"


def new_http_client(
    timeout: httpx.Timeout = TIMEOUT,
    *,
    backend: httpcore.AsyncNetworkBackend | None = None,
    connections: int = 1,
    vitals: Vitals | None = None,
    spans: Spans | None = None,
) -> httpx.AsyncClient:
    """Make the client that the whole process shares; the caller closes it.

    ``vitals`` is told how each call ends, ``spans`` makes each one part of a trace.

    Redirects are never followed and the environment's proxies and ``.netrc`` are not read:
    credentials go to the configured host and to nobody else. ``backend`` dials instead of the
    usual one, e.g. the guard's, at most ``connections`` at once; no cookie is kept.
    """
    logging.getLogger("httpx").addFilter(_without_request_lines)
    transport = httpx.AsyncHTTPTransport(verify=tls_context(), limits=LIMITS, trust_env=False)
    if backend is not None:
        # httpx has no parameter for it; its pool does (httpcore, "network backends").
        transport._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls_context(),
            max_connections=connections,
            keepalive_expiry=LIMITS.keepalive_expiry,
            network_backend=backend,
        )
    client = httpx.AsyncClient(
        transport=transport if vitals is None else WatchedTransport(transport, vitals, spans),
        timeout=timeout,
        headers={"user-agent": user_agent()},
        follow_redirects=False,
        trust_env=False,
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
    return client


def _without_request_lines(record: logging.LogRecord) -> bool:
    # httpx logs every URL at INFO, and Telegram's URL is the token.
    return record.levelno >= logging.WARNING


class WatchedTransport(httpx.AsyncBaseTransport):
    """Notes how every call ends: an answer below 500 says that the vendor is there."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport, vitals: Vitals, spans: Spans | None = None
    ) -> None:
        self._inner, self._vitals, self._spans = inner, vitals, spans

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._spans is None:
            return await self._watched(request)
        vendor = self._vitals.vendor_of(str(request.url))
        with self._spans.call(request.method, vendor or "other", request.url.host) as span:
            traceparent = self._spans.traceparent()
            # Only to vendors that the settings name: an address of a tenant's own learns nothing.
            if vendor is not None and traceparent is not None:
                request.headers["traceparent"] = traceparent
            response = await self._watched(request)
            span.set_attribute("http.response.status_code", response.status_code)
            return response

    async def _watched(self, request: httpx.Request) -> httpx.Response:
        try:
            response = await self._inner.handle_async_request(request)
        except httpx.PoolTimeout:
            raise  # our own queue, not the vendor
        except httpx.TransportError:
            self._vitals.called(str(request.url), False)
            raise
        self._vitals.called(str(request.url), response.status_code < 500)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


async def post_json(
    http: httpx.AsyncClient,
    url: str,
    *,
    payload: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
    deadline_s: float = DEADLINE_S,
) -> Answer:
    """POST ``payload`` as JSON and read the answer, whatever its status; raises as ``send``."""
    return await send(http, "POST", url, json=payload, headers=headers, deadline_s=deadline_s)


async def send(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    json: Mapping[str, Any] | None = None,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    deadline_s: float = DEADLINE_S,
) -> Answer:
    """Ask a vendor once and read the answer, whatever its status.

    Raises :class:`CallNotSent` or :class:`CallUnanswered`, never an httpx exception: those keep
    the request, and with it the credentials, for anybody who prints them.
    """
    failure: CallNotSent | CallUnanswered
    try:
        async with asyncio.timeout(deadline_s):
            return _read(await http.request(method, url, json=json, data=form, headers=headers))
    except TimeoutError:
        failure = CallUnanswered("deadline")
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        failure = classify_failure(error)
    # Raised out here so that the httpx exception is not even its context.
    raise failure


def classify_failure(error: Exception) -> CallNotSent | CallUnanswered:
    """Tell a call that never left from one whose fate is unknown.

    A failed write counts as unknown: part of the request, or all of it, may have arrived.
    """
    never_left = (
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
        httpx.ProxyError,
        httpx.UnsupportedProtocol,
        httpx.LocalProtocolError,
        httpx.InvalidURL,
        UnicodeError,
    )
    name = type(error).__name__
    return CallNotSent(name) if isinstance(error, never_left) else CallUnanswered(name)


def verdict_of(status: int) -> Verdict:
    """Read an HTTP status alone; a body with the vendor's own code is the better witness.

    5xx is unknown, not "try again": a gateway in between may fail after the vendor has acted.
    """
    if 200 <= status < 300:
        return Verdict.ACCEPTED
    if status in {425, 429}:
        return Verdict.RETRY_LATER
    if status == 408 or status >= 500:
        return Verdict.UNKNOWN
    return Verdict.REFUSED


def _read(response: httpx.Response) -> Answer:
    try:
        body = response.json()
    except ValueError:
        body = None
    return Answer(response.status_code, body, retry_after(response.headers.get("retry-after")))


def retry_after(value: str | None) -> float | None:
    """Seconds to wait from a ``Retry-After`` header (RFC 9110 10.2.3: seconds or a date)."""
    if not value:
        return None
    if value.strip().isdecimal():
        return min(float(value), _LONGEST_WAIT_S)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now()).total_seconds(), 0.0), _LONGEST_WAIT_S)
