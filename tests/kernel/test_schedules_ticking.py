"""Whoever ticks, however many there are and whenever they die: each tick becomes one run."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import ExitStack
from datetime import datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from app import wiring
from app.core.clock import now
from app.kernel.audit.models import AuditEntry
from app.kernel.schedules.models import ScheduleRun
from app.kernel.schedules.repository import tenants_due
from app.kernel.schedules.rules import SHORTEST_GAP, Overlap
from app.kernel.schedules.runs import FAILURES_TO_PAUSE
from app.kernel.schedules.ticking import PUT_OFF, tick_all
from app.kernel.work import Runtime, system_work
from tests.factories.commerce import make_shop
from tests.factories.tenants import World, make_world
from tests.kernel.queue_probe import system
from tests.kernel.schedule_probe import (
    REPORT,
    make,
    make_due,
    queued_runs,
    runs,
    schedule_of,
    states,
    ticker,
)
from tests.sandbox.server import until

TENANTS, SCHEDULES, KILLS = 4, 12, 4
# Half an hour from the last tick and from the next: were one to come during the test, which takes
# a minute on a busy machine, some schedules would run once more than the test waits for.
_MANY = """
WITH last AS (SELECT date_trunc('minute', now() - interval '30 minutes') AS tick)
INSERT INTO schedules (tenant_id, id, name, cron, timezone, entrypoint, misfire, max_catchup,
                       decided_until, next_at)
SELECT $1, gen_random_uuid(), 'n' || i,
       extract(minute FROM tick AT TIME ZONE 'UTC') || ' * * * *', 'UTC', $2, 'all', 3,
       tick - make_interval(hours => $4, mins => 1), now()
