"""Queries over customers' addresses and over what they ordered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select

from app.commerce.customers.models import CustomerAddress
from app.commerce.customers.problems import AddressNotFound
from app.commerce.orders.models import Order
from app.core.repository import Repository

NOT_COUNTED = ("cancelled", "rejected")


@dataclass(frozen=True, slots=True)
class LastOrder:
    id: UUID
    number: int
    status: str
    total_cents: int
    placed_at: datetime


@dataclass(frozen=True, slots=True)
class OrderStatistics:
    count: int
    total_cents: int
    average_cents: int
    last_order: LastOrder | None


class CustomerRepository(Repository[CustomerAddress]):
    model = CustomerAddress
    missing = AddressNotFound

    async def addresses(self, contact_id: UUID) -> Sequence[CustomerAddress]:
        """The newest first: the last one used is the likeliest."""
        return await self.all(
            self.query()
            .where(CustomerAddress.contact_id == contact_id)
            .order_by(CustomerAddress.id.desc())
        )

    async def address(self, contact_id: UUID, address_id: UUID) -> CustomerAddress:
        """Raises AddressNotFound, also for another customer's address."""
        row = await self.get(address_id, lock=True)
        if row.contact_id != contact_id:
            raise AddressNotFound()
        return row

    async def statistics(self, contact_id: UUID) -> OrderStatistics:
        """Counted in one pass over the customer's own orders, by their index."""
        counted = (Order.contact_id == contact_id, Order.status.not_in(NOT_COUNTED))
        sums = (
            await self.session.execute(
                select(
                    func.count(),
                    func.coalesce(func.sum(Order.total_cents), 0),
                    func.coalesce(func.round(func.avg(Order.total_cents)), 0),
                ).where(*counted)
            )
        ).one()
        newest = (
            await self.session.execute(
                select(Order.id, Order.number, Order.status, Order.total_cents, Order.placed_at)
                .where(*counted)
                .order_by(Order.placed_at.desc(), Order.id.desc())
                .limit(1)
            )
        ).one_or_none()
        last = LastOrder(*newest) if newest else None
        return OrderStatistics(int(sums[0]), int(sums[1]), int(sums[2]), last)
