"""Queries over schedules and their runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import raw
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.schedules.models import Schedule, ScheduleRun
from app.kernel.schedules.problems import ScheduleNameTaken, ScheduleNotFound

ACTIVE = ("queued", "running")
# Across tenants, so as the owner; the rows themselves are locked and read inside each tenant.
_TENANTS_DUE = """
SELECT DISTINCT s.tenant_id FROM schedules s JOIN tenants t ON t.id = s.tenant_id
WHERE s.is_enabled AND s.next_at <= now() AND t.status = 'active' LIMIT $1
"""


async def tenants_due(session: AsyncSession, most: int) -> Sequence[UUID]:
    """Tenants that have a tick to decide; takes a system session."""
    return [row["tenant_id"] for row in await (await raw(session)).fetch(_TENANTS_DUE, most)]


class ScheduleRepository(Repository[Schedule]):
    model = Schedule
    missing = ScheduleNotFound
    conflicts: ClassVar = {"schedules_tenant_id_name_key": ScheduleNameTaken}

    async def clock(self) -> datetime:
        """The database's clock: one for all who tick."""
        found: datetime | None = await self.session.scalar(select(func.now()))
        assert found is not None  # noqa: S101 - now() always answers
        return found

    async def take_due(self, most: int) -> Sequence[Schedule]:
        """Due schedules that nobody else is deciding about, locked until the commit."""
        return await self.all(
            self.query()
            .where(Schedule.is_enabled, Schedule.next_at <= func.now())
            .order_by(Schedule.next_at)
            .limit(most)
            .with_for_update(skip_locked=True)
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
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "schedule_id", "tick"])
            .returning(ScheduleRun.id)
        )
        return made

    async def active(self, schedule_id: UUID, patience: timedelta) -> UUID | None:
        """The oldest run that is not done; one silent for longer than ``patience`` is lost."""
        await self.session.execute(
            update(ScheduleRun)
            .where(
                ScheduleRun.schedule_id == schedule_id,
                ScheduleRun.state.in_(ACTIVE),
                ScheduleRun.created_at < func.now() - patience,
            )
            .values(state="lost", ended_at=func.now())
        )
        found: UUID | None = await self.session.scalar(
            select(ScheduleRun.id)
            .where(ScheduleRun.schedule_id == schedule_id, ScheduleRun.state.in_(ACTIVE))
            .order_by(ScheduleRun.id)
            .limit(1)
        )
        return found

    async def of(self, schedule_id: UUID, page: PageRequest) -> Page[ScheduleRun]:
        return await self.page(self.query().where(ScheduleRun.schedule_id == schedule_id), page)
