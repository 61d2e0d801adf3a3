"""The provider sandbox: one ASGI app that plays every vendor, for development and tests.

Run it with ``uvicorn scripts.sandbox.app:app``; open ``/`` to see what it received. Production
never imports it, and it imports nothing of the application: it is a witness of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TypeVar, cast

import httpx
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from scripts.sandbox.callbacks import Callbacks
from scripts.sandbox.knobs import Knobs
from scripts.sandbox.page import page
from scripts.sandbox.recorder import Recorder
from scripts.sandbox.settings import SandboxSettings
from scripts.sandbox.vendors import VENDORS
from scripts.sandbox.vendors.base import Played, parsed_body, shown_headers

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_MOST_LISTED = 500
Model = TypeVar("Model", bound=BaseModel)


class Sandbox:
    """The control plane: what was received, how each vendor behaves."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.settings = settings
        self.recorder = Recorder(settings.keep, settings.journal)
        self.callbacks = Callbacks(httpx.AsyncClient(timeout=10, trust_env=False))
        self.vendors: dict[str, Played] = {
            vendor.name: vendor(settings, self.recorder, self.callbacks) for vendor in VENDORS
        }

    def routes(self) -> list[Route]:
        control = [
            Route("/", self.page),
            Route("/favicon.ico", self.no_icon),
            Route("/_sandbox/health", self.health),
            Route("/_sandbox/requests", self.list_requests, methods=["GET"]),
            Route("/_sandbox/requests", self.clear_requests, methods=["DELETE"]),
            Route("/_sandbox/{vendor}", self.configuration, methods=["GET", "PUT"]),
            Route("/_sandbox/{vendor}/knobs", self.knobs, methods=["GET", "PUT"]),
        ]
        played = [route for vendor in self.vendors.values() for route in vendor.routes()]
        return [*control, *played, Route("/{path:path}", self.unknown, methods=_METHODS)]

    async def page(self, request: Request) -> Response:
        return page(request, list(self.vendors))

    async def no_icon(self, request: Request) -> Response:
        return Response(status_code=204)

    async def health(self, request: Request) -> Response:
        facts = {key: fact for v in self.vendors.values() for key, fact in v.facts().items()}
        return JSONResponse({"status": "ok", "vendors": list(self.vendors), **facts})

    async def list_requests(self, request: Request) -> Response:
        query = request.query_params
        limit = query.get("limit", "100")
        wanted = int(limit) if limit.isdecimal() else 100
        found = self.recorder.newest(
            query.get("vendor", ""), query.get("contains", ""), min(wanted, _MOST_LISTED)
        )
        return JSONResponse([asdict(entry) for entry in found])

    async def clear_requests(self, request: Request) -> Response:
        """Forget what was received, and the notices still on their way."""
        await self.callbacks.cancel()
        self.recorder.clear()
        return Response(status_code=204)

    async def configuration(self, request: Request) -> Response:
        vendor = self.vendors.get(request.path_params["vendor"])
        if vendor is None:
            return _no_such_vendor()
        if request.method == "PUT":
            changed = await _validated(request, type(vendor.config), vendor.config)
            if isinstance(changed, Response):
                return changed
            vendor.config = changed
        return JSONResponse(vendor.config.model_dump())

    async def knobs(self, request: Request) -> Response:
        vendor = self.vendors.get(request.path_params["vendor"])
        if vendor is None:
            return _no_such_vendor()
        if request.method == "PUT":
            changed = await _validated(request, Knobs, None)
            if isinstance(changed, Response):
                return changed
            vendor.knobs = changed
        return JSONResponse(vendor.knobs.model_dump())

    async def unknown(self, request: Request) -> Response:
        """Record a call that no vendor answers: a wrong base URL shows up in the list."""
        body = await parsed_body(request)
        headers = shown_headers(request)
        entry = self.recorder.open("unknown", request.method, request.url.path, headers, body)
        entry.status, entry.verdict = 404, "no such vendor or path"
        return JSONResponse({"error": entry.verdict}, 404)


async def _validated(
    request: Request, model: type[Model], current: BaseModel | None
) -> Model | Response:
    """The body as ``model``, laid over ``current`` when given; a 422 that says what is wrong."""
    body = await parsed_body(request)
    known = current.model_dump() if current else {}
    try:
        return model.model_validate(known | body if isinstance(body, dict) else body)
    except ValidationError as error:
        return JSONResponse({"errors": error.errors(include_url=False, include_context=False)}, 422)


def _no_such_vendor() -> Response:
    return JSONResponse({"error": "no such vendor"}, 404)


class Cuttable:
    """Outermost: hands each request a way to abort its connection, as a network failure does.

    The server's own ``send`` is the only road to the socket, and every inner layer wraps it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["sandbox.abort"] = _abort(send)
        await self.app(scope, receive, send)


def _abort(send: Send) -> Callable[[], Awaitable[None]]:
    async def abort() -> None:
        cycle = getattr(send, "__self__", None)
        transport = cast("asyncio.Transport", cycle.transport)  # type: ignore[union-attr]
        transport.abort()
        await asyncio.sleep(0.01)

    return abort


def create_app(settings: SandboxSettings | None = None) -> ASGIApp:
    """Make a sandbox with its own memory."""
    sandbox = Sandbox(settings or SandboxSettings())

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        for vendor in sandbox.vendors.values():
            await vendor.start(sandbox.settings)
        yield
        for vendor in sandbox.vendors.values():
            await vendor.stop()
        await sandbox.callbacks.close()

    return Cuttable(Starlette(routes=sandbox.routes(), lifespan=lifespan))


app = create_app()
