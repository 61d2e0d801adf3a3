"""Queries over orders. No rules, no commits, no tenant filters: Postgres applies those."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, exists, func, literal, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, selectinload

from app.commerce.orders.models import Order, OrderStatusChange
from app.commerce.orders.problems import OrderNotFound
from app.commerce.orders.rules import OPEN, OrderFilter, OrderSort
from app.commerce.payments.models import PAYMENT_METHODS, Payment, PaymentRefund
from app.commerce.payments.rules import AWAITED
from app.commerce.promotions.models import PromotionRedemption
from app.commerce.stores.models import Store
from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.core.phone import InvalidPhone, normalise_phone
from app.core.repository import Repository
from app.kernel.contacts.conditions import people

_FEW = 5_000


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
        # A plan that is kept would guess how rare a status or an instant is.
        await (await self.raw()).execute("SET LOCAL plan_cache_mode = force_custom_plan")
        statement = self.query().where(*_conditions(only))
        if whole:
            statement = statement.options(
                selectinload(Order.payments), selectinload(Order.delivery)
            )
        column, descending = _order(only)
        if column is Order.id:
            return await self.page(statement, request)
        key: ColumnElement[Any] = column.expression
        if await self._are_few(only):
            # Not the index's own order: these few are fetched by their state and sorted, where
            # a walk through time might pass a million others between them.
            key = column + literal(timedelta())
        if request.cursor is not None:
            last = await self.session.scalar(select(column).where(Order.id == request.cursor))
            here, there = tuple_(key, Order.id), tuple_(last, request.cursor)
            statement = statement.where(here < there if descending else here > there)
        keys = (key.desc(), Order.id.desc()) if descending else (key, Order.id)
        rows = await self.all(statement.order_by(*keys).limit(request.limit + 1))
        items = rows[: request.limit]
        return Page(items, items[-1].id if len(rows) > request.limit else None)

    async def _are_few(self, only: OrderFilter) -> bool:
        """Whether hardly any order has the state that is asked for; reads no more than ``_FEW``."""
        if only.payment_status is not None:
            state = select(Payment.id).where(*_paid(only))
        elif only.status is not None or only.late is not None:
            wanted = OPEN if only.status is None else (only.status,)
            state = select(Order.id).where(Order.status.in_(wanted))
        else:
            return False
        found = select(func.count()).select_from(state.limit(_FEW + 1).subquery())
        return (await self.session.scalar(found) or 0) <= _FEW

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

    async def to_confirm(
        self, order_id: UUID | None = None, after: UUID | None = None
    ) -> list[UUID]:
        """Orders that wait for nobody's money and have waited as their store says: 100 beyond
        ``after``, or this one.

        Those of yesterday are left to people: who switches this on means what comes from now on.
        So are those whose money goes back, unless the rest of it still covers them.
        """
        awaited = exists().where(
            Payment.order_id == Order.id,
            Payment.method.in_(AWAITED),
            Payment.status.in_(("pending", "authorised", "failed")),
            Payment.amount_cents > 0,
        )
        waited = Store.auto_confirm_minutes * literal(timedelta(minutes=1))
        statement = (
            select(Order.id)
            .join(Store, Store.id == Order.store_id)
            .where(
                Order.status == "pending",
                Store.auto_confirm_minutes.is_not(None),
                Order.placed_at <= func.now() - waited,
                Order.placed_at > func.now() - timedelta(days=1),
                ~awaited,
                ~_uncovered(),
            )
            .order_by(Order.id)
            .limit(100)
        )
        if order_id is not None:
            statement = statement.where(Order.id == order_id)
        if after is not None:
            statement = statement.where(Order.id > after)
        return list(await self.session.scalars(statement))

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
    if only.payment_status is not None or only.payment_method is not None:
        yield exists().where(Payment.order_id == Order.id, *_paid(only))
    if only.promotion_id is not None:
        yield exists().where(
            PromotionRedemption.order_id == Order.id,
            PromotionRedemption.promotion_id == only.promotion_id,
        )


def _paid(only: OrderFilter) -> Iterator[ColumnElement[bool]]:
    # All methods by name, where none is asked for: the index begins with them.
    methods = PAYMENT_METHODS if only.payment_method is None else (only.payment_method,)
    yield Payment.method.in_(methods)
    if only.payment_status is not None:
        yield Payment.status == only.payment_status


def _matches(text: str) -> ColumnElement[bool]:
    """One condition with one index each; of two alternatives the planner would use none."""
    digits = text.lstrip("#")
    if digits.isdigit() and len(digits) < 8:
        return Order.number == int(digits)
    if any(c.isdigit() for c in text) and not _is_phone(text):
        return Order.external_ref == text
    # As an array, made once: of a subquery the planner expects so many that it reads all orders.
    return Order.contact_id == func.any(func.array(people(text).scalar_subquery()))


def _uncovered() -> ColumnElement[bool]:
    """Money went back, or is going, and what is left does not pay the order (``rules.balance``)."""
    received = select(func.coalesce(func.sum(Payment.received_cents), 0)).where(
        Payment.order_id == Order.id
    )
    # NULL, and so never true, where nothing goes back.
    returned = select(func.sum(PaymentRefund.amount_cents)).where(
        PaymentRefund.order_id == Order.id, PaymentRefund.status != "failed"
    )
    short = received.scalar_subquery() - returned.scalar_subquery() < Order.total_cents
    return func.coalesce(short, False)


def _is_phone(text: str) -> bool:
    try:
        normalise_phone(text)
    except InvalidPhone:
        return False
    return True
