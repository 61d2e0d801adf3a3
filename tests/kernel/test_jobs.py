"""The eight rules of jobs, on real Postgres, with real workers that are really killed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from app import wiring
from app.contracts.commerce import OrderPlaced
from app.core.ids import new_id
from app.kernel.connections.schemas import ConnectionPut
from app.kernel.connections.service import ConnectionService
from app.kernel.contacts.models import Contact
from app.kernel.jobs.service import JobContext
from app.kernel.telling import NOTICE_FAN_OUT
from app.kernel.work import Runtime
from tests.factories.tenants import World
from tests.kernel.job_runner import MAX_DELIVERIES
from tests.kernel.queue_probe import (
    RolledBack,
    Unique,
    effects,
    has_rows,
    is_empty,
    is_held,
    queue,
    statuses,
    system,
    unique,
    worker_process,
    working,
)
from tests.sandbox.server import until

__all__ = ["unique"]


async def test_rule_1_a_job_enqueued_as_the_first_statement_goes_with_the_rollback(
    world: World, runtime: Runtime, unique: Unique
) -> None:
    name = unique("first")

    async def fail() -> None:
        async with world.work() as work:
            work.enqueue(name, {"n": 1})
            await work.finish()  # the INSERT is the first statement of the transaction
            seen = await (await work.raw()).fetchval(
                "SELECT count(*) FROM pgqueuer WHERE entrypoint = $1", name
            )
            assert seen == 1
            raise RolledBack

    with pytest.raises(RolledBack):
        await fail()
    assert await statuses(runtime, name) == []
    await queue(world, name, {"n": 2})
    assert await statuses(runtime, name) == ["queued"]


async def test_rule_2_a_duplicate_is_skipped_and_the_rest_of_the_work_commits(
    world: World, runtime: Runtime, unique: Unique
) -> None:
    name = unique("twice")
    await queue(world, name, {"n": 1}, key="same")
    async with world.work() as work:
        work.enqueue(name, {"n": 2}, dedupe_key="same")
        work.enqueue(name, {"n": 3}, dedupe_key="other")
        work.record("tests.after_skip", "job", None)  # written after the jobs, before the commit
    rows = await system(runtime, "SELECT payload FROM pgqueuer WHERE entrypoint = $1", name)
    assert sorted(b'"n":1' in row["payload"] for row in rows) == [False, True]
    assert len(await effects(world, "tests.after_skip")) == 1, "the transaction lived on"


async def test_rule_3_a_dedupe_key_also_covers_the_job_being_run(
    world: World, stranger: World, runtime: Runtime, unique: Unique
) -> None:
    """So a signal that must not be missed carries its own id in the key."""
    name = unique("signal")
    seen: list[int] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handler(job: JobContext) -> None:
        seen.append(job.payload["n"])
        begun.set()
        await go_on.wait()

    async with working(runtime, {name: handler}):
        await queue(world, name, {"n": 1}, key="run")
        await asyncio.wait_for(begun.wait(), 5)
        await queue(world, name, {"n": 2}, key="run")  # lost: the first one is being run
        await queue(world, name, {"n": 3}, key="run:signal-3")
        await queue(stranger, name, {"n": 4}, key="run")  # another tenant's key is another key
        go_on.set()
        await until(lambda: len(seen) == 3)
        await until(lambda: is_empty(runtime, name))
        await queue(world, name, {"n": 5}, key="run")
        await until(lambda: len(seen) == 4)
    assert sorted(seen) == [1, 3, 4, 5]


async def test_rule_4_a_job_that_kills_its_worker_is_held_and_the_next_one_runs(
    world: World, runtime: Runtime, environment: dict[str, str], unique: Unique
) -> None:
    name, other = unique("die"), unique("note")
    await queue(world, name, {})
    for delivery in range(1, MAX_DELIVERIES + 1):
        with worker_process(environment, name) as process:
            await until(lambda p=process: p.poll() is not None, 15)  # type: ignore[misc]
            assert process.returncode == -9, "killed by its own job"
        assert await statuses(runtime, name) == ["picked"]
        [row] = await system(
            runtime, "SELECT deliveries FROM job_deliveries WHERE entrypoint = $1", name
        )
        assert row["deliveries"] == delivery
    await queue(world, other, {})
    with worker_process(environment, name, other) as process:
        await until(lambda: is_held(runtime, name), 15)
        await until(lambda: is_empty(runtime, other), 15)
        assert process.poll() is None, "the worker survived"
    assert len(await effects(world)) == 1


async def test_rule_5_the_worker_outlives_its_listen_connection(
    world: World, runtime: Runtime, unique: Unique
) -> None:
    name = unique("listen")
    done: list[int] = []

    async def handler(job: JobContext) -> None:
        done.append(job.payload["n"])

    listeners = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'largo-worker' AND query ILIKE 'listen%'"
    )
    async with working(runtime, {name: handler}):
        await until(lambda: has_rows(runtime, listeners))
        [before] = await system(runtime, listeners)
        await system(runtime, "SELECT pg_terminate_backend($1)", before["pid"])
        began = time.monotonic()
        await queue(world, name, {"n": 1})
        await until(lambda: done == [1], 8)
        assert time.monotonic() - began < 5

        async def listens_again() -> bool:
            now = await system(runtime, listeners)
            return len(now) == 1 and now[0]["pid"] != before["pid"]

        await until(listens_again, 8)
        await queue(world, name, {"n": 2})
        await until(lambda: done == [1, 2])


def _burn(seconds: float) -> None:
    until_then = time.monotonic() + seconds
    while time.monotonic() < until_then:
        sum(range(1000))


async def test_rule_6_cpu_work_in_a_thread_keeps_the_heartbeat(
    world: World, runtime: Runtime, unique: Unique
) -> None:
    """Two workers compete; the job runs far longer than the heartbeat allows."""
    name = unique("burn")
    deliveries: list[int] = []
    oldest = 0.0

    async def handler(job: JobContext) -> None:
        deliveries.append(job.delivery)
        await asyncio.to_thread(_burn, 4)

    await queue(world, name, {})
    async with (
        working(runtime, {name: handler}, heartbeat_timeout_s=1.5),
        working(runtime, {name: handler}, heartbeat_timeout_s=1.5),
    ):
        await until(lambda: bool(deliveries))
        while rows := await system(
            runtime,
            "SELECT extract(epoch FROM now() - heartbeat)::float AS age FROM pgqueuer "
            "WHERE entrypoint = $1",
            name,
        ):
            oldest = max(oldest, rows[0]["age"])
            await asyncio.sleep(0.05)
    assert deliveries == [1]
    assert 0.1 < oldest < 1.5


async def test_rule_7_a_flood_of_one_tenant_does_not_delay_the_other(
    world: World, stranger: World, runtime: Runtime, unique: Unique
) -> None:
    name = unique("fair")
    order: list[UUID] = []
    busy = peak = 0

    async def handler(job: JobContext) -> None:
        nonlocal busy, peak
        if job.tenant_id == world.tenant.id:
            busy += 1
            peak = max(peak, busy)
        await asyncio.sleep(0.05)
        if job.tenant_id == world.tenant.id:
            busy -= 1
        order.append(job.tenant_id)

    async with world.work() as work:
        for n in range(200):
            work.enqueue(name, {"n": n})
    await queue(stranger, name, {"n": 200})
    async with working(runtime, {name: handler}):
        await until(lambda: len(order) == 201, 20)
        await until(lambda: is_empty(runtime, name))
    handed_back = await system(
        runtime,
        "SELECT FROM pgqueuer_log WHERE entrypoint = $1 AND status = 'queued' "
        "AND traceback IS NOT NULL",
        name,
    )
    assert order.index(stranger.tenant.id) < 100, "served while half of the flood still waits"
    assert peak == runtime.settings.worker_concurrency // 2
    assert len(handed_back) < 3 * 200, "a backlog waits without being picked over and over"


async def test_rule_8_a_handler_gets_ids_and_works_of_the_jobs_own_tenant(
    world: World, stranger: World, runtime: Runtime, unique: Unique
) -> None:
    name = unique("own")
    names: dict[UUID, list[str]] = {}
    payloads: dict[UUID, dict[str, Any]] = {}

    async def handler(job: JobContext) -> None:
        payloads[job.tenant_id] = job.payload
        async with job.works() as work:
            assert work.tenant.id == job.tenant_id
            names[job.tenant_id] = list(await work.session.scalars(select(Contact.name)))
            work.record("tests.effect", "job", None, tenant=work.tenant.slug)

    for owner, person in ((world, "Ana"), (stranger, "Bruno")):
        async with owner.work() as work:
            contact = Contact(name=person, phone="+5511987654321")
            work.session.add(contact)
            await work.session.flush()
            work.enqueue(name, {"contact_id": contact.id})
    async with working(runtime, {name: handler}):
        await until(lambda: len(names) == 2)
        await until(lambda: is_empty(runtime, name))
    assert names == {world.tenant.id: ["Ana"], stranger.tenant.id: ["Bruno"]}
    assert {frozenset(p) for p in payloads.values()} == {frozenset({"contact_id"})}
    assert await effects(world) == [{"tenant": world.tenant.slug}]
    assert await effects(stranger) == [{"tenant": stranger.tenant.slug}]


def test_rule_8_no_subscribed_event_carries_personal_data() -> None:
    personal = ("phone", "email", "address", "customer", "document", "card")
    fields = {f for event in wiring.SUBSCRIBERS for f in event.model_fields}
    assert "order_id" in fields
    ours = {"phone_number_id"}  # the vendor's name of the shop's own number
    assert not [f for f in fields - ours if any(word in f for word in personal)]


async def test_a_published_event_starts_its_jobs_with_the_commit_or_never(
    world: World, runtime: Runtime
) -> None:
    def event() -> OrderPlaced:
        return OrderPlaced(
            order_id=new_id(), number=1, store_id=new_id(), fulfilment="pickup", total_cents=100
        )

    async def fail(lost: OrderPlaced) -> None:
        async with world.work() as work:
            work.publish(lost)
            await work.finish()
            raise RolledBack

    async def jobs_of(told: OrderPlaced) -> list[str]:
        rows = await system(
            runtime,
            "SELECT entrypoint FROM pgqueuer "
            "WHERE convert_from(payload, 'UTF8') LIKE '%' || $1 || '%'",
            str(told.order_id),
        )
        return sorted(row["entrypoint"] for row in rows)

    async with world.work() as work:  # the job is queued; it would find nobody
        telegram = ConnectionPut(
            config={"chat_id": "-1001"}, secret={"bot_token": "7001:AAH"}, is_enabled=False
        )
        await ConnectionService(work).put("telegram", telegram)
    lost, told = event(), event()
    with pytest.raises(RolledBack):
        await fail(lost)
    async with world.work() as work:
        work.publish(told)
    assert await jobs_of(lost) == []
    assert await jobs_of(told) == sorted([*wiring.SUBSCRIBERS[OrderPlaced], NOTICE_FAN_OUT])


async def test_kill_9_in_the_middle_of_a_job_delivers_it_again_with_one_effect(
    world: World,
    runtime: Runtime,
    environment: dict[str, str],
    unique: Unique,
    tmp_path: Path,
) -> None:
    name, marker = unique("hang_once"), tmp_path / "inside"
    await queue(world, name, {"marker": str(marker)})
    with worker_process(environment, name) as process:
        await until(marker.exists, 15)
        process.kill()
        process.wait(10)
    assert await statuses(runtime, name) == ["picked"]
    assert await effects(world) == []
    with worker_process(environment, name):
        await until(lambda: is_empty(runtime, name), 15)
    assert await effects(world) == [{"delivery": 2}]
