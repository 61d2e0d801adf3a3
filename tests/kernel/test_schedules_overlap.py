"""What becomes of a tick while an earlier run is not done: skipped, waiting, beside, instead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from app.kernel.jobs.service import MAX_DELIVERIES, Handler, JobContext, RetryLater
from app.kernel.schedules.jobs import RunCancelled, checkpoint, due_at, scheduled
from app.kernel.schedules.rules import Overlap
from app.kernel.schedules.ticking import tick_all
from app.kernel.work import Runtime
from tests.factories.tenants import World
from tests.kernel.queue_probe import effects, system, working
from tests.kernel.schedule_probe import (
    REPORT,
    make,
    make_due,
    queued_runs,
    runs,
    schedule_of,
    states,
)
from tests.sandbox.server import until


class Slow:
    """A job of one tenant that goes on step by step, each a Work of its own, until let go."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.may_end = asyncio.Event()
        self.began = 0
        self.steps = 0
        self.cancelled = 0

    async def __call__(self, job: JobContext) -> None:
        if job.tenant_id != self.world.tenant.id:
            return
        self.began += 1
        try:
            while not self.may_end.is_set():
                async with job.works() as work:
                    work.record("tests.step", "job", None)
                self.steps += 1
                await asyncio.sleep(0.02)
        except RunCancelled:
            self.cancelled += 1
            raise

    @property
    def handlers(self) -> dict[str, Handler]:
        return {REPORT: scheduled(self)}


def _are(world: World, *expected: str) -> Callable[[], Awaitable[bool]]:
    async def met() -> bool:
        return await states(world) == list(expected)

    return met


async def _next(world: World) -> None:
    await make_due(world)
    await tick_all(world.runtime)


async def test_allow_runs_beside_what_runs(world: World, runtime: Runtime) -> None:
    await make(world, Overlap.ALLOW)
    slow = Slow(world)
    async with working(runtime, slow.handlers):
        await _next(world)
        await _next(world)
        await until(lambda: slow.began == 2)
        slow.may_end.set()
        await until(_are(world, "succeeded", "succeeded"))


async def test_queue_one_keeps_one_tick_for_the_end_of_the_run(
    world: World, runtime: Runtime
) -> None:
    await make(world, Overlap.QUEUE_ONE)
    slow = Slow(world)
    async with working(runtime, slow.handlers):
        await _next(world)
        await until(lambda: slow.began == 1)
        await _next(world)
        await _next(world)
        await _next(world)
        assert await states(world) == ["running", "waiting", "skipped", "skipped"]
        assert len(await queued_runs(world)) == 1, "what waits has no job yet"
        await asyncio.sleep(0.2)
        assert slow.began == 1
        slow.may_end.set()
        await until(_are(world, "succeeded", "succeeded", "skipped", "skipped"))
    assert slow.began == 2


async def test_what_waits_is_skipped_when_the_schedule_was_paused_meanwhile(
    world: World, runtime: Runtime
) -> None:
    await make(world, Overlap.QUEUE_ONE)
    slow = Slow(world)
    async with working(runtime, slow.handlers):
        await _next(world)
        await until(lambda: slow.began == 1)
        await _next(world)
        await system(
            runtime, "UPDATE schedules SET is_enabled = false WHERE tenant_id = $1", world.tenant.id
        )
        slow.may_end.set()
        await until(_are(world, "succeeded", "skipped"))
    assert await runs(world) == [("succeeded", None), ("skipped", "paused")]
    assert slow.began == 1


async def test_cancel_previous_ends_the_running_one_at_its_next_step(
    world: World, runtime: Runtime
) -> None:
    await make(world, Overlap.CANCEL_PREVIOUS)
    slow = Slow(world)
    async with working(runtime, slow.handlers):
        await _next(world)
        await until(lambda: slow.steps >= 2)
        await _next(world)
        await until(_are(world, "cancelled", "running"))
        assert (slow.began, slow.cancelled) == (2, 1), "one after the other, never both"
        slow.may_end.set()
        await until(_are(world, "cancelled", "succeeded"))
    assert await runs(world) == [("cancelled", "overlap"), ("succeeded", None)]
    assert len(await effects(world, "tests.step")) == slow.steps, "no step began after it"


async def test_cancel_previous_drops_what_has_not_begun(world: World, runtime: Runtime) -> None:
    schedule_id = await make(world, Overlap.CANCEL_PREVIOUS)
    for _ in range(3):
        await _next(world)
    assert await states(world) == ["cancelled", "cancelled", "queued"]
    slow = Slow(world)
    slow.may_end.set()
    async with working(runtime, slow.handlers):
        await until(_are(world, "cancelled", "cancelled", "succeeded"))

        async def is_idle() -> bool:
            return not await queued_runs(world)

        await until(is_idle)
    assert slow.began == 1
    assert (await schedule_of(world, schedule_id)).failures == 0, "to be cancelled is no failure"


