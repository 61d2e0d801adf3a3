"""Queries over orders. No rules, no commits, no tenant filters: Postgres applies those."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, exists, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, selectinload

from app.commerce.orders.models import Order, OrderStatusChange
from app.commerce.orders.problems import OrderNotFound
from app.commerce.orders.rules import OPEN, OrderFilter, OrderSort
from app.commerce.payments.models import Payment
from app.commerce.promotions.models import PromotionRedemption
from app.commerce.stores.models import Store
from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.core.phone import InvalidPhone, normalise_phone
from app.core.repository import Repository
from app.kernel.contacts.conditions import people


class OrderRepository(Repository[Order]):
    model = Order
    missing = OrderNotFound

    async def full(self, order_id: UUID) -> Order:
        """The order and all that is its own, in nine statements. Raises OrderNotFound."""
        statement = (
            self.query()
            .where(Order.id == order_id)
            .options(
                selectinload(Order.items),
                selectinload(Order.payments),
                selectinload(Order.refunds),
                selectinload(Order.delivery),
                selectinload(Order.history),
                selectinload(Order.redemptions),
                selectinload(Order.notes),
                selectinload(Order.edits),
            )
            .execution_options(populate_existing=True)
        )
        order = await self.one_or_none(statement)
        if order is None:
            raise OrderNotFound()
        return order

    async def store_of(self, order: Order) -> Store:
        found = await self.session.execute(select(Store).where(Store.id == order.store_id))
        return found.scalar_one()

    async def id_by_number(self, number: int) -> UUID | None:
        return await self.session.scalar(select(Order.id).where(Order.number == number))

    async def recent(
        self, request: PageRequest, only: OrderFilter, *, whole: bool = False
    ) -> Page[Order]:
        """A page, newest first unless a sort or a span of time says otherwise.

        Every filter has its index; ``whole`` brings payments and delivery along.
        """
        statement = self.query().where(*_conditions(only))
        if whole:
            statement = statement.options(
                selectinload(Order.payments), selectinload(Order.delivery)
            )
        column, descending = _order(only)
        if column is Order.id:
            return await self.page(statement, request)
        if request.cursor is not None:
            last = await self.session.scalar(select(column).where(Order.id == request.cursor))
            here, there = tuple_(column, Order.id), tuple_(last, request.cursor)
            statement = statement.where(here < there if descending else here > there)
        keys = (column.desc(), Order.id.desc()) if descending else (column, Order.id)
        rows = await self.all(statement.order_by(*keys).limit(request.limit + 1))
        items = rows[: request.limit]
        return Page(items, items[-1].id if len(rows) > request.limit else None)

    async def has_other_orders(self, order: Order) -> bool:
        """Whether this customer ordered anything else that was not called off."""
        found = await self.session.scalar(
            select(Order.id)
            .where(
                Order.contact_id == order.contact_id,
                Order.id != order.id,
                Order.status.not_in(("cancelled", "rejected")),
            )
            .limit(1)
        )
        return found is not None

    async def remember(self, change: OrderStatusChange) -> None:
        """Write a line of the order's history."""
        self.session.add(change)
        await self.flush()


def _order(only: OrderFilter) -> tuple[InstrumentedAttribute[Any], bool]:
    """The column a list goes by, and whether downwards.

    A span of time is walked by its own index: by id, an old month would read all that is newer.
    """
    if only.sort is OrderSort.PROMISED:
        return Order.promised_at, False
    if only.is_placed:
        return Order.placed_at, True
    if only.is_scheduled:
        return Order.scheduled_for, False
    return Order.id, True


def _conditions(only: OrderFilter) -> Iterator[ColumnElement[bool]]:
    for column, value in (
        (Order.status, only.status),
        (Order.store_id, only.store_id),
        (Order.contact_id, only.contact_id),
    ):
        if value is not None:
            yield column == value
    for column, name, word in (
        (Order.source, "source", only.source),
        (Order.fulfilment, "fulfilment", only.fulfilment),
    ):
        if word is not None:
            # In the text of the statement: only so may a plan that is kept use the partial index.
            yield column == bindparam(name, str(word), literal_execute=True)
    if only.query:
        yield _matches(only.query.strip())
    yield from _spans(only)
    yield from _of_others(only)
    yield from _by_promise(only)


def _spans(only: OrderFilter) -> Iterator[ColumnElement[bool]]:
    for column, lowest, below in (
        (Order.placed_at, only.placed_from, only.placed_to),
        (Order.scheduled_for, only.scheduled_from, only.scheduled_to),
    ):
        if lowest is not None:
            yield column >= lowest
        if below is not None:
            yield column < below
    if only.is_scheduled:
        yield Order.scheduled_for.is_not(None)


def _by_promise(only: OrderFilter) -> Iterator[ColumnElement[bool]]:
    if only.late is not None:
        late = Order.promised_at < now()
        yield Order.status.in_(OPEN)
        yield late if only.late else or_(~late, Order.promised_at.is_(None))
    if only.sort is OrderSort.PROMISED:
        yield Order.status.in_(OPEN)
        yield Order.promised_at.is_not(None)


def _of_others(only: OrderFilter) -> Iterator[ColumnElement[bool]]:
    """What is said of an order in other tables."""
    paid = [
        column == value
        for column, value in (
            (Payment.status, only.payment_status),
            (Payment.method, only.payment_method),
        )
        if value is not None
    ]
    if paid:
        yield exists().where(Payment.order_id == Order.id, *paid)
    if only.promotion_id is not None:
        yield exists().where(
            PromotionRedemption.order_id == Order.id,
            PromotionRedemption.promotion_id == only.promotion_id,
        )


def _matches(text: str) -> ColumnElement[bool]:
    """One condition with one index each; of two alternatives the planner would use none."""
    digits = text.lstrip("#")
    if digits.isdigit() and len(digits) < 8:
        return Order.number == int(digits)
    if any(c.isdigit() for c in text) and not _is_phone(text):
        return Order.external_ref == text
    return Order.contact_id.in_(people(text))


def _is_phone(text: str) -> bool:
    try:
        normalise_phone(text)
    except InvalidPhone:
        return False
    return True
