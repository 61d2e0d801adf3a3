"""What becomes of jobs that were cut, that fail, or that a lost connection held."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time

import pytest

from app.core.ids import new_id
from app.kernel.jobs.service import JobContext, RetryLater, Worker
from app.kernel.work import Runtime
from tests.factories.tenants import World
from tests.kernel.queue_probe import (
    Unique,
    is_empty,
    is_held,
    queue,
    statuses,
    system,
    unique,
    working,
)
from tests.sandbox.server import until

__all__ = ["unique"]


async def test_a_job_cut_by_a_stop_is_delivered_again(
    world: World, runtime: Runtime, unique: Unique
) -> None:
    name = unique("cut")
    deliveries: list[int] = []

    async def handler(job: JobContext) -> None:
        deliveries.append(job.delivery)
        if job.delivery == 1:
            await asyncio.sleep(60)

    await queue(world, name, {})
    first = Worker(runtime, {name: handler})
    await first.start()
    await until(lambda: deliveries == [1])
    await first.stop(patience_s=0.2)
    assert await statuses(runtime, name) == ["queued"]
    async with working(runtime, {name: handler}):
        await until(lambda: is_empty(runtime, name))
    assert deliveries == [1, 2]


async def test_failures_back_off_and_are_held_at_the_limit_but_retry_later_is_no_failure(
    world: World,
    runtime: Runtime,
    unique: Unique,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fails, waits = unique("fails"), unique("waits")
    times: list[float] = []
    asked: list[int] = []

    async def failing(job: JobContext) -> None:
        times.append(time.monotonic())
        raise ValueError("broken")

    async def waiting(job: JobContext) -> None:
        asked.append(job.delivery)
        if len(asked) < 4:
            raise RetryLater(0.1)

    await queue(world, fails, {})
    await queue(world, waits, {})
    with caplog.at_level(logging.CRITICAL):
        async with working(runtime, {fails: failing, waits: waiting}, max_deliveries=2) as worker:
            await until(lambda: is_held(runtime, fails), 10)
            await until(lambda: is_empty(runtime, waits), 10)
            await worker.sweep()
    assert len(times) == 2
    assert times[1] - times[0] >= 1
    assert asked == [1, 1, 1, 1]
    [row] = await system(
        runtime, "SELECT deliveries, last_error FROM job_deliveries WHERE entrypoint = $1", fails
    )
    assert row == {"deliveries": 2, "last_error": "ValueError: broken"}
    assert await statuses(runtime, fails) == ["failed"], "the sweep leaves it to a person"


async def test_the_sweep_puts_back_what_a_lost_connection_held_and_deletes_what_is_old(
    world: World, runtime: Runtime, unique: Unique
) -> None:
    name, gone = unique("swept"), unique("gone")
    await queue(world, name, {}, key="k")
    await system(runtime, "UPDATE pgqueuer SET status = 'failed' WHERE entrypoint = $1", name)
    await queue(world, name, {}, key="k")  # its twin, queued meanwhile
    await system(
        runtime,
        "INSERT INTO job_deliveries (id, job_id, entrypoint) VALUES ($1, -$2::bigint, $3)",
        new_id(),
        secrets.randbelow(2**40),
        gone,
    )
    await system(
        runtime,
        "INSERT INTO pgqueuer_log (created, job_id, status, priority, entrypoint, aggregated) "
        "SELECT now() - make_interval(days => d), 1, 'successful', 0, $1, a "
        "FROM (VALUES (8, true), (6, true), (8, false)) AS v(d, a)",
        name,
    )
    await Worker(runtime, {}).sweep()
    assert await statuses(runtime, name) == ["queued", "queued"]
    left = await system(
        runtime,
        "SELECT extract(day FROM now() - created)::int AS days, aggregated FROM pgqueuer_log "
        "WHERE entrypoint = $1 AND status = 'successful' ORDER BY id",
        name,
    )
    assert [tuple(row.values()) for row in left] == [(6, True), (8, False)]
    assert not await system(runtime, "SELECT FROM job_deliveries WHERE entrypoint = $1", gone)
