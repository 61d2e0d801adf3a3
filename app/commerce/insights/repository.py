"""Reads and writes the sums, in hand-written statements on the Work's own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.commerce.insights import sql
from app.commerce.insights.rules import Segment, StoreSums
from app.core.database import RawConnection, raw

KINDS_BUT_PRODUCTS = (
    "sales", "discount", "status", "reason", "customer", "hour", "fulfilment", "source",
    "payment", "promotion", "distance", "time",
)  # fmt: skip
SERIES = ("sales", "customer", "status", "discount", "time")
# Hours are shown of the current period alone; of last year, no more than of a series.
BEFORE = tuple(kind for kind in KINDS_BUT_PRODUCTS if kind != "hour")
_DEPTHS = (4, 64)
"""How many times the asked number of products is read of each list, before all of it is."""
_ALL = 2**31
_NEVER = date(1, 1, 1)


@dataclass(frozen=True, slots=True)
class Figure:
    """One sum of a period; with ``day``, of the bucket that begins then."""

    period: int
    day: date | None
    kind: str
    key: str
    label: str
    orders: int
    quantity: int
    amount_cents: int


@dataclass(frozen=True, slots=True)
class StoreState:
    sums: StoreSums
    slug: str
    today: date
    open_from: date
    """The first day that is not closed long enough to be summed up."""
    is_current: bool
    """Whether the sums are of the timezone that the store has now."""


class InsightRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def _raw(self) -> RawConnection:
        return await raw(self._session)

    async def one_snapshot(self) -> None:
        """Let all that follows see one moment; must come first in its transaction."""
        await (await self._raw()).execute(sql.ONE_SNAPSHOT)

    async def lock(self) -> None:
        """Be the only one who sums up for this tenant, until the commit."""
        await (await self._raw()).execute(sql.LOCK)

    async def stores(self, store_id: UUID | None = None) -> list[StoreState]:
        """Every store, or this one, with how far its sums may be believed."""
        found = []
        for row in await (await self._raw()).fetch(sql.STORES, store_id):
            is_current = row["summed_timezone"] == row["timezone"]
            until = row["rolled_until"] if is_current else _NEVER
            sums = StoreSums(row["id"], row["timezone"], until, frozenset(row["dirty"] or ()))
            found.append(StoreState(sums, row["slug"], row["today"], row["open_from"], is_current))
        return found

    async def figures(
        self, totals: Sequence[Segment], series: Sequence[Segment], grain: str, products: int
    ) -> list[Figure]:
        """All sums of the periods: in one statement, unless nearly all products sell alike."""
        for depth in (*(max(64, products * times) for times in _DEPTHS), _ALL):
            found = await self._figures(totals, series, grain, products, depth)
            if all(f.orders for f in found if f.kind == "proof"):
                break
        return [f for f in found if f.kind != "proof"]

    async def _figures(
        self, totals: Sequence[Segment], series: Sequence[Segment], grain: str, products: int,
        depth: int,
    ) -> list[Figure]:  # fmt: skip
        cells = [s for s in totals if s.source != "orders"]
        days = [s for s in series if s.source == "day"]
        rows = await (await self._raw()).fetch(
            sql.ANSWER,
            *_orders_of(totals),
            [s.period for s in cells],
            [s.store.id for s in cells],
            [s.source for s in cells],
            [s.since for s in cells],
            [s.until for s in cells],
            [s.period for s in days],
            [s.store.id for s in days],
            [s.since for s in days],
            [s.until for s in days],
            products,
            SERIES,
            KINDS_BUT_PRODUCTS,
            grain,
            BEFORE,
            depth,
        )
        return [Figure(*row) for row in rows]

    async def sales(self, parts: Sequence[Segment]) -> dict[date, tuple[int, int]]:
        """Orders that count, and what they came to, by day."""
        cells = [s for s in parts if s.source == "day"]
        rows = await (await self._raw()).fetch(
            sql.SALES,
            *_orders_of(parts),
            [s.store.id for s in cells],
            [s.since for s in cells],
            [s.until for s in cells],
        )
        return {row["day"]: (row["orders"], row["amount_cents"]) for row in rows}

    async def changes(self) -> list[UUID]:
        """What is noted and not yet summed up."""
        return [row["id"] for row in await (await self._raw()).fetch(sql.CHANGES)]

    async def forget_changes(self, ids: Sequence[UUID]) -> None:
        await (await self._raw()).execute(sql.FORGET_CHANGES, ids)

    async def sum_up(self, parts: Sequence[Segment]) -> None:
        """Count these days and keep the sums; they must not be kept already."""
        await (await self._raw()).execute(sql.SUM_UP_DAYS, *_orders_of(parts))

    async def sum_up_months(self, months: Sequence[tuple[UUID, date]]) -> None:
        """Add up the days of these whole months anew."""
        ids, days = [m[0] for m in months], [m[1] for m in months]
        await (await self._raw()).execute(sql.CLEAR, ids, days, "month")
        await (await self._raw()).execute(sql.SUM_UP_MONTHS, ids, days)

    async def clear_days(self, days: Sequence[tuple[UUID, date]]) -> None:
        await (await self._raw()).execute(
            sql.CLEAR, [d[0] for d in days], [d[1] for d in days], "day"
        )

    async def clear_store(self, store_id: UUID, since: date = _NEVER) -> None:
        await (await self._raw()).execute(sql.CLEAR_STORE, store_id, since)

    async def first_order_at(self, store_id: UUID) -> datetime | None:
        found: datetime | None = await (await self._raw()).fetchval(sql.FIRST_ORDER, store_id)
        return found

    async def set_progress(self, store: StoreSums, until: date) -> None:
        await (await self._raw()).execute(sql.SET_PROGRESS, store.id, store.timezone, until)

    async def forget_progress(self) -> None:
        """Believe no sum of this tenant any more."""
        await (await self._raw()).execute(sql.FORGET_PROGRESS)


def _orders_of(parts: Sequence[Segment]) -> tuple[list[object], ...]:
    read = [s for s in parts if s.source == "orders"]
    instants = [s.instants() for s in read]
    return (
        [s.period for s in read],
        [s.store.id for s in read],
        [s.store.timezone for s in read],
        [i[0] for i in instants],
        [i[1] for i in instants],
        [s.since for s in read],
        [s.until for s in read],
    )


async def tenants_waiting(session: AsyncSession) -> list[UUID]:
    """Of all tenants, those with something to sum up; takes a system session."""
    return [row["tenant_id"] for row in await (await raw(session)).fetch(sql.WAITING)]
