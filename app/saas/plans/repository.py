"""Queries over plans: a system table that every transaction may read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sqlalchemy import func, select

from app.core.repository import Repository
from app.saas.plans.models import Plan
from app.saas.plans.problems import PlanCodeTaken, PlanInUse, PlanNotFound

_PRICES = 5_109_371
"""Advisory lock of whoever gives prices to plans; a GIN index cannot be unique."""


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

    async def by_price(self, price_id: str) -> Plan | None:
        """The plan that a Stripe price buys, on sale or not."""
        statement = self.query().where(Plan.stripe_price_ids.contains([price_id]))
        return await self.one_or_none(statement)

    async def taken(self, price_ids: Sequence[str], except_code: str) -> bool:
        """Whether another plan has one of these prices; nobody else may ask until the commit."""
        await self.session.execute(select(func.pg_advisory_xact_lock(_PRICES)))
        statement = self.query().where(
            Plan.stripe_price_ids.overlap(list(price_ids)), Plan.code != except_code
        )
        return bool(price_ids) and await self.one_or_none(statement.limit(1)) is not None

    async def by_code(self, code: str, *, lock: bool = False) -> Plan:
        """Raises PlanNotFound."""
        statement = self.query().where(Plan.code == code)
        found = await self.one_or_none(statement.with_for_update() if lock else statement)
        if found is None:
            raise PlanNotFound()
        return found
