"""Insights: figures of periods from sums and open days, and keeping those sums."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from app.commerce.insights.problems import PeriodInvalid
from app.commerce.insights.repository import (
    Figure,
    InsightRepository,
    StoreState,
    tenants_waiting,
)
from app.commerce.insights.rules import (
    CURRENT,
    LAST_YEAR,
    MOST_DAYS,
    ONE_DAY,
    PREVIOUS,
    Grain,
    Period,
    Segment,
    buckets,
    month_after,
    segments,
)
from app.commerce.insights.schemas import Bucket, Figures, Hour, Insights, Part
from app.commerce.stores.problems import StoreNotFound
from app.core.clock import now
from app.kernel.work import Actor, Runtime, Work, system_work, unit_of_work

ROLL_UP = "commerce.insights.roll_up"
_EVERY_S = 15.0
_MOST_DIRTY = 62
"""More dirty days of a store than this: its sums are cut back and made anew month by month."""
_DEFAULT_DAYS = 30
_ACTOR = Actor("system", "insights")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """Of which days (both included; None: the last 30), at which store, in which buckets."""

    store_id: UUID | None = None
    since: date | None = None
    until: date | None = None
    grain: Grain = Grain.DAY
    products: int = 20


class InsightService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.insights = InsightRepository(work.session)

    async def summary(self, asked: Asked) -> Insights:
        """Everything of one period, in three statements. Raises StoreNotFound, PeriodInvalid."""
        await self.insights.one_snapshot()
        stores = await self.insights.stores(asked.store_id)
        if asked.store_id is not None and not stores:
            raise StoreNotFound()
        current = _period(asked, stores)
        periods = (current, current.before(), current.last_year())
        sums = [state.sums for state in stores]
        found = await self.insights.figures(
            [s for n, p in enumerate(periods) for store in sums for s in segments(n, p, store)],
            [
                s
                for n, p in enumerate(periods[:LAST_YEAR])
                for store in sums
                for s in segments(n, p, store, months=False)
            ],
            asked.grain.value,
            asked.products,
        )
        return _answer(asked, periods, found)

    async def sales(
        self, since: date, until: date, store_id: UUID | None
    ) -> dict[date, tuple[int, int]]:
        """By day (both included) the orders that count and their cents; must come first in its
        transaction, all of which sees one moment then. Raises StoreNotFound."""
        await self.insights.one_snapshot()
        stores = await self.insights.stores(store_id)
        if store_id is not None and not stores:
            raise StoreNotFound()
        period = Period(since, until + ONE_DAY)
        return await self.insights.sales(
            [s for store in stores for s in segments(0, period, store.sums, months=False)]
        )

    async def rebuild(self) -> None:
        """Believe no sum any more and queue their making; answers stay exact meanwhile."""
        await self.insights.lock()
        await self.insights.forget_progress()
        self.work.record("commerce.insights_rebuilt", "insights", None)
        self.work.enqueue(ROLL_UP, {})

    async def roll_up(self) -> bool:
        """Take in what changed and at most one more month of each store; whether more is left."""
        await self.insights.lock()
        ids = await self.insights.changes()
        states = await self.insights.stores()
        for state in states:
            if not state.is_current:
                await self._begin(state)
        await self._take_in([s for s in states if s.is_current], ids)
        left = False
        for state in await self.insights.stores():
            left = await self._go_on(state) or left
        return left

    async def _begin(self, state: StoreState) -> None:
        await self.insights.clear_store(state.sums.id)
        first = await self.insights.first_order_at(state.sums.id)
        day = (first or now()).astimezone(ZoneInfo(state.sums.timezone)).date() - ONE_DAY
        # Before the first order there is nothing; an older one that comes is a change.
        await self.insights.set_progress(state.sums, min(day.replace(day=1), state.open_from))

    async def _take_in(self, states: Sequence[StoreState], ids: Sequence[UUID]) -> None:
        """Sum up anew every day that the changes concern, then forget the changes."""
        await self.insights.forget_changes(ids)
        days: list[tuple[UUID, date]] = []
        parts: list[Segment] = []
        for sums in (state.sums for state in states):
            dirty = sorted(day for day in sums.dirty if day < sums.rolled_until)
            if len(dirty) > _MOST_DIRTY:
                since = dirty[0].replace(day=1)
                await self.insights.clear_store(sums.id, since)
                await self.insights.set_progress(sums, since)
                continue
            days += [(sums.id, day) for day in dirty]
            parts += [Segment(0, sums, "orders", day, day + ONE_DAY) for day in dirty]
        if days:
            await self.insights.clear_days(days)
            await self.insights.sum_up(parts)
            until = {state.sums.id: state.sums.rolled_until for state in states}
            months = {(store, day.replace(day=1)) for store, day in days}
            await self.insights.sum_up_months(
                sorted(m for m in months if month_after(m[1]) <= until[m[0]])
            )

    async def _go_on(self, state: StoreState) -> bool:
        sums = state.sums
        since, until = sums.rolled_until, min(month_after(sums.rolled_until), state.open_from)
        if since >= until:
            return False
        await self.insights.sum_up([Segment(0, sums, "orders", since, until)])
        if until.day == 1:
            month = (until - ONE_DAY).replace(day=1)
            await self.insights.sum_up_months([(sums.id, month)])
        await self.insights.set_progress(sums, until)
        return until < state.open_from


def _period(asked: Asked, stores: Sequence[StoreState]) -> Period:
    today = max((state.today for state in stores), default=now().astimezone(UTC).date())
    until = asked.until or (today if asked.since is None else max(today, asked.since))
    since = asked.since or until - timedelta(days=_DEFAULT_DAYS - 1)
    period = Period(since, until + ONE_DAY)
    if not 1 <= period.days <= MOST_DAYS:
        raise PeriodInvalid(since=since, until=until)
    return period


def _answer(asked: Asked, periods: Sequence[Period], found: Sequence[Figure]) -> Insights:
    totals = [f for f in found if f.day is None]
    current = periods[CURRENT]
    return Insights(
        since=current.since,
        until=current.until - ONE_DAY,
        previous_since=periods[PREVIOUS].since,
        last_year_since=periods[LAST_YEAR].since,
        grain=asked.grain,
        store_id=asked.store_id,
        currency="BRL",
        current=_figures(f for f in totals if f.period == CURRENT),
        previous=_figures(f for f in totals if f.period == PREVIOUS),
        last_year=_figures(f for f in totals if f.period == LAST_YEAR),
        series=_series(asked.grain, current, found, CURRENT),
        previous_series=_series(asked.grain, periods[PREVIOUS], found, PREVIOUS),
        products=_parts(totals, "product"),
        hours=_hours(totals),
        payments=_parts(totals, "payment"),
        fulfilments=_parts(totals, "fulfilment"),
        sources=_parts(totals, "source"),
        distances=_parts(totals, "distance"),
        promotions=_parts(totals, "promotion"),
        cancellations=_parts(totals, "reason"),
    )


def _series(grain: Grain, period: Period, found: Sequence[Figure], number: int) -> list[Bucket]:
    by_bucket: dict[date, list[Figure]] = {day: [] for day in buckets(period, grain)}
    for figure in found:
        if figure.day is not None and figure.period == number:
            by_bucket[figure.day].append(figure)
    return [
        Bucket(since=day, **_figures(figures).model_dump()) for day, figures in by_bucket.items()
    ]


def _figures(found: Iterable[Figure]) -> Figures:
    sums: dict[tuple[str, str], tuple[int, int, int]] = {}
    for f in found:
        if f.kind in ("sales", "discount", "customer", "status", "time"):
            o, q, a = sums.get((f.kind, f.key), (0, 0, 0))
            sums[f.kind, f.key] = (o + f.orders, q + f.quantity, a + f.amount_cents)
    nothing = (0, 0, 0)
    orders, freight, revenue = sums.get(("sales", ""), nothing)
    new, returning = (sums.get(("customer", key), nothing) for key in ("new", "returning"))
    cancelled, rejected = (sums.get(("status", key), nothing) for key in ("cancelled", "rejected"))
    discount = sums.get(("discount", ""), nothing)
    return Figures(
        revenue_cents=revenue,
        orders=orders,
        average_ticket_cents=_average(revenue, orders) or 0,
        freight_cents=freight,
        new_customers=new[0],
        new_customers_cents=new[2],
        returning_orders=returning[0],
        returning_cents=returning[2],
        cancelled=cancelled[0],
        rejected=rejected[0],
        lost_cents=cancelled[2] + rejected[2],
        discounted_orders=discount[0],
        discount_cents=discount[2],
        preparation_seconds=_span(sums, "preparation"),
        delivery_seconds=_span(sums, "delivery"),
        door_seconds=_span(sums, "door"),
        late=sums.get(("time", "late"), nothing)[0],
    )


def _span(sums: dict[tuple[str, str], tuple[int, int, int]], key: str) -> int | None:
    count, seconds, _ = sums.get(("time", key), (0, 0, 0))
    return _average(seconds, count)


def _average(total: int, count: int) -> int | None:
    return (2 * total + count) // (2 * count) if count else None


def _parts(found: Sequence[Figure], kind: str) -> list[Part]:
    before = {f.key: f for f in found if f.kind == kind and f.period == PREVIOUS}
    parts = [
        Part(
            key=f.key,
            label=f.label or f.key,
            orders=f.orders,
            quantity=f.quantity,
            amount_cents=f.amount_cents,
            previous_orders=before[f.key].orders if f.key in before else 0,
            previous_amount_cents=before[f.key].amount_cents if f.key in before else 0,
        )
        for f in found
        if f.kind == kind and f.period == CURRENT
    ]
    return sorted(parts, key=lambda part: (-part.amount_cents, part.key))


def _hours(found: Sequence[Figure]) -> list[Hour]:
    cells = []
    for f in found:
        if f.kind == "hour" and f.period == CURRENT:
            weekday, _, hour = f.key.partition("-")
            cells.append(
                Hour(
                    weekday=int(weekday),
                    hour=int(hour),
                    orders=f.orders,
                    amount_cents=f.amount_cents,
                )
            )
    return sorted(cells, key=lambda cell: (cell.weekday, cell.hour))


async def queue_rolling(runtime: Runtime) -> None:
    """Queue the summing up of every tenant where days closed or orders changed; for the beat."""
    at = time.monotonic()
    if at < runtime.caches.get("insights.next", 0.0):
        return
    runtime.caches["insights.next"] = at + _EVERY_S
    async with system_work(runtime) as session:
        waiting = await tenants_waiting(session)
    for tenant_id in waiting:
        try:
            tenant = await runtime.tenants.by_id(tenant_id)
            async with unit_of_work(runtime, tenant, _ACTOR) as work:
                work.enqueue(ROLL_UP, {}, dedupe_key="roll_up")
        except Exception:
            # One tenant's trouble is not the others'.
            log.exception("insights.queue_failed", extra={"tenant_id": str(tenant_id)})
