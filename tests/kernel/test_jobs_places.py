"""Places of a worker: a line that runs dry has those come that it had put off, and no others."""

from __future__ import annotations

import asyncio

import pytest
from pgqueuer.errors import RetryRequested

from app.kernel.jobs.places import BULK, Place, Places
from app.kernel.work import Runtime
from tests.factories.tenants import World
from tests.kernel.queue_probe import Unique, system, unique
from tests.sandbox.server import until

__all__ = ["unique"]
_DELAY = "UPDATE pgqueuer SET execute_after = now() + $2::text::interval WHERE id = $1"


async def test_a_line_that_runs_dry_recalls_whom_it_had_put_off(
    world: World, runtime: Runtime, unique: Unique
) -> None:
    name = unique("recall")
    async with world.work() as work:
        for n in range(4):
            work.enqueue(name, {"n": n}, priority=BULK)
    queued = (
        "SELECT id, execute_after <= now() AS due FROM pgqueuer WHERE entrypoint = $1 ORDER BY id"
    )
    ids = [row["id"] for row in await system(runtime, queued, name)]
    for job_id, wait in zip(ids, ("20 s", "20 s", "20 s", "1 hour"), strict=True):
        await system(runtime, _DELAY, job_id, wait)
    rung: list[str] = []

    async def execute(statement: str, *args: object) -> None:
        await system(runtime, statement, *args)

    places, end = Places(2, execute, rung.append), asyncio.Event()

    async def run(job_id: int) -> None:
        async with places.place(world.tenant.id, job_id, BULK):
            await end.wait()

    line = [asyncio.create_task(run(-n)) for n in range(1, 9)]  # a share of one, eight times
    await asyncio.sleep(0)
    # The second comes by itself later, and the last is put off by its own handler for an hour.
    for job_id in (ids[0], ids[2], ids[3]):
        with pytest.raises(RetryRequested):
            await run(job_id)
    assert rung == []
    end.set()
    await asyncio.gather(*line)
    await until(lambda: rung == [""])
    due = [row["due"] for row in await system(runtime, queued, name)]
    assert due == [True, False, True, False]


async def test_who_leaves_its_place_lets_another_in_and_comes_back_also_after_a_failure() -> None:
    gate = asyncio.Semaphore(1)
    first, second = Place(gate), Place(gate)
    await first.take()

    async def away() -> None:
        async with first.left():
            await asyncio.wait_for(second.take(), 1)
            second.leave()
            raise LookupError

    with pytest.raises(LookupError):
        await away()
    assert gate.locked(), "in again"
    second_takes = asyncio.create_task(second.take())
    await asyncio.sleep(0)
    second_takes.cancel()
    first.leave()
    assert not gate.locked(), "who gave up holds nothing"
