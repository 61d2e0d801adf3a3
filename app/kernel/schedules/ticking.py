"""The beat that decides what is due at every tenant; any number of processes may run it."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from app.kernel.schedules.models import Schedule
from app.kernel.schedules.repository import tenants_due, tenants_with_schedules
from app.kernel.schedules.rules import CatchUp, Misfire, due_ticks, next_tick
from app.kernel.schedules.runs import Runs
from app.kernel.tenancy import TenantContext
from app.kernel.work import Actor, Runtime, UnitOfWork, system_work, unit_of_work

log = logging.getLogger(__name__)

PUT_OFF = timedelta(minutes=5)
"""A schedule that could not be decided about is looked at again after this."""
_AT_ONCE = 50
_TENANTS = 200
_ACTOR = Actor("system", "schedules")


async def tick_all(runtime: Runtime, most: int = _TENANTS) -> int:
    """Decide about due ticks, a batch of each of ``most`` tenants; runs that queued.

    The next call goes on behind the last of them: however much one has due, all get their turn.
    """
    if not runtime.caches.get("schedules.are_anchored"):
        await anchor_all(runtime)
        runtime.caches["schedules.are_anchored"] = True
    async with system_work(runtime) as session:
        tenants = await tenants_due(session, most, runtime.caches.get("schedules.last"))
    queued = 0
    for tenant_id in tenants:
        runtime.caches["schedules.last"] = tenant_id
        try:
            queued += await _tick_tenant(runtime, await runtime.tenants.by_id(tenant_id))
        except Exception:
            # One tenant's trouble is not the others'.
            log.exception("schedules.tick_failed", extra={"tenant_id": str(tenant_id)})
    return queued


async def tick(work: UnitOfWork, only: UUID | None = None) -> int:
    """Decide about what is due at this tenant, in the Work's own transaction; runs that queued."""
    runs = Runs(work)
    at = await runs.schedules.clock()
    queued = 0
    for schedule in await runs.schedules.take_due(_AT_ONCE, only):
        policy = CatchUp(
            Misfire(schedule.misfire),
            timedelta(hours=schedule.catchup_window_hours),
            schedule.max_catchup,
        )
        due = due_ticks(schedule.cron, schedule.timezone, schedule.decided_until, at, policy)
        for skip in due.skipped:
            await runs.rows.insert(schedule.id, skip.tick, "skipped", reason=skip.reason)
            schedule.last_outcome = "skipped"
        if due.run:
            schedule.last_tick_at = due.run[-1]
            queued += await runs.place(schedule, due.run)
        schedule.decided_until, schedule.next_at = at, due.next_at
    await runs.schedules.flush()
    return queued


async def _tick_tenant(runtime: Runtime, tenant: TenantContext) -> int:
    try:
        async with unit_of_work(runtime, tenant, _ACTOR) as work:
            return await tick(work)
    except Exception:
        log.warning("schedules.batch_failed", extra={"tenant_id": str(tenant.id)})
    # One of them spoilt the transaction of all: each gets one of its own.
    async with unit_of_work(runtime, tenant, _ACTOR) as work:
        due = await Runs(work).schedules.due_ids(_AT_ONCE)
    queued = 0
    for schedule_id in due:
        try:
            async with unit_of_work(runtime, tenant, _ACTOR) as work:
                queued += await tick(work, schedule_id)
        except Exception:
            log.exception("schedules.decision_failed", extra={"schedule_id": str(schedule_id)})
            async with unit_of_work(runtime, tenant, _ACTOR) as work:
                await _put_off(work, schedule_id)
    return queued


async def _put_off(work: UnitOfWork, schedule_id: UUID) -> None:
    """Look again later: its ticks stay undecided, and it counts as a failure until it is paused."""
    runs = Runs(work)
    schedule = await runs.schedules.find(schedule_id, lock=True)
    if schedule is not None:
        schedule.next_at = await runs.schedules.clock() + PUT_OFF
        schedule.last_outcome = "failed"
        runs.count_failure(schedule)
        await runs.schedules.flush()


async def anchor_all(runtime: Runtime) -> None:
    """At a process's start: work out every next tick anew, as the zones' rules may be newer."""
    async with system_work(runtime) as session:
        tenants = await tenants_with_schedules(session)
    for tenant_id in tenants:
        try:
            tenant = await runtime.tenants.by_id(tenant_id)
            async with unit_of_work(runtime, tenant, _ACTOR) as work:
                schedules = Runs(work).schedules
                for schedule in await schedules.enabled():
                    _anchor(schedule)
                await schedules.flush()
        except Exception:
            log.exception("schedules.anchor_failed", extra={"tenant_id": str(tenant_id)})


def _anchor(schedule: Schedule) -> None:
    try:
        schedule.next_at = next_tick(schedule.cron, schedule.timezone, schedule.decided_until)
    except Exception:
        # Its time comes all the same, and then it is put off and counted.
        log.exception("schedules.anchor_failed", extra={"schedule_id": str(schedule.id)})
