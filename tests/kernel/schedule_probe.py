"""Schedules made for tests, brought to the minute they are due, and what became of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.kernel.schedules.models import Schedule, ScheduleRun
from app.kernel.schedules.rules import Overlap
from app.kernel.schedules.schemas import ScheduleCreate
from app.kernel.schedules.service import ScheduleService
from tests.factories.tenants import World
from tests.kernel.queue_probe import ROOT, system

REPORT = "commerce.inventory.low_stock_report"


async def make(world: World, overlap: Overlap = Overlap.SKIP, **fields: Any) -> UUID:
    """A schedule of the low-stock report, every five minutes unless it is said otherwise."""
    body = {"name": "Estoque", "cron": "*/5 * * * *", "entrypoint": REPORT, "overlap": overlap}
    async with world.work() as work:
        made = await ScheduleService(work).create(ScheduleCreate.model_validate(body | fields))
        return made.id


async def make_due(world: World, *, minutes: int = 5) -> None:
    """As if the last look was so long ago; what was decided before becomes an hour older."""
    # Out of the way first: rows move one by one, and two of them may stand an hour apart.
    for hours in (-10_001, 10_000):
        await system(
            world.runtime,
            "UPDATE schedule_runs SET tick = tick + make_interval(hours => $2) "
            "WHERE tenant_id = $1",
            world.tenant.id,
            hours,
        )
    await system(
        world.runtime,
        "UPDATE schedules SET next_at = now(), "
        "decided_until = now() - make_interval(mins => $2) WHERE tenant_id = $1",
        world.tenant.id,
        minutes,
    )


async def runs(world: World) -> list[tuple[str, str | None]]:
    """State and reason of each tick, the oldest first."""
    async with world.work() as work:
        rows = await work.session.execute(
            select(ScheduleRun.state, ScheduleRun.reason).order_by(ScheduleRun.tick)
        )
        return [(state, reason) for state, reason in rows]


async def states(world: World) -> list[str]:
    return [state for state, _ in await runs(world)]


async def schedule_of(world: World, schedule_id: UUID) -> Schedule:
    async with world.work() as work:
        return (
            await work.session.scalars(select(Schedule).where(Schedule.id == schedule_id))
        ).one()


async def queued_runs(world: World) -> list[str]:
    """The runs that jobs of this tenant in the queue are for."""
    rows = await system(
        world.runtime,
        "SELECT convert_from(payload, 'UTF8')::jsonb -> 'payload' ->> 'run_id' AS run "
        "FROM pgqueuer WHERE entrypoint = $1 "
        "AND convert_from(payload, 'UTF8')::jsonb ->> 'tenant_id' = $2",
        REPORT,
        str(world.tenant.id),
    )
    return [row["run"] for row in rows]


@contextmanager
def ticker(environment: dict[str, str], *args: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ticks; killed at the end if it is still there."""
    process = subprocess.Popen(  # noqa: S603 - our own program, no shell
        [sys.executable, "-m", "tests.kernel.ticker", *args],
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
