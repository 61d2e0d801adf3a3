"""Queries over customers' addresses and over what they ordered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Text, cast, func, select, true, tuple_
from sqlalchemy.dialects.postgresql import aggregate_order_by

from app.commerce.customers.models import CustomerAddress
from app.commerce.customers.problems import AddressNotFound
from app.commerce.orders.models import Order, OrderItem
from app.core.repository import Repository
from app.kernel.contacts.models import Contact

NOT_COUNTED = ("cancelled", "rejected")


@dataclass(frozen=True, slots=True)
class LastOrder:
    id: UUID
    number: int
    status: str
    total_cents: int
    placed_at: datetime


@dataclass(frozen=True, slots=True)
class Favourite:
    """What a customer orders most; ``product_id`` None: it is no product of the catalogue."""

    product_id: UUID | None
    name: str
    quantity: int
    orders: int


@dataclass(frozen=True, slots=True)
class OrderStatistics:
    count: int
    total_cents: int
    average_cents: int
    last_order: LastOrder | None
    first_order_at: datetime | None = None
    favourites: Sequence[Favourite] = ()


@dataclass(frozen=True, slots=True)
class ShopStatistics:
    """All customers of a shop, taken together."""

    customers: int
    ordered: int
    returning: int
    blocked: int
    new_30_days: int
    average_cents: int
    best: Sequence[Best] = ()


@dataclass(frozen=True, slots=True)
class Best:
    contact_id: UUID
    name: str
    count: int
    total_cents: int


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
                    func.min(Order.placed_at),
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
        return OrderStatistics(
            int(sums[0]), int(sums[1]), int(sums[2]), last, sums[3],
            await self._favourites(contact_id),
        )  # fmt: skip

    async def _favourites(self, contact_id: UUID) -> Sequence[Favourite]:
        """The five items ordered most, under the name they were sold by last."""
        quantity = func.sum(OrderItem.quantity).label("quantity")
        key = func.coalesce(cast(OrderItem.product_id, Text), OrderItem.name)
        newest = func.array_agg(aggregate_order_by(OrderItem.name, OrderItem.id.desc()))[1]
        rows = await self.session.execute(
            select(
                OrderItem.product_id,
                newest,
                quantity,
                func.count(OrderItem.order_id.distinct()),
            )
            .join(Order, Order.id == OrderItem.order_id)
            .where(Order.contact_id == contact_id, Order.status.not_in(NOT_COUNTED))
            .group_by(key, OrderItem.product_id)
            .order_by(quantity.desc(), key)
            .limit(5)
        )
        return [Favourite(product, name, int(q), int(orders)) for product, name, q, orders in rows]

    async def shop_statistics(self, now: datetime) -> ShopStatistics:
        """Counted in one pass over the customers and one over the orders."""
        people = Contact.merged_into_id.is_(None)
        each = (
            select(
                Order.contact_id,
                func.count().label("count"),
                func.sum(Order.total_cents).label("total"),
            )
            .where(Order.status.not_in(NOT_COUNTED))
            .group_by(Order.contact_id)
            .cte("each")
        )
        average = func.round(func.sum(each.c.total) / func.sum(each.c.count))
        totals = select(
            func.count().label("ordered"),
            func.count().filter(each.c.count > 1).label("returning"),
            func.coalesce(average, 0).label("ticket"),
        ).subquery()
        first = (each.c.total.desc(), each.c.contact_id)
        top = select(each).order_by(*first).limit(10).subquery()
        # Asked together, so that the orders are gone through once; without any, one empty row.
        rows = await self.session.execute(
            select(totals, Contact.id, Contact.name, top.c.count, top.c.total)
            .select_from(totals)
            .outerjoin(top, true())
            .outerjoin(Contact, Contact.id == top.c.contact_id)
            .order_by(top.c.total.desc(), top.c.contact_id)
        )
        best = rows.all()
        ordered, returning, ticket = best[0][:3]
        month = func.count().filter(Contact.created_at >= now - timedelta(days=30))
        who = await self.session.execute(
            select(func.count(), func.count().filter(Contact.is_blocked), month).where(people)
        )
        customers, blocked, new = who.one()
        return ShopStatistics(
            customers, ordered, returning, blocked, new, int(ticket),
            [Best(id, name, count, int(total)) for *_, id, name, count, total in best if id],
        )  # fmt: skip

    async def story(
        self, contact_ids: Sequence[UUID], before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Order]:
        """The customers' orders before a place in the timeline, newest first."""
        statement = select(Order).where(Order.contact_id.in_(contact_ids))
        if before is not None:
            statement = statement.where(tuple_(Order.placed_at, Order.id) < before)
        newest = statement.order_by(Order.placed_at.desc(), Order.id.desc()).limit(limit)
        return (await self.session.scalars(newest)).all()
