"""Schedules over HTTP and on real Postgres: a tick is decided once, whoever dies."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from app import wiring
from app.kernel.audit.models import AuditEntry
from app.kernel.jobs.service import JobContext
from app.kernel.schedules.jobs import scheduled
from app.kernel.schedules.models import Schedule, ScheduleRun
from app.kernel.schedules.ticking import tick, tick_all
from app.kernel.work import Runtime
from tests.factories.commerce import make_shop
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf
from tests.kernel.queue_probe import RolledBack, system, working
from tests.sandbox.server import until

URL = "/api/v1/admin/schedules"
REPORT = "commerce.inventory.low_stock_report"


def _key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(16)}


async def _make(owner: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    sent = {"name": "Estoque", "cron": "0 7 * * *", "entrypoint": REPORT} | body
    answer = await owner.post(URL, json=sent, headers=_key())
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _late(world: World, hours: int) -> None:
    """As if nobody had ticked for this long."""
    await system(
        world.runtime,
        "UPDATE schedules SET decided_until = now() - make_interval(hours => $2), "
        "next_at = now() - interval '1 minute' WHERE tenant_id = $1",
        world.tenant.id,
        hours,
    )


async def _runs(world: World) -> list[tuple[str, str | None]]:
    async with world.work() as work:
        rows = await work.session.execute(
            select(ScheduleRun.state, ScheduleRun.reason).order_by(ScheduleRun.tick)
        )
        return [(state, reason) for state, reason in rows]


async def _queued(world: World) -> int:
    rows = await system(
        world.runtime,
        "SELECT count(*) AS n FROM pgqueuer WHERE entrypoint = $1 "
        "AND convert_from(payload, 'UTF8')::jsonb ->> 'tenant_id' = $2",
        REPORT,
        str(world.tenant.id),
    )
    return int(rows[0]["n"])


async def _schedules(world: World) -> int:
    async with world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(Schedule)) or 0


async def test_create_read_change_pause_delete(owner: httpx.AsyncClient, world: World) -> None:
    made = await _make(owner)
    url = f"{URL}/{made['id']}"
    assert made["timezone"] == "America/Sao_Paulo"
    assert made["next_at"] is not None
    assert (await owner.get(url)).json() == made
    assert [s["id"] for s in (await owner.get(URL)).json()["items"]] == [made["id"]]
    changed = (await owner.patch(url, json={"cron": "0  8 * * *", "misfire": "all"})).json()
    assert (changed["cron"], changed["misfire"]) == ("0 8 * * *", "all")
    assert changed["next_at"] != made["next_at"]
    paused = await owner.post(f"{url}/pause", headers=_key())
    assert paused.json()["is_enabled"] is False
    await _late(world, 72)
    assert await tick_all(world.runtime) == 0
    resumed = (await owner.post(f"{url}/resume", headers=_key())).json()
    assert (resumed["is_enabled"], resumed["next_at"]) == (True, changed["next_at"])
    assert await _runs(world) == []
    assert (await owner.delete(url)).status_code == 204
    assert (await owner.get(url)).json()["code"] == "schedule-not-found"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cron", "* * * * *"),
        ("cron", "0 0 30 2 *"),
        ("timezone", "Brasil/Leste"),
        ("entrypoint", "conversations.notifications.order_telegram"),
        ("jitter_seconds", 901),
    ],
)
async def test_what_cannot_be_is_pointed_at(
    owner: httpx.AsyncClient, world: World, field: str, value: object
) -> None:
    body = {"name": "Estoque", "cron": "0 7 * * *", "entrypoint": REPORT} | {field: value}
    answer = await owner.post(URL, json=body, headers=_key())
    assert answer.status_code == 422
    assert [e["pointer"] for e in answer.json()["errors"]] == [f"/body/{field}"]
    assert await _schedules(world) == 0


async def test_name_taken(owner: httpx.AsyncClient, world: World) -> None:
    await _make(owner)
    body = {"name": "Estoque", "cron": "0 7 * * *", "entrypoint": REPORT}
    answer = await owner.post(URL, json=body, headers=_key())
    assert (answer.status_code, answer.json()["code"]) == (409, "schedule-name-taken")
    assert await _schedules(world) == 1


async def test_preview(owner: httpx.AsyncClient) -> None:
    asked: dict[str, str | int] = {"cron": "30 6 * * 1-6", "timezone": "America/Manaus", "count": 3}
    found = (await owner.get(f"{URL}/preview", params=asked)).json()["ticks"]
    assert len(found) == 3
    assert all(t["local"].endswith("T06:30:00-04:00") for t in found)
    wrongs: list[dict[str, str | int]] = [{"cron": "0 0 31 2 *"}, {"timezone": "Nowhere/Now"}]
    for wrong in wrongs:
        answer = await owner.get(f"{URL}/preview", params=asked | wrong)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == f"/query/{next(iter(wrong))}"


async def test_strangers_and_members_without_the_grant(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    url = f"{URL}/{(await _make(owner))['id']}"
    agent = await client_of(world, await world.member("agent"))
    for client, status in ((outsider, 404), (agent, 403)):
        answers = [
            await client.get(url),
            await client.get(f"{url}/runs"),
            await client.patch(url, json={"name": "Outro"}),
            await client.post(f"{url}/pause", headers=_key()),
            await client.post(f"{url}/resume", headers=_key()),
            await client.post(f"{url}/runs", headers=_key()),
            await client.delete(url),
        ]
        assert {a.status_code for a in answers} == {status}
    assert (await owner.get(url)).json()["name"] == "Estoque"
    assert await _runs(world) == []


async def test_many_who_tick_decide_each_tick_once(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    for number in range(10):
        await _make(
            owner,
            name=f"n{number}",
            cron="0 * * * *",
            misfire="all",
            max_catchup=3,
            overlap="allow",
        )
    await _late(world, 5)
    await asyncio.gather(*(tick_all(runtime) for _ in range(4)))
    found = await _runs(world)
    assert found.count(("queued", None)) == 30
    assert found.count(("skipped", "missed")) == len(found) - 30 == 20
    assert await _queued(world) == 30
    await tick_all(runtime)
    assert len(await _runs(world)) == 50


async def test_a_tick_that_is_cut_before_its_commit_is_decided_by_the_next(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    await _make(owner, cron="0 * * * *")
    await _late(world, 2)

    async def cut() -> None:
        async with world.work() as work:
            assert await tick(work) == 1
            await work.finish()
            raise RolledBack

    with pytest.raises(RolledBack):
        await cut()
    assert (await _runs(world), await _queued(world)) == ([], 0)
    await tick_all(runtime)
    assert await _runs(world) == [("skipped", "missed"), ("queued", None)]
    assert await _queued(world) == 1


async def test_a_tick_while_a_run_goes_on_is_skipped_and_says_so(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    made = await _make(owner, cron="*/5 * * * *", misfire="latest")
    ran = await owner.post(f"{URL}/{made['id']}/runs", headers=_key())
    assert (ran.status_code, ran.json()["trigger"]) == (201, "manual")
    assert (await owner.get(f"{URL}/{made['id']}")).json()["next_at"] == made["next_at"]
    await system(
        runtime,
        "UPDATE schedules SET decided_until = now() - interval '5 minutes', next_at = now() "
        "WHERE tenant_id = $1",
        world.tenant.id,
    )
    await tick_all(runtime)
    found = (await owner.get(f"{URL}/{made['id']}/runs")).json()["items"]
    skipped = [r for r in found if r["state"] == "skipped"]
    assert [(r["reason"], r["blocked_by"]) for r in skipped] == [("overlap", ran.json()["id"])]
    assert await _queued(world) == 1


async def test_low_stock_is_told_once_through_real_workers(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    shop = await make_shop(world)
    await shop.product("Pizza calabresa", stock=0)
    await shop.product("Pizza marguerita", stock=50)
    made = await _make(owner)
    await _late(world, 25)
    async with working(runtime, {REPORT: wiring.JOBS[REPORT]}, beats=wiring.BEATS):
        url = f"{URL}/{made['id']}"

        async def done() -> bool:
            return bool((await owner.get(url)).json()["last_outcome"] == "succeeded")

        await until(done, 15)
    async with world.work() as work:
        told = await work.session.scalars(
            select(AuditEntry.facts).where(AuditEntry.action == "commerce.stock_reported")
        )
        lines = [facts["lines"] for facts in told]
    assert len(lines) == 1
    assert len(lines[0]) == 1
    assert lines[0][0].startswith("Pizza calabresa, ")


async def test_a_schedule_that_only_fails_is_paused(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    made = await _make(owner)

    async def fails(job: JobContext) -> None:
        raise ValueError("nothing works")

    for number in range(10):
        ran = (await owner.post(f"{URL}/{made['id']}/runs", headers=_key())).json()
        job = JobContext(runtime, world.work, world.tenant.id, {"run_id": ran["id"]}, 8)
        with pytest.raises(ValueError, match="nothing works"):
            await scheduled(fails)(job)
        found = (await owner.get(f"{URL}/{made['id']}")).json()
        assert (found["failures"], found["is_enabled"]) == (number + 1, number < 9)
    async with world.work() as work:
        told = await work.session.scalar(
            select(func.count())
            .select_from(AuditEntry)
            .where(AuditEntry.action == "platform.schedule_paused")
        )
    assert told == 1
