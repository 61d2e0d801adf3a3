"""Queries over plans: a system table that every transaction may read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from app.core.repository import Repository
from app.saas.plans.models import Plan
from app.saas.plans.problems import PlanCodeTaken, PlanInUse, PlanNotFound


class PlanRepository(Repository[Plan]):
    model = Plan
    missing = PlanNotFound
    conflicts: ClassVar = {
        "plans_code_key": PlanCodeTaken,
        "tenants_plan_code_fkey": PlanInUse,
    }

    async def listed(self) -> Sequence[Plan]:
        """All of them, in the order of the price list."""
        return await self.all(self.query().order_by(Plan.position, Plan.id))

    async def offered(self) -> Sequence[Plan]:
        """Those on sale, in the order of the price list."""
        return await self.all(self.query().where(Plan.is_active).order_by(Plan.position, Plan.id))

    async def by_code(self, code: str, *, lock: bool = False) -> Plan:
        """Raises PlanNotFound."""
        statement = self.query().where(Plan.code == code)
        found = await self.one_or_none(statement.with_for_update() if lock else statement)
        if found is None:
            raise PlanNotFound()
        return found