@pytest.mark.parametrize("error", [RetryLater(60), ValueError("portal is away")])
async def test_a_run_between_two_tries_gives_way_at_once(
    world: World, runtime: Runtime, error: Exception
) -> None:
    await make(world, Overlap.CANCEL_PREVIOUS)
    began: list[str] = []

    async def fails_first(job: JobContext) -> None:
        if job.tenant_id == world.tenant.id:
            began.append(job.payload["run_id"])
            if len(began) == 1:
                raise error

    async with working(runtime, {REPORT: scheduled(fails_first)}):
        await _next(world)
        await until(lambda: len(began) == 1)
        await until(_are(world, "queued"))
        await _next(world)
        await until(_are(world, "cancelled", "succeeded"))
    assert len(set(began)) == 2


async def test_a_failure_while_being_cancelled_is_not_tried_again(
    world: World, runtime: Runtime
) -> None:
    await make(world, Overlap.CANCEL_PREVIOUS)
    may_fail = asyncio.Event()
    began: list[int] = []

    async def fails(job: JobContext) -> None:
        if job.tenant_id == world.tenant.id:
            began.append(job.delivery)
            if len(began) == 1:
                await may_fail.wait()
                raise ValueError("too late")

    async with working(runtime, {REPORT: scheduled(fails)}):
        await _next(world)
        await until(lambda: len(began) == 1)
        await _next(world)
        assert await states(world) == ["cancelling", "waiting"]
        may_fail.set()
        await until(_are(world, "cancelled", "succeeded"))
    assert began == [1, 1]


async def test_a_handler_without_steps_ends_at_its_checkpoint(
    world: World, runtime: Runtime
) -> None:
    await make(world, Overlap.CANCEL_PREVIOUS)
    rounds: list[str] = []

    async def computes(job: JobContext) -> None:
        if job.tenant_id == world.tenant.id:
            while len(set(rounds)) < 2:
                rounds.append(job.payload["run_id"])
                await asyncio.sleep(0.02)
                await checkpoint(job)

    async with working(runtime, {REPORT: scheduled(computes)}):
        await _next(world)
        await until(lambda: len(rounds) >= 2)
        await _next(world)
        await until(_are(world, "cancelled", "succeeded"))


async def test_a_cancelled_run_whose_worker_died_ends_when_it_is_delivered_again(
    world: World, runtime: Runtime
) -> None:
    await make(world, Overlap.CANCEL_PREVIOUS)
    await _next(world)
    await system(
        runtime, "UPDATE schedule_runs SET state = 'running' WHERE tenant_id = $1", world.tenant.id
    )
    await _next(world)
    assert await states(world) == ["cancelling", "waiting"]
    slow = Slow(world)
    slow.may_end.set()
    async with working(runtime, slow.handlers):
        await until(_are(world, "cancelled", "succeeded"))
    assert slow.began == 1


async def test_missed_ticks_are_caught_up_one_after_the_other_the_oldest_first(
    world: World, runtime: Runtime
) -> None:
    await make(world, misfire="all", max_catchup=3)
    await make_due(world, minutes=25)
    await tick_all(runtime)
    assert await states(world) == ["skipped", "skipped", "queued", "waiting", "waiting"]
    at_once: list[int] = []
    order: list[datetime] = []
    inside = 0

    async def counts(job: JobContext) -> None:
        nonlocal inside
        if job.tenant_id == world.tenant.id:
            inside += 1
            at_once.append(inside)
            order.append(due_at(job))
            await asyncio.sleep(0.05)
            inside -= 1

    async with working(runtime, {REPORT: scheduled(counts)}):
        await until(_are(world, "skipped", "skipped", "succeeded", "succeeded", "succeeded"))
    assert at_once == [1, 1, 1]
    assert order == sorted(order)


async def test_a_run_that_is_silent_for_a_day_is_lost_and_what_waited_goes_on(
    world: World, runtime: Runtime
) -> None:
    await make(world, Overlap.QUEUE_ONE)
    await _next(world)
    await _next(world)
    assert await states(world) == ["queued", "waiting"]
    await system(
        runtime,
        "UPDATE schedule_runs SET moved_at = now() - interval '25 hours' WHERE tenant_id = $1",
        world.tenant.id,
    )
    await _next(world)
    assert await states(world) == ["lost", "queued", "waiting"]


async def test_a_run_knows_the_month_it_is_about_however_late_it_comes(
    world: World, runtime: Runtime
) -> None:
    payload = {
        "run_id": "0",
        "scheduled_for": "2026-12-01T02:30:00+00:00",
        "timezone": "America/Sao_Paulo",
    }
    job = JobContext(runtime, world.work, world.tenant.id, payload, MAX_DELIVERIES)
    assert due_at(job) == datetime(2026, 11, 30, 23, 30, tzinfo=ZoneInfo("America/Sao_Paulo"))
    assert due_at(job).month == 11
