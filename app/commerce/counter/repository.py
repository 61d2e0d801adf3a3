"""Queries of the counter: the board in two statements, and internal notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from app.commerce.counter.problems import NoteNotFound
from app.commerce.orders.models import Order, OrderNote
from app.commerce.orders.rules import OPEN
from app.core.clock import now
from app.core.repository import Repository


@dataclass(frozen=True, slots=True)
class Tally:
    store_id: UUID
    status: str
    count: int
    late: int


class CounterRepository(Repository[OrderNote]):
    model = OrderNote
    missing = NoteNotFound

    async def tallies(self, store_id: UUID | None) -> list[Tally]:
        """Open orders by store and status; the index over status finds them among all."""
        late = func.count().filter(Order.promised_at < now())
        statement = select(Order.store_id, Order.status, func.count(), late).where(
            Order.status.in_(OPEN)
        )
        if store_id is not None:
            statement = statement.where(Order.store_id == store_id)
        grouped = statement.group_by(Order.store_id, Order.status)
        return [Tally(*row) for row in await self.session.execute(grouped)]

    async def newest(self, store_id: UUID | None, each: int) -> Sequence[Order]:
        """The ``each`` newest of every store and open status, newest first."""
        place = func.row_number().over(
            partition_by=(Order.store_id, Order.status), order_by=Order.id.desc()
        )
        inner = select(Order, place.label("place")).where(Order.status.in_(OPEN))
        if store_id is not None:
            inner = inner.where(Order.store_id == store_id)
        ranked = inner.subquery()
        found = aliased(Order, ranked)
        statement = select(found).where(ranked.c.place <= each).order_by(ranked.c.id.desc())
        return (await self.session.execute(statement)).scalars().all()
