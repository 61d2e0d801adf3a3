"""The application: middleware, routers, problem handlers, lifespan; nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import asyncpg
from fastapi import FastAPI, Request, Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app import wiring
from app.core import logging as logs
from app.core import problems
from app.core.collector import out_of_sight
from app.core.database import verify_isolation
from app.core.routing import IndexedRouter
from app.core.settings import Settings, settings
from app.core.vitals import Vitals
from app.kernel import docs, openapi
from app.kernel.identity import Sessions
from app.kernel.jobs.service import Worker
from app.kernel.layers import Layers
from app.kernel.realtime.service import Streams
from app.kernel.work import Runtime
from app.worker import build_runtime, close_runtime

try:
    VERSION = version("largo")
except PackageNotFoundError:
    VERSION = "0.1.0"

_BUSY = {"55P03", "40P01", "40001"}
"""lock_not_available, deadlock_detected, serialization_failure: a loser is told to try again."""
_UNSTORABLE = {"22021", "22P05"}
"""Text that Postgres cannot hold, such as a NUL character."""


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    runtime: Runtime = app.state.runtime
    await verify_isolation(runtime.database)
    await runtime.bus.start()
    _drain_on_signal(app.state.streams)
    flusher = asyncio.create_task(_flush_access_log(runtime.vitals), name="access-log")
    worker = (
        Worker(runtime, wiring.JOBS, beats=wiring.BEATS)
        if runtime.settings.worker_in_process
        else None
    )
    if worker is not None and wiring.JOBS:
        await worker.start()
    try:
        with out_of_sight():
            yield
    finally:
        app.state.streams.draining.set()
        if worker is not None:
            await worker.stop()
        flusher.cancel()
        await close_runtime(runtime)


async def _flush_access_log(vitals: Vitals) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + logs.ACCESS.EVERY_S
        await asyncio.sleep(logs.ACCESS.EVERY_S)
        vitals.late(loop.time() - due)
        logs.ACCESS.flush()


def _drain_on_signal(streams: Streams) -> None:
    """End live streams at the first signal: the server waits for them before its shutdown."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        if not callable(before):
            continue

        def chained(sig: int, frame: Any, before: Any = before) -> None:
            loop.call_soon_threadsafe(streams.draining.set)
            before(sig, frame)

        with contextlib.suppress(ValueError):  # not the main thread: the host stops us itself
            signal.signal(number, chained)


class Largo(Layers):
    """The ASGI application: the layers around FastAPI, which stays reachable as ``api``."""

    def __init__(self, api: FastAPI, config: Settings, runtime: Runtime) -> None:
        super().__init__(api, config, wiring.READY, wiring.SHORT, runtime)
        self.api, self.runtime = api, runtime


def create_app(config: Settings | None = None) -> Largo:
    """Build the application; the database is first touched when the lifespan begins."""
    config = config or settings()
    logs.configure(config.log_level)
    api = FastAPI(
        title="Largo",
        version=VERSION,
        summary="One multi-tenant backend for a small business's whole day.",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        responses={422: problems.problems(problems.Invalid)[422]},
        # Traces are ours (core/tracing): the framework's own would tell exceptions' messages.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    api.router = IndexedRouter(
        routes=api.router.routes,
        dependency_overrides_provider=api,
        lifespan=_lifespan,
        responses=api.router.responses,
    )
    runtime = build_runtime(config)
    api.state.runtime = runtime
    api.state.sessions = Sessions(
        runtime.database, runtime.bus, config.admin_session_expire_minutes
    )
    api.state.streams = Streams(runtime.bus, api.state.sessions, runtime.tenants)
    problems.install(api)
    _install_database_handlers(api)
    docs.install(api)
    for router in wiring.ROUTERS:
        api.include_router(router)
    api.openapi = lambda: _openapi(api)  # type: ignore[method-assign]
    return Largo(api, config, runtime)


def _install_database_handlers(api: FastAPI) -> None:
    @api.exception_handler(DBAPIError)
    async def _database(request: Request, exc: DBAPIError) -> Response:
        if exc.connection_invalidated or _is_closed(exc.orig):
            return _retry_later(request)
        return _from_database(request, exc, getattr(exc.orig, "sqlstate", None))

    @api.exception_handler(asyncpg.PostgresError)
    async def _driver(request: Request, exc: asyncpg.PostgresError) -> Response:
        return _from_database(request, exc, exc.sqlstate)

    @api.exception_handler(asyncpg.InterfaceError)
    async def _interface(request: Request, exc: asyncpg.InterfaceError) -> Response:
        if not _is_closed(exc):
            raise exc
        return _retry_later(request)

    @api.exception_handler(PoolTimeout)
    async def _pool(request: Request, exc: PoolTimeout) -> Response:
        return _retry_later(request)


def _is_closed(error: BaseException | None) -> bool:
    """Whether the driver says that the server ended the connection between two statements.

    It has no class of its own for that, and no code: the words are all there is.
    """
    return error is not None and "connection is closed" in str(error)


def _from_database(request: Request, error: Exception, sqlstate: str | None) -> Response:
    if sqlstate in _UNSTORABLE:
        return problems.render(request, problems.Invalid("The text holds a NUL character."))
    if sqlstate in _BUSY:
        return problems.render(request, problems.Busy())
    if sqlstate is not None and sqlstate[:2] in ("08", "53", "57"):
        return _retry_later(request)
    raise error


def _retry_later(request: Request) -> Response:
    problem = problems.Unavailable()
    problem.headers = {"Retry-After": "2"}
    return problems.render(request, problem)


def _openapi(api: FastAPI) -> dict[str, Any]:
    if api.openapi_schema is None:
        api.openapi_schema = openapi.document(api)
    return api.openapi_schema


def __getattr__(name: str) -> Largo:
    # ``uvicorn app.main:app`` builds it; importing the module for its functions does not.
    if name == "app":
        app = globals()["app"] = create_app()
        return app
    raise AttributeError(name)
