"""Counting a store while it sells: open, enter what was seen bit by bit, close."""

from __future__ import annotations

from uuid import UUID

from app.commerce.inventory.models import StockCount
from app.commerce.inventory.problems import StockNotTracked
from app.commerce.inventory.service import InventoryService
from app.commerce.stocktakes.problems import NothingCounted, StockCountEnded
from app.commerce.stocktakes.repository import StockCountRepository
from app.commerce.stocktakes.rules import LineView, Summary
from app.commerce.stocktakes.schemas import CountOpen, LinesIn
from app.commerce.stores.problems import StoreNotFound
from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.kernel.work import Work


class StocktakeService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.counts = StockCountRepository(work.session)

    async def search(self, page: PageRequest, store_id: UUID | None) -> Page[StockCount]:
        return await self.counts.search(page, store_id)

    async def get(self, count_id: UUID) -> tuple[StockCount, Summary]:
        """Raises StockCountNotFound."""
        return await self.counts.get(count_id), await self.counts.summary(count_id)

    async def lines(self, count_id: UUID, page: PageRequest, only: str) -> Page[LineView]:
        """Raises StockCountNotFound."""
        await self.counts.get(count_id)
        return await self.counts.lines(count_id, page, only)

    async def open(self, body: CountOpen) -> StockCount:
        """Begin to count a store; it goes on selling. Raises StoreNotFound, StockCountOpen."""
        if not await InventoryService(self.work).has_store(body.store_id):
            raise StoreNotFound()
        count = StockCount(
            store_id=body.store_id, note=body.note, opened_by=self.work.actor.name, status="open"
        )
        await self.counts.add(count)
        lines = await self.counts.snapshot(count.id, count.store_id)
        await self.work.session.refresh(count)
        self._record("opened", count, lines=lines)
        return count

    async def enter(self, count_id: UUID, body: LinesIn) -> Summary:
        """Note what was seen; an item entered again is counted anew.

        Raises StockCountNotFound, StockCountEnded, StockNotTracked (naming the items).
        """
        count = await self._open(count_id)
        counted = {line.item_id: line.counted for line in body.lines}
        found = await self.counts.enter(count, counted, self.work.actor.name)
        if len(found) != len(counted):
            raise StockNotTracked(items=sorted(str(i) for i in counted.keys() - set(found)))
        return await self.counts.summary(count_id)

    async def close(self, count_id: UUID) -> tuple[StockCount, Summary]:
        """Correct the levels by what was found; items nobody counted stay as they are.

        Raises StockCountNotFound, StockCountEnded, NothingCounted.
        """
        count = await self._open(count_id)
        lines = await self.counts.locked(count)
        if not lines:
            raise NothingCounted()
        inventory = InventoryService(self.work)
        reason = f"Contagem: {count.note}" if count.note else "Contagem"
        for line in lines:
            await inventory.correct(
                count.store_id, line.item_kind, line.item_id, line.change, reason
            )
        await self.counts.note_applied(lines)
        self._end(count, "closed")
        summary = await self.counts.summary(count_id)
        self._record(
            "closed", count, counted=summary.counted, surplus=summary.surplus,
            missing=summary.missing,
        )  # fmt: skip
        return count, summary

    async def cancel(self, count_id: UUID) -> tuple[StockCount, Summary]:
        """Give up a count; no level changes. Raises StockCountNotFound, StockCountEnded."""
        count = await self._open(count_id)
        self._end(count, "cancelled")
        self._record("cancelled", count)
        return count, await self.counts.summary(count_id)

    async def _open(self, count_id: UUID) -> StockCount:
        # Locked: entering and closing take turns, and the count comes before the levels.
        count = await self.counts.get(count_id, lock=True)
        if count.status != "open":
            raise StockCountEnded(state=count.status)
        return count

    def _end(self, count: StockCount, status: str) -> None:
        count.status, count.ended_at, count.ended_by = status, now(), self.work.actor.name

    def _record(self, what: str, count: StockCount, **facts: int) -> None:
        action, store = f"commerce.stock_count_{what}", count.store_id
        self.work.record(action, "stock_count", count.id, store_id=store, **facts)