FROM last, generate_series(1, $3) AS i
"""


async def _make_many(world: World, number: int, missed: int) -> None:
    """Hourly schedules of which nobody has looked at the last ``missed`` + 1 ticks."""
    await system(world.runtime, _MANY, world.tenant.id, REPORT, number, missed)


async def test_three_processes_decide_a_thousand_schedules_once_each(
    environment: dict[str, str], world: World
) -> None:
    await _make_many(world, 1000, missed=0)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(ticker(environment))

        async def decided() -> bool:
            rows = await system(
                world.runtime,
                "SELECT count(*) AS n FROM schedules WHERE tenant_id = $1 AND next_at <= now()",
                world.tenant.id,
            )
            return bool(rows[0]["n"] == 0)

        await until(decided, 90)
    async with world.work() as work:
        found = (await work.session.scalars(select(ScheduleRun))).all()
    assert len({run.schedule_id for run in found}) == len(found) == 1000
    assert Counter(await queued_runs(world)) == Counter(str(run.id) for run in found)
    # Other tests' workers would have to run them all.
    await system(
        world.runtime,
        "DELETE FROM pgqueuer WHERE convert_from(payload, 'UTF8')::jsonb ->> 'tenant_id' = $1",
        str(world.tenant.id),
    )
    await system(world.runtime, "DELETE FROM schedules WHERE tenant_id = $1", world.tenant.id)


async def test_sigkill_of_who_ticks_and_runs_loses_no_tick_and_doubles_none(
    environment: dict[str, str], runtime: Runtime
) -> None:
    worlds = [await make_world(runtime) for _ in range(TENANTS)]
    for world in worlds:
        await (await make_shop(world)).product("Pizza calabresa", stock=0)
        await _make_many(world, SCHEDULES, missed=4)
    killed_at: list[int] = []

    async def ended() -> int:
        rows = await system(
            runtime,
            "SELECT count(*) AS n FROM schedule_runs WHERE state = 'succeeded' "
            "AND tenant_id = ANY($1::uuid[])",
            [world.tenant.id for world in worlds],
        )
        return int(rows[0]["n"])

    total = TENANTS * SCHEDULES * 3
    for number in range(KILLS):
        with ticker(environment, "jobs"):
            # At a moment while it is busy: after some more runs have ended, and not by the clock.
            goal = random.randint(
                total * number // (2 * KILLS) + 1, total * (number + 1) // (2 * KILLS)
            )

            async def reached(goal: int = goal) -> bool:
                return await ended() >= goal

            await until(reached, 60)
            await asyncio.sleep(random.uniform(0, 0.1))
        killed_at.append(await ended())
    with ticker(environment, "jobs"):

        async def all_ended() -> bool:
            return await ended() == total

        await until(all_ended, 90)
    print(f"\nSIGKILL after {killed_at} of {total} runs")
    assert killed_at[0] < killed_at[-1] < total
    for world in worlds:
        await _assert_whole(world)


async def _assert_whole(world: World) -> None:
    """Five ticks of each schedule: two too many to catch up, three run, each of which told."""
    by_schedule: dict[UUID, list[tuple[datetime, str]]] = {}
    async with world.work() as work:
        for run in await work.session.scalars(select(ScheduleRun).order_by(ScheduleRun.tick)):
            by_schedule.setdefault(run.schedule_id, []).append((run.tick, run.state))
        told = await work.session.scalars(
            select(AuditEntry.facts).where(AuditEntry.action == "commerce.stock_reported")
        )
        reports = Counter(facts["stock_report_id"] for facts in told)
    assert len(by_schedule) == SCHEDULES
    for decided in by_schedule.values():
        assert [state for _, state in decided] == ["skipped"] * 2 + ["succeeded"] * 3
        assert len({tick for tick, _ in decided}) == 5
    assert await _untold(world, reports) == []
    assert len(reports) == SCHEDULES * 3


async def _untold(world: World, reports: Counter[str]) -> list[dict[str, object]]:
    """Runs that ended well and told nothing: when, and what stock there is."""
    found = await system(
        world.runtime,
        "SELECT r.id::text AS run, r.moved_at, r.ended_at, "
        "(SELECT array_agg(l.on_hand) FROM stock_levels l WHERE l.tenant_id = r.tenant_id) "
        "AS stock FROM schedule_runs r WHERE r.tenant_id = $1 AND r.state = 'succeeded' "
        "ORDER BY r.ended_at",
        world.tenant.id,
    )
    return [run for run in found if run["run"] not in reports]


async def test_who_has_much_due_does_not_hold_up_the_others(
    world: World, stranger: World, runtime: Runtime
) -> None:
    for one in (world, stranger):
        await _make_many(one, 120, missed=0)
    async with system_work(runtime) as session:
        due = await tenants_due(session, 10_000, None)
    assert {world.tenant.id, stranger.tenant.id} <= set(due)
    for _ in due:
        await tick_all(runtime, most=1)
    decided = [len(await runs(one)) for one in (world, stranger)]
    assert decided == [50, 50], "a batch each, though the first had more"
    await system(
        runtime,
        "UPDATE schedules SET is_enabled = false WHERE tenant_id = ANY($1::uuid[])",
        [world.tenant.id, stranger.tenant.id],
    )


@pytest.mark.parametrize(
    "damage",
    ["timezone = 'Nowhere/Gone'", "cron = 'x'", "jitter_seconds = -1"],
)
async def test_a_schedule_that_cannot_be_decided_holds_up_nobody(
    world: World, stranger: World, runtime: Runtime, damage: str
) -> None:
    broken = await make(world, name="quebrado")
    await system(runtime, f"UPDATE schedules SET {damage} WHERE id = $1", broken)  # noqa: S608
    sound = [await make(world, name=f"bom{n}") for n in range(3)]
    await make(stranger)
    for one in (world, stranger):
        await make_due(one)
    before = (await schedule_of(world, broken)).decided_until
    await tick_all(runtime)
    assert await states(stranger) == ["queued"]
    assert await states(world) == ["queued"] * 3
    for schedule_id in sound:
        assert (await schedule_of(world, schedule_id)).last_outcome == "queued"
    found = await schedule_of(world, broken)
    assert (found.failures, found.last_outcome, found.decided_until) == (1, "failed", before)
    assert found.next_at is not None
    assert found.next_at > now() + PUT_OFF / 2, "it is not tried again every second"


async def test_a_schedule_that_never_can_be_decided_is_paused_and_one_mended_catches_up(
    world: World, runtime: Runtime
) -> None:
    schedule_id = await make(world)
    await system(runtime, "UPDATE schedules SET cron = 'x' WHERE id = $1", schedule_id)
    for _ in range(FAILURES_TO_PAUSE):
        assert (await schedule_of(world, schedule_id)).is_enabled
        await make_due(world)
        await tick_all(runtime)
    found = await schedule_of(world, schedule_id)
    assert (found.is_enabled, found.failures) == (False, FAILURES_TO_PAUSE)
    assert await states(world) == []
    await system(
        runtime,
        "UPDATE schedules SET cron = '*/5 * * * *', is_enabled = true, next_at = now() "
        "WHERE id = $1",
        schedule_id,
    )
    await tick_all(runtime)
    assert await states(world) == ["queued"]


async def test_a_job_that_nobody_knows_any_more_is_skipped_and_says_so(
    world: World, runtime: Runtime
) -> None:
    gone, known = await make(world, name="velho"), await make(world)
    await system(runtime, "UPDATE schedules SET entrypoint = 'gone.job' WHERE id = $1", gone)
    await make_due(world)
    await tick_all(runtime)
    assert (await schedule_of(world, gone)).last_outcome == "skipped"
    assert (await schedule_of(world, known)).last_outcome == "queued"
    assert sorted(await runs(world)) == [("queued", None), ("skipped", "module")]


async def test_a_start_under_newer_zone_rules_moves_the_next_tick(
    world: World, runtime: Runtime
) -> None:
    schedule_id, broken = await make(world), await make(world, name="quebrado")
    right = (await schedule_of(world, schedule_id)).next_at
    await system(
        runtime,
        "UPDATE schedules SET next_at = next_at + interval '1 hour' WHERE tenant_id = $1",
        world.tenant.id,
    )
    await system(runtime, "UPDATE schedules SET cron = 'x' WHERE id = $1", broken)
    runtime.caches.pop("schedules.are_anchored", None)
    await tick_all(runtime)
    assert (await schedule_of(world, schedule_id)).next_at == right


@pytest.mark.parametrize(
    ("misfire", "late", "expected"),
    [
        ("skip", 0, ["skipped", "skipped", "queued"]),
        ("skip", 4, ["skipped", "skipped", "skipped"]),
        ("latest", 4, ["skipped", "skipped", "queued"]),
        ("all", 4, ["queued", "queued", "queued"]),
    ],
)
async def test_missed_ticks_follow_the_misfire_policy_and_each_leaves_a_line(
    world: World, runtime: Runtime, misfire: str, late: int, expected: list[str]
) -> None:
    # One tick every six hours; the newest of three was due ``late`` minutes ago.
    due = now() - timedelta(minutes=late)
    cron = f"{due.minute} {','.join(str((due.hour + h) % 24) for h in (0, 6, 12, 18))} * * *"
    await make(world, Overlap.ALLOW, cron=cron, timezone="UTC", misfire=misfire)
    await make_due(world, minutes=13 * 60)
    await tick_all(runtime)
    assert await states(world) == expected
    assert {reason for state, reason in await runs(world) if state == "skipped"} <= {"missed"}


async def test_an_edit_counts_from_now_and_never_fires_a_tick_again(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    schedule_id = await make(world)
    await make_due(world)
    await tick_all(runtime)
    assert len(await runs(world)) == 1
    url = f"/api/v1/admin/schedules/{schedule_id}"
    await system(
        runtime,
        "UPDATE schedules SET decided_until = now() - interval '2 hours' WHERE id = $1",
        schedule_id,
    )
    for cron in ("*/10 * * * *", "*/5 * * * *"):
        assert (await owner.patch(url, json={"cron": cron})).status_code == 200
        await tick_all(runtime)
        assert len(await runs(world)) == 1, "nothing fires because of an edit"
    # Even a look that went back over a decided time finds it decided.
    await system(
        runtime,
        "UPDATE schedules SET decided_until = now() - $2::interval, next_at = now(), "
        "overlap = 'allow' WHERE id = $1",
        schedule_id,
        SHORTEST_GAP,
    )
    await tick_all(runtime)
    assert len(await queued_runs(world)) == len(await runs(world)) == 1


async def test_jitter_spreads_and_is_the_same_every_time(world: World, runtime: Runtime) -> None:
    for number in range(8):
        await make(world, Overlap.ALLOW, name=f"n{number}", jitter_seconds=900)
    seen: list[dict[str, int]] = []
    for _ in range(2):
        await make_due(world)
        await tick_all(runtime)
        rows = await system(
            runtime,
            "SELECT r.schedule_id::text AS id, extract(epoch FROM q.execute_after - q.created)::int"
            " AS wait FROM pgqueuer q JOIN schedule_runs r ON r.id::text = "
            "convert_from(q.payload, 'UTF8')::jsonb -> 'payload' ->> 'run_id' "
            "WHERE r.tenant_id = $1 ORDER BY q.id DESC LIMIT 8",
            world.tenant.id,
        )
        seen.append({row["id"]: row["wait"] for row in rows})
    assert seen[0] == seen[1]
    assert len(set(seen[0].values())) > 3
    assert all(0 <= wait <= 900 for wait in seen[0].values())


def test_every_job_that_may_be_scheduled_has_a_runner() -> None:
    assert set(wiring.SCHEDULABLE) <= set(wiring.JOBS)
