"""What AI costs: reserved before each call, settled after it, shown by month."""

from __future__ import annotations

from uuid import UUID

from app.core.clock import now
from app.kernel.ai.problems import AiBudgetReached
from app.kernel.ai.repository import (
    BudgetRepository,
    CallRepository,
    Ending,
    Line,
    ResultRepository,
)
from app.kernel.ai.rules import month_of
from app.kernel.ai.schemas import AiUsageRead, BudgetRead, UsageLine
from app.kernel.work import UnitOfWork

_SLACK_S = 60.0
"""A reservation outlives the longest call by this much."""


class LedgerService:
    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.calls = CallRepository(work.session)
        self.budgets = BudgetRepository(work.session)
        self.results = ResultRepository(work.session)

    @property
    def month(self) -> str:
        """This month, where the tenant lives."""
        return month_of(now(), self.work.tenant.timezone)

    async def reserve(self, line: Line, amount: int) -> UUID:
        """Open a call that may cost ``amount`` micro-USD. Raises AiBudgetReached."""
        config = self.work.runtime.settings
        await self.calls.release_lost()
        most, life = config.ai_platform_monthly_micro_usd, config.ai_timeout_seconds + _SLACK_S
        call_id = await self.calls.reserve(line, amount, most, life)
        if call_id is not None:
            return call_id
        budget = await self.budget(line.month)
        raise AiBudgetReached(
            f"The call may cost {amount} micro-USD, and the rest of {line.month} is less.",
            needed_micro_usd=amount,
            **budget.model_dump(exclude={"month"}),
        )

    async def settle(self, call_id: UUID, ending: Ending) -> None:
        """End a call: what it cost is spent, the rest of its reservation is free again."""
        await self.calls.settle(call_id, ending)

    async def budget(self, month: str | None = None) -> BudgetRead:
        """The month's limits and amounts, this month by default."""
        found = month or self.month
        return BudgetRead(
            month=found,
            platform_monthly_micro_usd=self.work.runtime.settings.ai_platform_monthly_micro_usd,
            **dict(await self.calls.month(found)),
        )

    async def set_budget(self, amount: int | None) -> BudgetRead:
        """Set or remove the tenant's own limit; calls under way are not stopped by it."""
        before = await self.budget()
        await self.budgets.put(amount)
        self.work.record(
            "ai_budget.put",
            "ai_budget",
            None,
            before=before.monthly_micro_usd,
            after=amount,
        )
        return await self.budget()

    async def usage(self, month: str | None) -> AiUsageRead:
        """The month's use by feature, provider and model."""
        await self.calls.release_lost()
        budget = await self.budget(month)
        rows = await self.calls.usage(budget.month)
        return AiUsageRead(**budget.model_dump(), items=[UsageLine(**dict(row)) for row in rows])
