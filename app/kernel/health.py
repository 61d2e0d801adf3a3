"""Is it alive, is it ready, and what does each problem code mean."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from redis.exceptions import RedisError

from app.core.problems import CATALOGUE, NotFound, Unavailable, problems
from app.core.schema import Output
from app.kernel.access import public
from app.kernel.work import runtime_of

router = APIRouter(tags=["health"])
State = Literal["ok", "degraded", "down"]


class HealthRead(Output):
    status: State
    checks: dict[str, State]


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


@router.get("/health/ready", dependencies=[public()], responses=problems(Unavailable))
async def readiness(request: Request, response: Response) -> HealthRead:
    """May it take traffic: 503 without the database, degraded without Redis."""
    checks = dict(
        zip(
            ("database", "redis"),
            await asyncio.gather(_database(request), _redis(request)),
            strict=True,
        )
    )
    if checks["database"] == "down":
        raise Unavailable(checks=checks)
    degraded = checks["redis"] != "ok"
    return HealthRead(status="degraded" if degraded else "ok", checks=checks)


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
