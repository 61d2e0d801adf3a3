"""Queries over billing accounts and invoices: system tables, so these take a system session."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.saas.billing.models import BillingAccount, BillingInvoice


class AccountRepository(Repository[BillingAccount]):
    model = BillingAccount

    async def locked(self, tenant_id: UUID) -> BillingAccount:
        """The tenant's account, made when it has none, held until the commit."""
        await self.session.execute(
            insert(BillingAccount)
            .values(id=tenant_id)
            .on_conflict_do_nothing(index_elements=["id"])
        )
        return await self.get(tenant_id, lock=True)

    async def unseen_since(self, moment: datetime, limit: int) -> Sequence[UUID]:
        """Accounts with a customer at the vendor that were last looked at before this."""
        seen = func.coalesce(BillingAccount.synced_at, BillingAccount.created_at)
        statement = select(BillingAccount.id).where(
            BillingAccount.customer_id.is_not(None), seen < moment
        )
        return (await self.session.scalars(statement.order_by(seen).limit(limit))).all()

    async def is_charged(self, tenant_id: UUID) -> bool:
        """Whether the vendor has a subscription of this tenant that is not over."""
        found = select(BillingAccount.id).where(
            BillingAccount.id == tenant_id,
            BillingAccount.subscription_id.is_not(None),
            BillingAccount.status.not_in(("canceled", "incomplete_expired")),
        )
        return await self.session.scalar(found) is not None

    async def tenant_of(self, customer_id: str) -> UUID | None:
        """Whose account has this customer of the vendor."""
        return await self.session.scalar(
            select(BillingAccount.id).where(BillingAccount.customer_id == customer_id)
        )


class InvoiceRepository(Repository[BillingInvoice]):
    model = BillingInvoice

    async def by_provider_id(self, provider_id: str) -> BillingInvoice | None:
        return await self.one_or_none(self.query().where(BillingInvoice.provider_id == provider_id))

    async def of(self, tenant_id: UUID, page: PageRequest) -> Page[BillingInvoice]:
        return await self.page(self.query().where(BillingInvoice.account_id == tenant_id), page)
