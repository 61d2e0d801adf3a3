"""Counting exactly what a tenant uses of its plan: who makes a limited thing takes one here."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from app.contracts.saas import InUse
from app.core.clock import now
from app.kernel.limits import LIMITS, limit_reached
from app.kernel.usage.repository import UsageRepository
from app.kernel.usage.schemas import UsageItem, UsageRead
from app.kernel.work import UnitOfWork

TOTAL = "total"


class UsageService:
    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.counters = UsageRepository(work.session)

    async def take(self, metric: str, n: int = 1) -> int:
        """Count ``n`` more of a metric of ``LIMITS`` and answer the new use.

        The count commits or rolls back with the Work. Others of this tenant and metric wait until
        then: take as late as possible. Raises LimitReached, and nothing is counted.
        """
        if n < 1:
            raise ValueError("take counts upwards; see give_back")
        period, allowed = self._period(metric), self.work.tenant.limits.get(metric)
        taken = await self.counters.take(metric, period, n, allowed)
        if taken is not None:
            return taken
        used = (await self.counters.used([(metric, period)])).get(metric, 0)
        raise await limit_reached(self.work, metric, allowed or 0, used, n)

    async def give_back(self, metric: str, n: int = 1) -> None:
        """Count ``n`` less: a thing that counts for as long as it exists was deleted.

        What was used in a month stays used, as deleting a document does not unmake it.
        """
        if LIMITS[metric] != TOTAL:
            raise ValueError(f"{metric} is not given back")
        await self.counters.give_back(metric, TOTAL, n)

    async def shown(self) -> UsageRead:
        """Every limit with what is allowed and used now."""
        tenant = self.work.tenant
        periods = {
            name: self._period(name) for name, kind in LIMITS.items() if kind in ("month", TOTAL)
        }
        used = await self.counters.used(list(periods.items()))
        for name, kind in LIMITS.items():
            if kind == "counted":
                used[name] = await self.work.port(InUse, name).in_use()
        return UsageRead(
            plan=tenant.plan_code,
            items=[
                UsageItem(
                    limit=name,
                    period=periods.get(name, TOTAL),
                    allowed=tenant.limits.get(name),
                    used=used.get(name, 0),
                )
                for name, kind in LIMITS.items()
                if kind != "rate"
            ],
        )

    def _period(self, metric: str) -> str:
        kind = LIMITS[metric]
        if kind in ("counted", "rate"):
            raise ValueError(f"{metric} are counted off their own rows")
        if kind == TOTAL:
            return TOTAL
        return now().astimezone(ZoneInfo(self.work.tenant.timezone)).strftime("%Y-%m")
