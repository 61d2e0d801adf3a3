"""Queries over orders. No rules, no commits, no tenant filters: Postgres applies those."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import selectinload

from app.commerce.orders.models import Order, OrderStatusChange
from app.commerce.orders.problems import OrderNotFound
from app.commerce.orders.rules import OrderFilter
from app.commerce.stores.models import Store
from app.core.pagination import Page, PageRequest
from app.core.phone import InvalidPhone, normalise_phone, phone_match_keys
from app.core.repository import Repository


class OrderRepository(Repository[Order]):
    model = Order
    missing = OrderNotFound

    async def full(self, order_id: UUID) -> Order:
        """The order and all that is its own, in six statements. Raises OrderNotFound."""
        statement = (
            self.query()
            .where(Order.id == order_id)
            .options(
                selectinload(Order.items),
                selectinload(Order.payments),
                selectinload(Order.delivery),
                selectinload(Order.history),
                selectinload(Order.redemptions),
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

    async def recent(self, request: PageRequest, only: OrderFilter) -> Page[Order]:
        """Newest first, by id; every filter has its index or reads the newest rows."""
        statement = self.query()
        for column, value in (
            (Order.status, only.status),
            (Order.fulfilment, only.fulfilment),
            (Order.store_id, only.store_id),
            (Order.contact_id, only.contact_id),
        ):
            if value is not None:
                statement = statement.where(column == value)
        if only.placed_from is not None:
            statement = statement.where(Order.placed_at >= only.placed_from)
        if only.placed_to is not None:
            statement = statement.where(Order.placed_at < only.placed_to)
        if only.query:
            statement = statement.where(self._matches(only.query.strip()))
        return await self.page(statement, request)

    @staticmethod
    def _matches(text: str) -> ColumnElement[bool]:
        digits = text.lstrip("#")
        if digits.isdigit() and len(digits) < 8:
            return Order.number == int(digits)
        try:
            return Order.customer_phone.in_(phone_match_keys(normalise_phone(text)))
        except InvalidPhone:
            escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            return or_(Order.customer_name.ilike(f"{escaped}%"), Order.external_ref == text)

    async def remember(self, change: OrderStatusChange) -> None:
        """Write a line of the order's history."""
        self.session.add(change)
        await self.flush()
