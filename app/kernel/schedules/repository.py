"""Queries over schedules and their runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import case, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import raw
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.schedules.models import Schedule, ScheduleRun
from app.kernel.schedules.problems import ScheduleNameTaken, ScheduleNotFound

# Across tenants, so as the owner; the rows themselves are locked and read inside each tenant.
# In a ring, from behind the last one on: who always has more due stands behind all others.
_TENANTS_DUE = """
SELECT s.tenant_id FROM schedules s JOIN tenants t ON t.id = s.tenant_id
WHERE s.is_enabled AND s.next_at <= now() AND t.status = 'active'
GROUP BY s.tenant_id ORDER BY coalesce(s.tenant_id <= $2, false), s.tenant_id LIMIT $1
"""

_TENANTS_WITH_SCHEDULES = """
SELECT DISTINCT s.tenant_id FROM schedules s JOIN tenants t ON t.id = s.tenant_id
WHERE s.is_enabled AND t.status = 'active'
"""


async def tenants_due(session: AsyncSession, most: int, after: UUID | None) -> Sequence[UUID]:
    """Tenants that have a tick to decide, those ``after`` one first; takes a system session."""
    rows = await (await raw(session)).fetch(_TENANTS_DUE, most, after)
    return [row["tenant_id"] for row in rows]


async def tenants_with_schedules(session: AsyncSession) -> Sequence[UUID]:
    """Tenants that have anything on a schedule; takes a system session."""
    return [row["tenant_id"] for row in await (await raw(session)).fetch(_TENANTS_WITH_SCHEDULES)]


class ScheduleRepository(Repository[Schedule]):
    model = Schedule
    missing = ScheduleNotFound
    conflicts: ClassVar = {"schedules_tenant_id_name_key": ScheduleNameTaken}

    async def clock(self) -> datetime:
        """The database's clock: one for all who tick."""
        found: datetime | None = await self.session.scalar(select(func.now()))
        assert found is not None  # noqa: S101 - now() always answers
        return found

    async def take_due(self, most: int, only: UUID | None = None) -> Sequence[Schedule]:
        """Due schedules that nobody else is deciding about, locked until the commit."""
        due = self.query().where(Schedule.is_enabled, Schedule.next_at <= func.now())
        if only is not None:
            due = due.where(Schedule.id == only)
        return await self.all(
            due.order_by(Schedule.next_at).limit(most).with_for_update(skip_locked=True)
        )

    async def due_ids(self, most: int) -> Sequence[UUID]:
        """The same, unlocked and by their numbers."""
        found = await self.session.scalars(
            select(Schedule.id)
            .where(Schedule.is_enabled, Schedule.next_at <= func.now())
            .order_by(Schedule.next_at)
            .limit(most)
        )
        return found.all()

    async def enabled(self) -> Sequence[Schedule]:
        """All that run, locked until the commit."""
        return await self.all(
            self.query().where(Schedule.is_enabled).with_for_update(skip_locked=True)
        )


class RunRepository(Repository[ScheduleRun]):
    model = ScheduleRun

    async def insert(
        self,
        schedule_id: UUID,
        tick: datetime,
        state: str,
        *,
        trigger: str = "cron",
        reason: str | None = None,
        blocked_by: UUID | None = None,
    ) -> UUID | None:
        """Write what becomes of a tick; None when that was decided before."""
        made: UUID | None = await self.session.scalar(
            insert(ScheduleRun)
            .values(
                id=new_id(),
                schedule_id=schedule_id,
                tick=tick,
                state=state,
                trigger=trigger,
                reason=reason,
                blocked_by=blocked_by,
                ended_at=func.now() if state == "skipped" else None,
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "schedule_id", "tick"])
            .returning(ScheduleRun.id)
        )
        return made

    async def under_way(self, schedule_id: UUID) -> Sequence[ScheduleRun]:
        """Runs that have not ended, the oldest tick first."""
        return await self.all(
            self.query()
            .where(ScheduleRun.schedule_id == schedule_id, ScheduleRun.ended_at.is_(None))
            .order_by(ScheduleRun.tick)
        )

    async def cancel(self, schedule_id: UUID) -> None:
        """End what has not begun; ask what runs to end."""
        is_running = ScheduleRun.state.in_(("running", "cancelling"))
        await self.session.execute(
            update(ScheduleRun)
            .where(ScheduleRun.schedule_id == schedule_id, ScheduleRun.ended_at.is_(None))
            .values(
                state=case((is_running, "cancelling"), else_="cancelled"),
                ended_at=case((is_running, None), else_=func.now()),
                reason="overlap",
            )
        )

    async def move(self, run_id: UUID, before: Sequence[str], after: str) -> bool:
        """Take the run from one of the states ``before``; False when it is in another one."""
        moved = await self.session.scalar(
            update(ScheduleRun)
            .where(ScheduleRun.id == run_id, ScheduleRun.state.in_(before))
            .values(state=after, moved_at=func.now())
            .returning(ScheduleRun.id)
        )
        return moved is not None

    async def is_wanted(self, run_id: UUID) -> bool:
        """Whether it is there and not cancelled."""
        state = await self.session.scalar(select(ScheduleRun.state).where(ScheduleRun.id == run_id))
        return state is not None and state not in ("cancelling", "cancelled")

    async def of(self, schedule_id: UUID, page: PageRequest) -> Page[ScheduleRun]:
        return await self.page(self.query().where(ScheduleRun.schedule_id == schedule_id), page)
