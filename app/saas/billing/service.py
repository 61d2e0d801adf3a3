"""What members do about what they pay: subscribe, manage, look; calls stand between Works."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import UUID

from app.contracts.gateways.billing import BillingFailure, BillingGateway, RemoteCheckout
from app.core.clock import now
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.kernel.tenancy import has_modules
from app.kernel.tenants.service import TenantRegister
from app.kernel.work import Actor, Runtime, UnitOfWork, platform_work, system_work
from app.saas.billing import rules
from app.saas.billing.mirror import Mirror, begin_look
from app.saas.billing.models import BillingAccount, BillingInvoice
from app.saas.billing.problems import (
    AlreadySubscribed,
    BillingProviderFailed,
    CheckoutRaced,
    NoBillingAccount,
    PriceNotOffered,
)
from app.saas.billing.repository import AccountRepository, InvoiceRepository
from app.saas.billing.schemas import BillingOverview, CheckoutCreate
from app.saas.plans.service import PlanService

RECONCILE = "saas.billing.reconcile"
_EVERY_S = 3600.0
_UNSEEN = timedelta(days=1)
_AT_ONCE = 500


async def tenant_of_customer(runtime: Runtime, customer_id: str) -> UUID | None:
    """Whose account has this customer of the vendor; no tenant is in scope."""
    async with system_work(runtime) as session:
        return await AccountRepository(session).tenant_of(customer_id)


async def is_charged(work: UnitOfWork, tenant_id: UUID) -> bool:
    """Whether the vendor would go on charging this tenant; in a ``platform_work``."""
    return await AccountRepository(work.session).is_charged(tenant_id)


async def look_again(runtime: Runtime) -> int:
    """Queue a look at accounts not seen for a day: a notice can be lost. Once an hour in each
    process; how many looks.
    """
    due = runtime.caches.get("billing.look_at", 0.0)
    configured = runtime.settings.stripe_secret_key.get_secret_value()
    if time.monotonic() < due or not configured:
        return 0
    runtime.caches["billing.look_at"] = time.monotonic() + _EVERY_S
    async with system_work(runtime) as session:
        tenants = await AccountRepository(session).unseen_since(now() - _UNSEEN, _AT_ONCE)
    for tenant_id in tenants:
        tenant = await runtime.tenants.by_id(tenant_id)
        async with platform_work(runtime, tenant, Actor("system", "billing")) as work:
            work.enqueue(RECONCILE, {}, dedupe_key="look")
    return len(tenants)


class BillingService:
    """The request's own Work stays unused, so no transaction is open while a vendor is called."""

    def __init__(self, work: UnitOfWork) -> None:
        self.work, self.runtime, self.tenant = work, work.runtime, work.tenant

    async def overview(self) -> BillingOverview:
        """The tenant's plan and standing, and the subscription behind them."""
        async with platform_work(self.runtime, self.tenant, self.work.actor) as work:
            tenant = await TenantRegister(work).get(self.tenant.id)
            account = await AccountRepository(work.session).find(self.tenant.id) or BillingAccount()
        return BillingOverview(
            plan_code=tenant.plan_code,
            subscription_status=tenant.subscription_status,
            has_access=has_modules(tenant.subscription_status, tenant.trial_ends_at, now()),
            provider_status=account.status,
            current_period_end=account.current_period_end,
            cancel_at=account.cancel_at,
            is_cancelling=bool(account.is_cancelling),
            trial_ends_at=account.trial_ends_at or tenant.trial_ends_at,
            synced_at=account.synced_at,
            can_manage=account.customer_id is not None,
            limits=tenant.effective_limits,
            modules=sorted(tenant.effective_modules),
            extra_subscriptions=account.extra_subscriptions or [],
            publishable_key=self.runtime.settings.stripe_publishable_key or None,
        )

    async def invoices(self, page: PageRequest) -> Page[BillingInvoice]:
        """The tenant's invoices, newest first."""
        async with system_work(self.runtime) as session:
            return await InvoiceRepository(session).of(self.tenant.id, page)

    async def open_checkout(self, body: CheckoutCreate, key: str | None) -> RemoteCheckout:
        """A page to pay on; with the same ``key`` again the same page. Earlier pages are closed.

        Raises BillingNotConfigured, PriceNotOffered, AlreadySubscribed, CheckoutRaced,
        BillingProviderFailed.
        """
        gateway = self.work.port(BillingGateway)
        try:
            return await self._checkout(gateway, body, key)
        except BillingFailure as failure:
            raise _failed(failure) from failure

    async def open_portal(self, return_url: str) -> str:
        """The address of the vendor's portal.

        Raises BillingNotConfigured, NoBillingAccount, BillingProviderFailed.
        """
        gateway = self.work.port(BillingGateway)
        async with system_work(self.runtime) as session:
            account = await AccountRepository(session).find(self.tenant.id)
        if account is None or account.customer_id is None:
            raise NoBillingAccount()
        try:
            url = await gateway.open_portal(customer_id=account.customer_id, return_url=return_url)
        except BillingFailure as failure:
            raise _failed(failure) from failure
        # Whoever holds the address may change card and plan until it ends: who asked is kept.
        self.work.record("billing.portal_opened", "billing", self.tenant.id)
        return url

    async def sync(self) -> BillingOverview:
        """Look at the vendor now, as a notice would make us; for one that was lost.

        Raises BillingNotConfigured, NoBillingAccount, BillingProviderFailed.
        """
        try:
            await self.look(self.work.port(BillingGateway))
        except BillingFailure as failure:
            raise _failed(failure) from failure
        return await self.overview()

    async def look(self, gateway: BillingGateway) -> None:
        """Show what the vendor has now. Raises NoBillingAccount, BillingFailure, UnknownPrice."""
        look = await begin_look(self.runtime, self.tenant, self.work.actor)
        if look is None:
            raise NoBillingAccount()
        found = await gateway.subscriptions(look.customer_id)
        async with platform_work(self.runtime, self.tenant, self.work.actor) as work:
            await Mirror(work).show(look, found)

    async def _checkout(
        self, gateway: BillingGateway, body: CheckoutCreate, key: str | None
    ) -> RemoteCheckout:
        account = await self._sellable(body.price_id)
        customer = account.customer_id or await self._new_customer(gateway)
        open_page = account.checkout_id if key is None or key != account.checkout_key else None
        # Two open pages could both be paid.
        if open_page is not None and await gateway.close_checkout(open_page) == "complete":
            await self.look(gateway)
            await self._sellable(body.price_id)
        page = await gateway.open_checkout(
            tenant_id=self.tenant.id,
            customer_id=customer,
            price_id=body.price_id,
            success_url=body.success_url,
            cancel_url=body.cancel_url,
            key=f"largo-checkout-{self.tenant.id}-{key or new_id()}",
        )
        if not await self._opened(page, account.checkouts, key, body.price_id):
            await gateway.close_checkout(page.id)
            raise CheckoutRaced()
        return page

    async def _sellable(self, price_id: str) -> BillingAccount:
        """The account that may buy this. Raises PriceNotOffered, AlreadySubscribed."""
        async with platform_work(self.runtime, self.tenant, self.work.actor) as work:
            plan = await PlanService(work).by_price(price_id)
            if plan is None or not plan.is_active or plan.stripe_price_ids[0] != price_id:
                raise PriceNotOffered()
            account = await AccountRepository(work.session).locked(self.tenant.id)
            if account.status in rules.LIVE and account.subscription_id is not None:
                raise AlreadySubscribed()
            return account

    async def _new_customer(self, gateway: BillingGateway) -> str:
        made = await gateway.create_customer(
            tenant_id=self.tenant.id,
            name=self.tenant.name,
            email=self.work.actor.name,
            key=f"largo-customer-{self.tenant.id}",
        )
        async with platform_work(self.runtime, self.tenant, self.work.actor) as work:
            account = await AccountRepository(work.session).locked(self.tenant.id)
            account.customer_id = account.customer_id or made
            return account.customer_id

    async def _opened(
        self, page: RemoteCheckout, seen: int, key: str | None, price_id: str
    ) -> bool:
        """Keep the page as the tenant's only open one; False when another came first."""
        async with platform_work(self.runtime, self.tenant, self.work.actor) as work:
            account = await AccountRepository(work.session).locked(self.tenant.id)
            if account.checkout_id == page.id:
                return True
            if account.checkouts != seen:
                return False
            account.checkouts += 1
            account.checkout_id, account.checkout_key = page.id, key
            work.record("billing.checkout_opened", "tenant", self.tenant.id, price_id=price_id)
            return True


def _failed(failure: BillingFailure) -> BillingProviderFailed:
    return BillingProviderFailed(str(failure), provider_code=failure.code or None)
