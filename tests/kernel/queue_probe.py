"""Workers in this process and beside it, and what Postgres says of their jobs."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.kernel.audit.models import AuditEntry
from app.kernel.jobs.service import Handler, Worker
from app.kernel.work import Runtime
from tests.factories.tenants import World

ROOT = Path(__file__).parents[2]


Unique = Callable[[str], str]


@pytest.fixture
def unique() -> Unique:
    """Job names of this test alone: tests share a database, and workers take by name."""
    suffix = secrets.token_hex(4)
    return lambda name: f"{name}.{suffix}"


@asynccontextmanager
async def working(
    runtime: Runtime, handlers: dict[str, Handler], **options: Any
) -> AsyncIterator[Worker]:
    worker = Worker(runtime, handlers, **options)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def queue(world: World, name: str, payload: dict[str, Any], key: str | None = None) -> None:
    async with world.work() as work:
        work.enqueue(name, payload, dedupe_key=key)


async def system(runtime: Runtime, statement: str, *args: object) -> list[dict[str, Any]]:
    async with runtime.database.system_driver() as driver:
        return [dict(row) for row in await driver.fetch(statement, *args)]


async def statuses(runtime: Runtime, name: str) -> list[str]:
    rows = await system(
        runtime, "SELECT status::text FROM pgqueuer WHERE entrypoint = $1 ORDER BY id", name
    )
    return [row["status"] for row in rows]


async def effects(world: World, action: str = "tests.effect") -> list[dict[str, Any]]:
    async with world.work() as work:
        found = await work.session.scalars(
            select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)
        )
        return [entry.facts for entry in found]


class RolledBack(Exception):
    """Ends a Work without a commit."""


@contextmanager
def worker_process(environment: dict[str, str], *names: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of its own; killed at the end if it is still there."""
    process = subprocess.Popen(  # noqa: S603 - our own program, no shell
        [sys.executable, "-m", "tests.kernel.job_runner", *names],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


async def is_empty(runtime: Runtime, name: str) -> bool:
    return not await statuses(runtime, name)


async def is_held(runtime: Runtime, name: str) -> bool:
    return await statuses(runtime, name) == ["failed"]


async def has_rows(runtime: Runtime, statement: str) -> bool:
    return bool(await system(runtime, statement))
