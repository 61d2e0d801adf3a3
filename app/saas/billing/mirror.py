"""Keeps our copy of a subscription equal to the vendor's, whatever order its notices come in.

A notice only says "look": the truth is fetched, and the account shows what the vendor has now.
Two looks under way at once could still overtake each other, so each takes a number *before* it
asks and is shown only if its number is higher than the shown one's. Whatever changes at the vendor
after a look tells of itself by a later notice, whose look has a higher number: the highest number
therefore saw the last state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.contracts.gateways.billing import RemoteInvoice, RemoteSubscription
from app.contracts.saas import SubscriptionChanged, SubscriptionDoubled
from app.core.clock import now
from app.kernel.tenancy import TenantContext
from app.kernel.tenants.models import Tenant
from app.kernel.tenants.service import TenantRegister
from app.kernel.work import Actor, Runtime, UnitOfWork, platform_work
from app.saas.billing import rules
from app.saas.billing.models import BillingAccount, BillingInvoice
from app.saas.billing.repository import AccountRepository, InvoiceRepository
from app.saas.billing.schemas import IntakeNotice, StatusNotice
from app.saas.plans.models import Plan
from app.saas.plans.service import PlanService


class UnknownPrice(Exception):
    """A paid subscription has a price that no plan has: give it to a plan, then replay."""


@dataclass(frozen=True, slots=True)
class Look:
    """Permission to show what the vendor answers from now on."""

    number: int
    customer_id: str


async def begin_look(
    runtime: Runtime, tenant: TenantContext, actor: Actor, customer_id: str | None = None
) -> Look | None:
    """Number a look that is about to be made; None when the tenant has no customer at the vendor.

    ``customer_id``: whom a notice names, adopted by an account that has none yet.
    """
    async with platform_work(runtime, tenant, actor) as work:
        account = await AccountRepository(work.session).locked(tenant.id)
        account.customer_id = account.customer_id or customer_id
        if account.customer_id is None:
            return None
        account.asked += 1
        return Look(account.asked, account.customer_id)


class Mirror:
    """Shows the outcome of looks; takes a ``platform_work`` of the tenant."""

    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.accounts = AccountRepository(work.session)
        self.invoices = InvoiceRepository(work.session)

    async def show(self, look: Look, subscriptions: Sequence[RemoteSubscription]) -> None:
        """Make account and tenant what the vendor has, unless a later look was shown.

        Raises UnknownPrice.
        """
        account = await self.accounts.locked(self.work.tenant.id)
        if look.number <= account.applied:
            return
        account.applied, account.synced_at = look.number, now()
        found = rules.current(subscriptions)
        self._tell_extra(account, rules.beside(subscriptions, found))
        if found is None:
            _copy(account, None, None)
            return
        status = rules.standing(found.status)
        plan = await PlanService(self.work).by_price(found.price_id)
        if plan is None and status != "canceled":
            raise UnknownPrice(f"{found.price_id} of {found.id} belongs to no plan")
        code = plan.code if plan is not None else None
        bought = (account.subscription_id, account.plan_code) != (found.id, code)
        _copy(account, found, code)
        await self._give(status, plan if bought else None)

    def _tell_extra(self, account: BillingAccount, extra: list[str]) -> None:
        # Told, not ended: which of them a person meant to keep is hers to say, money and all.
        is_news = not set(extra) <= set(account.extra_subscriptions)
        account.extra_subscriptions = extra
        if is_news:
            self.work.publish(
                SubscriptionDoubled(tenant_id=self.work.tenant.id, subscription_ids=extra)
            )

    async def show_invoice(self, look: Look, found: RemoteInvoice) -> BillingInvoice:
        """Keep the invoice as the vendor has it, unless a later look was kept."""
        account = await self.accounts.locked(self.work.tenant.id)
        row = await self.invoices.by_provider_id(found.id)
        if row is None:
            row = BillingInvoice(account_id=account.id, provider_id=found.id, applied=0)
            self.work.session.add(row)
        if look.number > row.applied:
            row.applied, row.issued_at = look.number, found.created_at
            for name in (
                "number", "status", "currency", "due_cents", "paid_cents", "attempts",
                "next_attempt_at", "hosted_url", "pdf_url",
            ):  # fmt: skip
                setattr(row, name, getattr(found, name))
        await self.invoices.flush()
        return row

    async def trial_ends_at(self) -> datetime | None:
        """When the shown subscription's trial ends."""
        return (await self.accounts.locked(self.work.tenant.id)).trial_ends_at

    async def notice(self, plan: Plan, news: StatusNotice | IntakeNotice) -> None:
        """Show what another billing system says, unless something newer was shown."""
        account = await self.accounts.locked(self.work.tenant.id)
        known = account.notice_at, account.notice_id
        if not rules.is_news(news.occurred_at, news.event_id, *known):
            return
        account.notice_at, account.notice_id = news.occurred_at, news.event_id
        if isinstance(news, StatusNotice):
            account.current_period_end = news.current_period_end
        bought = account.plan_code != plan.code
        account.status, account.plan_code, account.synced_at = news.status, plan.code, now()
        await self._give(news.status, plan if bought else None)

    async def _give(self, status: rules.Standing, plan: Plan | None) -> None:
        """The standing, and the plan when it was newly bought: what the console changed by hand
        since then stays. From here on the vendor says when a trial is over, no clock of ours.
        """
        register = TenantRegister(self.work)
        tenant = await register.get(self.work.tenant.id, lock=True)
        if plan is None:
            before = await register.change(tenant, subscription_status=status, trial_ends_at=None)
        else:
            before = await PlanService(self.work).put_on(
                tenant, plan, subscription_status=status, trial_ends_at=None
            )
        self._tell(tenant, before)

    def _tell(self, tenant: Tenant, before: dict[str, object]) -> None:
        if not before.keys() & {"plan_code", "subscription_status"}:
            return
        plan_before = before.get("plan_code", tenant.plan_code)
        status_before = before.get("subscription_status", tenant.subscription_status)
        self.work.publish(
            SubscriptionChanged(
                tenant_id=tenant.id,
                plan_code=tenant.plan_code,
                status=tenant.subscription_status,
                plan_before=None if plan_before is None else str(plan_before),
                status_before=str(status_before),
            )
        )


async def show_notice(work: UnitOfWork, notice: StatusNotice | IntakeNotice) -> None:
    """Apply a notice of another billing system to the Work's tenant. Raises PlanNotFound."""
    plan = await PlanService(work).get(notice.plan_code)
    await Mirror(work).notice(plan, notice)


def _copy(account: BillingAccount, found: RemoteSubscription | None, code: str | None) -> None:
    account.plan_code = code
    account.subscription_id = found.id if found else None
    account.status = found.status if found else None
    account.price_id = found.price_id if found else None
    account.current_period_end = found.current_period_end if found else None
    account.cancel_at = found.cancel_at if found else None
    account.is_cancelling = found.cancel_at_period_end if found else False
    account.trial_ends_at = found.trial_ends_at if found else None
