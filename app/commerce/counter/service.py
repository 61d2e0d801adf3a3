"""What the shop does with its orders all day: watch the board, note, look back, print, export."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import asdict
from uuid import UUID

from app.commerce.counter.printing import ticket
from app.commerce.counter.repository import CounterRepository
from app.commerce.counter.rules import (
    COLUMNS,
    csv_row,
    edit_words,
    payment_words,
    status_words,
)
from app.commerce.counter.schemas import (
    BoardRead,
    ColumnRead,
    MomentRead,
    TimelineRead,
)
from app.commerce.orders.models import Order, OrderNote
from app.commerce.orders.rules import OPEN, OrderFilter, OrderStatus
from app.commerce.orders.schemas import OrderSummaryRead
from app.commerce.orders.service import OrderService, shown
from app.contracts.commerce import OrderMessages
from app.core.pagination import PageRequest
from app.core.tabular import csv_lines
from app.kernel.work import Work, WorkFactory

_BATCH = 500


async def export(works: WorkFactory, only: OrderFilter) -> AsyncGenerator[bytes, None]:
    """All matching orders as CSV, in batches: memory and Works stay small.

    Taking customers' data out of the house is an audit line, written before the first byte.
    """
    async with works() as work:
        filters = sorted(name for name, value in asdict(only).items() if value is not None)
        work.record("commerce.orders_exported", "order", None, filters=filters)
    return _batches(works, only)


async def _batches(works: WorkFactory, only: OrderFilter) -> AsyncGenerator[bytes, None]:
    page: PageRequest | None = PageRequest(_BATCH)
    yield csv_lines([COLUMNS])
    while page is not None:
        # A Work per batch: a slow reader holds no transaction open.
        async with works() as work:
            found = await OrderService(work).whole(page, only)
            lines = csv_lines(csv_row(order) for order in found.items)
        yield lines
        page = PageRequest(_BATCH, found.next_cursor) if found.next_cursor else None


class CounterService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.counter = CounterRepository(work.session)
        self.orders = OrderService(work)

    async def board(self, store_id: UUID | None, each: int) -> BoardRead:
        """Open orders by store and status, in two statements whatever there is."""
        tallies = await self.counter.tallies(store_id)
        newest: dict[tuple[UUID, str], list[OrderSummaryRead]] = {}
        for order in await self.counter.newest(store_id, each):
            row = OrderSummaryRead.model_validate(order)
            newest.setdefault((order.store_id, order.status), []).append(row)
        columns = [
            ColumnRead(
                store_id=tally.store_id,
                status=OrderStatus(tally.status),
                count=tally.count,
                late=tally.late,
                newest=newest.get((tally.store_id, tally.status), []),
            )
            for tally in tallies
        ]
        return BoardRead(columns=sorted(columns, key=lambda c: (c.store_id, OPEN.index(c.status))))

    async def note(self, order_id: UUID, body: str) -> OrderNote:
        """Write an internal note. Raises OrderNotFound."""
        await self.orders.known(order_id)
        note = await self.counter.add(
            OrderNote(order_id=order_id, body=body, actor_name=self.work.actor.name)
        )
        await self.work.session.refresh(note)
        self.work.record("commerce.order_noted", "order", order_id, note_id=note.id)
        return note

    async def remove_note(self, order_id: UUID, note_id: UUID) -> None:
        """Take a note away; the audit keeps what it said. Raises NoteNotFound."""
        note = await self.counter.get(note_id, lock=True)
        if note.order_id != order_id:
            raise self.counter.missing()
        await self.counter.delete(note)
        self.work.record("commerce.order_note_removed", "order", order_id, before=note.body)

    async def timeline(self, order_id: UUID) -> TimelineRead:
        """Everything that happened to an order, oldest first. Raises OrderNotFound."""
        order = await self.orders.full(order_id)
        messages = await self.work.port(OrderMessages).of_order(order_id)
        moments = _moments(order)
        moments += [
            MomentRead(
                at=message.at,
                kind="message",
                who=None,
                text=message.text,
                facts={"channel": message.channel, "state": message.state},
            )
            for message in messages
        ]
        return TimelineRead(moments=sorted(moments, key=lambda moment: moment.at))

    async def ticket(self, order_id: UUID, width: int) -> tuple[int, list[str]]:
        """The order's number, and its lines on paper. Raises OrderNotFound."""
        order = await self.orders.full(order_id)
        store = await self.orders.store_of(order)
        return order.number, ticket(shown(order), store.name, store.timezone, width)


def _moments(order: Order) -> list[MomentRead]:
    return [
        *(
            MomentRead(
                at=change.created_at,
                kind="status",
                who=change.actor_name,
                text=status_words(change),
                facts={"before": change.before, "after": change.after, "reason": change.reason},
            )
            for change in order.history
        ),
        *(
            MomentRead(
                at=edit.created_at,
                kind="edit",
                who=edit.actor_name,
                text=edit_words(edit),
                facts={"difference_cents": edit.difference_cents, "version": edit.version},
            )
            for edit in order.edits
        ),
        *(
            MomentRead(
                at=payment.created_at,
                kind="payment",
                who=None,
                text=payment_words(payment),
                facts={"method": payment.method, "status": payment.status},
            )
            for payment in order.payments
        ),
        *(
            MomentRead(
                at=note.created_at, kind="note", who=note.actor_name, text=note.body, facts={}
            )
            for note in order.notes
        ),
    ]
