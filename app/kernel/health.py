"""Is it alive, is it ready, and what does each problem code mean."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import Field
from redis.exceptions import RedisError

from app.core.problems import CATALOGUE, NotFound, Unavailable, problems
from app.core.schema import Output
from app.core.vitals import State
from app.kernel.access import public
from app.kernel.work import Runtime, runtime_of

router = APIRouter(tags=["health"])
BEAT_KEY = "largo:worker:beat"
"""Set in Redis by whoever beats, for web processes that run no worker of their own."""
BEAT_LATE_S = 15.0
_BEAT_TOLD_S = 5.0


class ProviderHealth(Output):
    state: State
    """Of the last real calls of this process; nobody is asked for the sake of this answer."""
    ok_at: datetime | None
    failed_at: datetime | None


class HealthRead(Output):
    status: State
    checks: dict[str, State]
    providers: dict[str, ProviderHealth] = Field(default_factory=dict)
    """Vendors that this process has called since it started."""


class ProblemKindRead(Output):
    code: str
    status: int
    title: str


@router.get("/health", dependencies=[public()])
async def liveness() -> HealthRead:
    """The process answers; nothing else is asked."""
    return HealthRead(status="ok", checks={"process": "ok"})


async def _database(request: Request) -> State:
    try:
        async with asyncio.timeout(2), runtime_of(request).database.system_driver() as driver:
            await driver.fetchval("SELECT 1")
    except (OSError, TimeoutError, Exception):  # a health check reports, whatever broke
        return "down"
    return "ok"


async def _redis(request: Request) -> State:
    try:
        async with asyncio.timeout(2):
            await runtime_of(request).bus.redis.ping()
    except (RedisError, OSError, TimeoutError):
        return "down"
    return "ok"


async def beat(runtime: Runtime) -> None:
    """For the worker's beat: note it here, and every few seconds in Redis for other processes."""
    vitals = runtime.vitals
    vitals.beat()
    at = time.monotonic()
    if at >= runtime.caches.get("health.tell_beat", 0.0):
        runtime.caches["health.tell_beat"] = at + _BEAT_TOLD_S
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            await runtime.bus.redis.set(BEAT_KEY, b"1", px=int(BEAT_LATE_S * 1000))


async def _worker(request: Request) -> State:
    """Down when no worker has beaten for a while; degraded when that cannot be known."""
    runtime = runtime_of(request)
    ago = runtime.vitals.beaten_s_ago()
    if ago is not None:
        return "ok" if ago < BEAT_LATE_S else "down"
    try:
        async with asyncio.timeout(2):
            return "ok" if await runtime.bus.redis.exists(BEAT_KEY) else "down"
    except (RedisError, OSError, TimeoutError):
        return "degraded"


def _providers(request: Request) -> dict[str, ProviderHealth]:
    return {
        name: ProviderHealth(state=vendor.state, ok_at=vendor.ok_at, failed_at=vendor.failed_at)
        for name, vendor in sorted(runtime_of(request).vitals.vendors.items())
    }


@router.get("/health/ready", dependencies=[public()], responses=problems(Unavailable))
async def readiness(request: Request, response: Response) -> HealthRead:
    """May it take traffic: 503 without the database; without Redis, a worker or a vendor it
    serves on, degraded.
    """
    names = ("database", "redis", "worker")
    states = await asyncio.gather(_database(request), _redis(request), _worker(request))
    checks = dict(zip(names, states, strict=True))
    providers = _providers(request)
    if checks["database"] == "down":
        raise Unavailable(checks=checks)
    seen = [*checks.values(), *(p.state for p in providers.values())]
    fine = all(state == "ok" for state in seen)
    return HealthRead(status="ok" if fine else "degraded", checks=checks, providers=providers)


@router.get("/api/v1/health", dependencies=[public()], responses=problems(Unavailable))
async def health(request: Request, response: Response) -> HealthRead:
    """The same as readiness, under the API's prefix."""
    return await readiness(request, response)


@router.get("/problems", dependencies=[public()], tags=["problems"])
async def list_problem_kinds() -> list[ProblemKindRead]:
    """Every failure the API can answer, by its stable code."""
    return [_kind(code, kind) for code, kind in sorted(CATALOGUE.items())]


@router.get(
    "/problems/{code}", dependencies=[public()], tags=["problems"], responses=problems(NotFound)
)
async def explain_problem_kind(code: str) -> ProblemKindRead:
    """One failure; the `type` of a problem points here."""
    if code not in CATALOGUE:
        raise NotFound()
    return _kind(code, CATALOGUE[code])


def _kind(code: str, kind: Any) -> ProblemKindRead:
    return ProblemKindRead(code=code, status=kind.status.value, title=kind.title)
