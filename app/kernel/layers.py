"""The layers around FastAPI, one coroutine for all steps, and the shorter ways to hot answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.logging import ACCESS
from app.core.problems import Problem
from app.core.settings import Settings
from app.kernel.middleware import (
    Cors,
    RateLimit,
    RequestLog,
    SecurityHeaders,
    Tenancy,
    TrustedHost,
)
from app.kernel.request import Headers, Meta, answer
from app.kernel.tenancy import OF_NO_TENANT
from app.kernel.throttle import RATES
from app.kernel.work import Runtime

if TYPE_CHECKING:
    from app.core.tracing import Request

log = logging.getLogger(__name__)

Ready = Callable[[Scope, Meta, Runtime], tuple[int, Headers, bytes] | None]
"""Answers a hot public read from memory; None hands the request on to its FastAPI route.

It applies the same rule as its FastAPI twin's gate and hands on whatever it does not hold: a
shorter way to the same answer (DESIGN §4.6).
"""


Short = Callable[[Scope, Meta, Runtime, bytes], Awaitable[tuple[int, Headers, bytes] | None]]
"""Answers a hot POST by its body; None hands it on, body and all, to its FastAPI route.

The same bargain as with ``Ready``: the same gate, the same answer, and nothing done when it is
handed on. Half of what FastAPI costs an order is finding, solving and unwinding.
"""
_SHORT_BODY_BYTES = 64 * 1024


class Layers:
    """Runs the steps in order around ``app``; a crash becomes a problem with the request's id."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        ready: dict[str, Ready],
        short: dict[str, Short],
        runtime: Runtime,
    ) -> None:
        self._app, self._ready, self._short, self._runtime = app, ready, short, runtime
        self._requests, self._spans = runtime.vitals.requests, runtime.spans
        self._hosts, self._cors = TrustedHost(settings), Cors(settings)
        self._strict, self._log = SecurityHeaders(settings), RequestLog(settings)
        self._limits, self._tenancy = RateLimit(settings, runtime), Tenancy(settings, runtime)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if "meta" not in scope:  # else the server has asked already
            ready = self.answer_now(scope)
            if ready is not None:
                status, headers, body = ready
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": body})
                return
        meta: Meta = scope["meta"]
        try:
            await self._serve(scope, receive, self._with_headers(meta, send), meta.refused)
        finally:
            self._end(scope, meta)

    def answer_now(self, scope: Scope) -> tuple[int, Headers, bytes] | None:
        """The whole answer, when it is ready: nothing is awaited, so a server may ask for it
        before it makes a task (app/server.py).

        None: the request has entered, and waits in ``scope["meta"]`` for ``__call__``.
        """
        meta = Meta(scope)
        if self._spans is not None:
            meta.span = self._traced(scope, meta)
        meta.refused = self._enter(scope, meta)
        scope["meta"] = meta
        if meta.refused is None and self._tenancy.known(meta):
            ready = self._ready_answer(scope, meta)
            if ready is not None:
                meta.status, headers, body = ready
                self._end(scope, meta)
                return meta.status, [*headers, *self._strict.by_content["data"], *meta.out], body
        return None

    def _end(self, scope: Scope, meta: Meta) -> None:
        """Count the request and write its line."""
        seconds = time.perf_counter() - meta.start
        route = meta.route or getattr(scope.get("route"), "path", None) or "unmatched"
        self._requests.add(scope["method"], route, meta.status, seconds)
        if ACCESS.enabled:
            ACCESS.add(self._log.line(scope, meta, route, seconds))
        if meta.span is not None:
            tenant_id = meta.tenant.id if meta.tenant is not None else None
            meta.span.end(scope["method"], route, meta.status, tenant_id)

    def _traced(self, scope: Scope, meta: Meta) -> Request | None:
        if self._spans is None or scope["path"] in OF_NO_TENANT:
            return None  # probes come every few seconds and say nothing
        return self._spans.request(meta.header(b"traceparent"))

    def _enter(self, scope: Scope, meta: Meta) -> Problem | None:
        self._log.enter(scope, meta)
        if scope["path"] == "/docs":
            meta.content = "docs"
        refused = self._hosts.enter(meta)
        if refused is None and b"origin" in meta.headers:
            refused = self._cors.enter(scope, meta)
        return refused or self._limits.enter(scope, meta)

    def _ready_answer(self, scope: Scope, meta: Meta) -> tuple[int, Headers, bytes] | None:
        route = self._ready.get(scope["path"]) if scope["method"] == "GET" else None
        found = route(scope, meta, self._runtime) if route is not None else None
        if found is not None:
            meta.route = scope["path"]
        return found

    async def _turn_back(self, scope: Scope, send: Send, refused: Problem | None) -> None:
        """Refuse, or answer a browser that asks whether it may ask."""
        if refused is not None:
            await answer(refused, scope, send)
            return
        headers = [*self._cors.preflight(scope["meta"]), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _serve_short(self, short: Short, scope: Scope, receive: Receive, send: Send) -> None:
        receive, is_done = await self._answered_short(short, scope, receive, send)
        if not is_done:
            await self._app(scope, receive, send)

    async def _answered_short(
        self, short: Short, scope: Scope, receive: Receive, send: Send
    ) -> tuple[Receive, bool]:
        """Whether the short way answered; if not, a ``receive`` that has the body still."""
        meta: Meta = scope["meta"]
        declared = meta.headers.get(b"content-length", b"")
        if not declared.isdigit() or int(declared) > _SHORT_BODY_BYTES:
            return receive, False
        messages = [await receive()]
        while messages[-1].get("more_body", False):
            messages.append(await receive())
        if messages[-1]["type"] == "http.request":
            body = b"".join(message.get("body", b"") for message in messages)
            found = await short(scope, meta, self._runtime, body)
            if found is not None:
                meta.route, meta.content = scope["path"], "data"
                status, headers, content = found
                headers.append((b"content-length", str(len(content)).encode()))
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": content})
                return receive, True
        messages.reverse()

        async def again() -> Message:
            return messages.pop() if messages else await receive()

        return again, False

    def _with_headers(self, meta: Meta, send: Send) -> Send:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                meta.status = message["status"]
                strict = self._strict.by_content[meta.content]
                message["headers"] = [*message["headers"], *strict, *meta.out]
            await send(message)

        return with_headers

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, refused: Problem | None
    ) -> None:
        meta: Meta = scope["meta"]
        try:
            if refused is not None or meta.is_preflight:
                await self._turn_back(scope, send, refused)
                return
            if meta.tenant is None and scope["path"] not in OF_NO_TENANT:
                meta.tenant = await self._tenancy.resolve(meta)
            if meta.tenant is not None and not RATES.isdisjoint(meta.tenant.limits):
                await self._limits.of_plan(meta, meta.tenant)
            short = self._short.get(scope["path"]) if scope["method"] == "POST" else None
            if short is None:
                await self._app(scope, receive, send)
            else:
                await self._serve_short(short, scope, receive, send)
        except Problem as problem:
            await answer(problem, scope, send)
        except Exception:
            log.exception("request.crashed", extra={"request_id": meta.request_id})
            if meta.status:
                raise
            await answer(Problem(), scope, send)
