"""The few queries of the desk: whom an order is for, and prices that staff set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import update

from app.commerce.desk.problems import OrderCustomerNotFound
from app.commerce.orders.models import OrderEdit, OrderItem
from app.commerce.payments.models import Payment
from app.core.repository import Repository
from app.kernel.contacts.models import Contact


class DeskRepository(Repository[Contact]):
    model = Contact
    missing = OrderCustomerNotFound

    async def mark_prices(self, order_id: UUID, list_prices: Mapping[int, int]) -> None:
        """Keep what the catalogue asked of the lines whose price staff set."""
        for position, cents in list_prices.items():
            await self.session.execute(
                update(OrderItem)
                .where(OrderItem.order_id == order_id, OrderItem.position == position)
                .values(list_price_cents=cents)
            )

    async def replace_lines(self, old: Sequence[OrderItem], new: Sequence[OrderItem]) -> None:
        """Keep ``new`` alone; lines that stay are the same rows."""
        for row in old:
            if row not in new:
                await self.session.delete(row)
        self.session.add_all(new)
        await self.flush()

    async def write(self, row: Payment | OrderEdit) -> None:
        self.session.add(row)
        await self.flush()
