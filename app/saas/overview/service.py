"""The platform over all its tenants: numbers, health, who works in whose name, its own trail."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from zoneinfo import ZoneInfo

from app.core.clock import now
from app.core.database import raw
from app.core.pagination import Page, PageRequest
from app.kernel.audit.models import AuditEntry
from app.kernel.audit.schemas import AuditFilter
from app.kernel.audit.service import AuditService
from app.kernel.work import Work, system_work
from app.saas.overview.repository import OverviewRepository
from app.saas.overview.schemas import (
    CloseToLimit,
    Dashboard,
    Health,
    ImpersonationOfTenant,
    JobHealth,
    JobsOfTenant,
    Sales,
    TenantCounts,
    WebhookHealth,
    WebhookOfTenant,
)


class OverviewService:
    def __init__(self, work: Work) -> None:
        self.work = work

    async def dashboard(self) -> Dashboard:
        """Four statements, however many tenants there are."""
        local = now().astimezone(ZoneInfo(self.work.tenant.timezone))
        today = local.replace(hour=0, minute=0, second=0, microsecond=0)
        async with self._everybody() as all_of_it:
            return Dashboard(
                day_began_at=today,
                tenants=folded(await all_of_it.tenants()),
                sales=[Sales(**row) for row in await all_of_it.sales(today)],
                health=Health(**await all_of_it.health()),
                close_to_limits=[CloseToLimit(**r) for r in await all_of_it.close_to_limits()],
            )

    async def jobs(self) -> JobHealth:
        async with self._everybody() as all_of_it:
            return JobHealth(items=[JobsOfTenant(**row) for row in await all_of_it.jobs()])

    async def webhooks(self) -> WebhookHealth:
        async with self._everybody() as all_of_it:
            rows = await all_of_it.webhooks()
        return WebhookHealth(items=[WebhookOfTenant(**row) for row in rows])

    async def impersonations(
        self, page: PageRequest, is_active: bool | None
    ) -> Page[ImpersonationOfTenant]:
        """Those of every tenant, newest first."""
        async with self._everybody() as all_of_it:
            rows = await all_of_it.impersonations(page.cursor, is_active, page.limit + 1)
        items = [ImpersonationOfTenant(**row) for row in rows[: page.limit]]
        return Page(items, items[-1].id if len(rows) > page.limit else None)

    async def audit(self, page: PageRequest, wanted: AuditFilter) -> Page[AuditEntry]:
        """What was done at the console: the platform's own trail, about tenants and plans."""
        return await AuditService(self.work).matching(page, wanted)

    @asynccontextmanager
    async def _everybody(self) -> AsyncIterator[OverviewRepository]:
        async with system_work(self.work.runtime) as session:
            yield OverviewRepository(await raw(session))


def folded(rows: Iterable[Mapping[str, Any]]) -> TenantCounts:
    """Sums by each of the three, of counts by all three."""
    by_status: Counter[str] = Counter()
    by_subscription: Counter[str] = Counter()
    by_plan: Counter[str] = Counter()
    for row in rows:
        by_status[row["status"]] += row["tenants"]
        by_subscription[row["subscription_status"]] += row["tenants"]
        by_plan[row["plan_code"] or "none"] += row["tenants"]
    return TenantCounts(
        total=by_status.total(),
        by_status=dict(by_status),
        by_subscription=dict(by_subscription),
        by_plan=dict(by_plan),
    )
