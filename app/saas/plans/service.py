"""The price list: what is on sale, which plan lifts a limit, and the platform's changes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from app.contracts.saas import Upgrade
from app.kernel.tenants.models import Tenant
from app.kernel.tenants.service import TenantFields, TenantRegister
from app.kernel.work import Runtime, UnitOfWork, platform_work, system_work
from app.saas.plans.models import Plan
from app.saas.plans.problems import PlanNotOffered, PlanPriceTaken
from app.saas.plans.repository import PlanRepository
from app.saas.plans.rules import cheapest_that_allows
from app.saas.plans.schemas import PlanCreate, PlanUpdate

_FACTS = (
    "code", "name", "price_cents", "currency", "interval", "modules", "limits", "is_active",
    "position", "stripe_price_ids",
)  # fmt: skip


async def offered_plans(runtime: Runtime) -> Sequence[Plan]:
    """The plans on sale, for whoever asks: no tenant is in scope."""
    async with system_work(runtime) as session:
        return await PlanRepository(session).offered()


class PlanService:
    """Reads plans in any Work; changes them in a platform's Work of its own, with their audit."""

    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.plans = PlanRepository(work.session)

    async def upgrade_for(self, limit: str, needed: int) -> Upgrade | None:
        """Answer the ``UpgradeAdvice`` contract."""
        plan = cheapest_that_allows(await self.plans.offered(), limit, needed)
        if plan is None:
            return None
        return Upgrade(
            code=plan.code,
            name=plan.name,
            price_cents=plan.price_cents,
            currency=plan.currency,
            interval=plan.interval,
            allowed=plan.limits.get(limit),
        )

    async def listed(self) -> Sequence[Plan]:
        return await self.plans.listed()

    async def get(self, code: str) -> Plan:
        """A plan, on sale or not. Raises PlanNotFound."""
        return await self.plans.by_code(code)

    async def assignable(self, code: str) -> Plan:
        """A plan that a tenant may be put on. Raises PlanNotFound, PlanNotOffered."""
        plan = await self.plans.by_code(code)
        if not plan.is_active:
            raise PlanNotOffered()
        return plan

    async def by_price(self, price_id: str) -> Plan | None:
        """The plan that a Stripe price buys, on sale or not."""
        return await self.plans.by_price(price_id)

    async def put_on(
        self, tenant: Tenant, plan: Plan, **more: Unpack[TenantFields]
    ) -> dict[str, object]:
        """Give a locked tenant the plan's modules and limits in place of its own, and ``more``.

        What is above a new limit stays, and nothing more is let in. In a ``platform_work``;
        answers what was there before, as ``TenantRegister.change`` does.
        """
        fields: TenantFields = {
            "plan_code": plan.code,
            "modules": plan.modules,
            "limits": plan.limits,
            **more,
        }
        return await TenantRegister(self.work).change(tenant, **fields)

    async def create(self, body: PlanCreate) -> Plan:
        """Raises PlanCodeTaken, PlanPriceTaken."""
        async with platform_work(self.work.runtime, self.work.tenant, self.work.actor) as work:
            plans = PlanRepository(work.session)
            if await plans.taken(body.stripe_price_ids, body.code):
                raise PlanPriceTaken()
            plan = await plans.add(Plan(**body.model_dump()))
            await work.session.refresh(plan)
            work.record("plan.created", "plan", plan.id, after=_facts(plan))
        return plan

    async def update(self, code: str, body: PlanUpdate) -> Plan:
        """Change what is sent. Tenants keep what was applied to them until the plan is applied
        again: nobody loses a module by surprise. Raises PlanNotFound, PlanPriceTaken.
        """
        wanted: dict[str, Any] = {
            k: v for k in body.model_fields_set if (v := getattr(body, k)) is not None
        }
        async with platform_work(self.work.runtime, self.work.tenant, self.work.actor) as work:
            plans = PlanRepository(work.session)
            plan = await plans.by_code(code, lock=True)
            before = _facts(plan)
            if await plans.taken(wanted.get("stripe_price_ids", ()), code):
                raise PlanPriceTaken()
            if wanted != {k: before[k] for k in wanted}:
                for name, value in wanted.items():
                    setattr(plan, name, value)
                await plans.flush()
                work.record("plan.updated", "plan", plan.id, before=before, after=_facts(plan))
        return plan

    async def remove(self, code: str) -> None:
        """Delete a plan that no tenant is on. Raises PlanNotFound, PlanInUse."""
        async with platform_work(self.work.runtime, self.work.tenant, self.work.actor) as work:
            plans = PlanRepository(work.session)
            plan = await plans.by_code(code, lock=True)
            await plans.delete(plan)
            work.record("plan.deleted", "plan", plan.id, before=_facts(plan))


def _facts(plan: Plan) -> dict[str, object]:
    return {name: getattr(plan, name) for name in _FACTS}
