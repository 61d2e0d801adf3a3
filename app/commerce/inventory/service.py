"""What staff do with stock: receive, count, lose, move, watch; and what a cancellation returns."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import asdict, dataclass, replace
from uuid import UUID

from app.commerce.inventory.problems import (
    InsufficientStock,
    SameStore,
    StockItemNotFound,
    StockNotTracked,
)
from app.commerce.inventory.repository import InventoryRepository
from app.commerce.inventory.rules import (
    COLUMNS,
    DriftView,
    LevelFilter,
    LevelView,
    MovementFilter,
    MovementView,
    StockChange,
    StockMoved,
    csv_row,
    drift_line,
    report_line,
)
from app.commerce.inventory.schemas import Adjustment, Loss, Receipt, StockItem, Transfer
from app.commerce.stores.problems import StoreNotFound
from app.contracts.commerce import CatalogChanged, StockDrifted, StockLow, StockReported
from app.core.pagination import Page, PageRequest
from app.core.tabular import csv_lines
from app.kernel.audit.service import AuditService
from app.kernel.work import Work, WorkFactory

_REPORTED = 50
"""Most items that one report names."""


_DRIFTS = 200
_BATCH = 500


async def export(works: WorkFactory, wanted: MovementFilter) -> AsyncGenerator[bytes, None]:
    """The ledger as CSV, newest first, in batches; the export itself is an audit line."""
    async with works() as work:
        filters = sorted(name for name, value in asdict(wanted).items() if value is not None)
        work.record("commerce.stock_ledger_exported", "stock_movement", None, filters=filters)
        stores = await InventoryRepository(work.session).store_names()
    return _batches(works, wanted, stores)


async def _batches(
    works: WorkFactory, wanted: MovementFilter, stores: dict[UUID, str]
) -> AsyncGenerator[bytes, None]:
    page: PageRequest | None = PageRequest(_BATCH)
    yield csv_lines([COLUMNS])
    while page is not None:
        # A Work per batch: a slow reader holds no transaction open.
        async with works() as work:
            found = await InventoryRepository(work.session).movements(page, wanted)
        yield csv_lines(csv_row(line, stores) for line in found.items)
        page = PageRequest(_BATCH, found.next_cursor) if found.next_cursor else None


@dataclass(frozen=True, slots=True)
class Drifts:
    items: list[DriftView]
    more: bool


@dataclass(frozen=True, slots=True)
class Transferred:
    source: LevelView
    destination: LevelView


class InventoryService:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.stock = InventoryRepository(work.session)

    async def levels(self, page: PageRequest, wanted: LevelFilter) -> Page[LevelView]:
        return await self.stock.levels(page, wanted)

    async def movements(self, page: PageRequest, wanted: MovementFilter) -> Page[MovementView]:
        return await self.stock.movements(page, wanted)

    async def report_low(self, report_id: UUID) -> None:
        """Tell which items are at their alert level or below, once; silent when none is."""
        if await AuditService(self.work).is_told(report_id):
            return
        found = await self.stock.levels(PageRequest(limit=_REPORTED), LevelFilter(low=True))
        if found.items:
            self.work.publish(
                StockReported(
                    stock_report_id=report_id,
                    lines=[report_line(level) for level in found.items],
                    more=found.next_cursor is not None,
                )
            )

    async def drifts(self) -> Drifts:
        """Levels that are not the sum of their movements, at most 200."""
        found = await self.stock.drifts(_DRIFTS + 1)
        return Drifts(found[:_DRIFTS], len(found) > _DRIFTS)

    async def check(self, check_id: UUID) -> None:
        """Tell the staff, once, and the metrics what does not add up; silent when all does."""
        found = await self.drifts()
        self.work.runtime.vitals.found("stock", len(found.items))
        if found.items and not await AuditService(self.work).is_told(check_id):
            self.work.publish(
                StockDrifted(
                    stock_check_id=check_id,
                    lines=[drift_line(drift) for drift in found.items[:_REPORTED]],
                    more=found.more or len(found.items) > _REPORTED,
                )
            )

    async def receive(self, body: Receipt) -> LevelView:
        """Goods came in; an untracked item is tracked from now on.

        Raises StoreNotFound, StockItemNotFound.
        """
        name = await self._known(body)
        change = self._change(body, "receipt", body.quantity, body.reason)
        return await self._told(change, await self.stock.receive(change), name)

    async def adjust(self, body: Adjustment) -> LevelView:
        """Correct a level to what was counted, or by a difference.

        Raises StoreNotFound, StockItemNotFound, StockNotTracked, InsufficientStock.
        """
        name = await self._known(body)
        if body.delta is not None:
            change = self._change(body, "adjustment", body.delta, body.reason)
            return await self._told(change, await self._moved(change), name)
        counted = body.counted or 0
        begun = await self.stock.track(body.store_id, body.item_kind, body.item_id)
        # Locked: nobody sells between this look and the difference computed from it.
        level = await self.stock.locked(body.store_id, body.item_kind, body.item_id)
        if level is None:
            raise StockNotTracked()
        change = self._change(body, "adjustment", counted - level.on_hand, body.reason)
        moved = await self._moved(change) if change.quantity else level
        return await self._told(change, replace(moved, before=None) if begun else moved, name)

    async def has_store(self, store_id: UUID) -> bool:
        return await self.stock.has_store(store_id)

    async def correct(
        self, store_id: UUID, item_kind: str, item_id: UUID, units: int, reason: str
    ) -> None:
        """Book what a count found of a level that the caller has locked; also of an item that is
        no longer sold. Nothing is booked for nothing. Raises StockNotTracked, InsufficientStock.
        """
        if not units:
            return
        change = StockChange(
            store_id, item_kind, item_id, "adjustment", units, reason, self.work.actor.name
        )
        name = await self.stock.item_name(item_kind, item_id) or ""
        await self._told(change, await self._moved(change), name)

    async def lose(self, body: Loss) -> LevelView:
        """Goods are gone: broken, expired, stolen.

        Raises StoreNotFound, StockItemNotFound, StockNotTracked, InsufficientStock.
        """
        name = await self._known(body)
        change = self._change(body, "loss", -body.quantity, body.reason)
        return await self._told(change, await self._moved(change), name)

    async def transfer(self, body: Transfer) -> Transferred:
        """Move goods to another store, which tracks the item from now on.

        Raises SameStore, StoreNotFound, StockItemNotFound, StockNotTracked,
        InsufficientStock.
        """
        if body.from_store_id == body.to_store_id:
            raise SameStore()
        source = StockItem(
            store_id=body.from_store_id, item_kind=body.item_kind, item_id=body.item_id
        )
        destination = source.model_copy(update={"store_id": body.to_store_id})
        name = await self._known(source)
        await self._known(destination)
        views: dict[UUID, LevelView] = {}
        # In store order, whichever way the goods go: two opposite transfers never deadlock.
        for place in sorted((source, destination), key=lambda p: p.store_id):
            out = place is source
            quantity = -body.quantity if out else body.quantity
            change = self._change(place, "transfer", quantity, body.reason)
            moved = await (self._moved(change) if out else self.stock.receive(change))
            views[place.store_id] = await self._told(change, moved, name)
        return Transferred(views[body.from_store_id], views[body.to_store_id])

    async def set_low_at(self, level_id: UUID, low_at: int | None) -> LevelView:
        """Set or remove the alert of a level. Raises StockLevelNotFound."""
        level = await self.stock.get(level_id, lock=True)
        before, level.low_at = level.low_at, low_at
        await self.stock.flush()
        self.work.record(
            "commerce.stock_alert_set", "stock_level", level.id, before=before, after=low_at
        )
        return await self.stock.view(level_id)

    async def stop_tracking(self, level_id: UUID, reason: str = "tracking stopped") -> None:
        """Forget a level: the item never runs out from now on; the ledger is closed at zero.

        Raises StockLevelNotFound.
        """
        level = await self.stock.get(level_id, lock=True)
        view = await self.stock.view(level_id)
        if view.on_hand:
            await self._moved(self._change(view, "adjustment", -view.on_hand, reason))
        await self.stock.delete(level)
        self.work.record(
            "commerce.stock_untracked",
            "stock_level",
            level_id,
            item_id=view.item_id,
            store_id=view.store_id,
            was=view.on_hand,
        )
        if not view.on_hand:
            self._tell_availability(view.item_id, view.item_name)

    async def give_back(self, order_id: UUID) -> bool:
        """Return what a cancelled order took, exactly once; answers whether the menu changed."""
        reopened = await self.stock.give_back(order_id, self.work.actor.name)
        if reopened:
            self.work.ring("catalog")
        return reopened

    async def _known(self, item: StockItem) -> str:
        if not await self.stock.has_store(item.store_id):
            raise StoreNotFound()
        name = await self.stock.item_name(item.item_kind, item.item_id)
        if name is None:
            raise StockItemNotFound()
        return name

    def _change(
        self, item: StockItem | LevelView, kind: str, quantity: int, reason: str | None
    ) -> StockChange:
        return StockChange(
            store_id=item.store_id,
            item_kind=item.item_kind,
            item_id=item.item_id,
            kind=kind,
            quantity=quantity,
            reason=reason,
            actor_name=self.work.actor.name,
        )

    async def _moved(self, change: StockChange) -> StockMoved:
        moved = await self.stock.change(change)
        if moved is not None:
            return moved
        level = await self.stock.locked(change.store_id, change.item_kind, change.item_id)
        if level is None:
            raise StockNotTracked()
        raise InsufficientStock(on_hand=level.on_hand, asked=-change.quantity)

    async def _told(self, change: StockChange, moved: StockMoved, name: str) -> LevelView:
        view = await self.stock.view(moved.level_id)
        self.work.record(
            f"commerce.stock_{change.kind}",
            "stock_level",
            moved.level_id,
            item_id=change.item_id,
            store_id=change.store_id,
            quantity=change.quantity,
            on_hand=moved.on_hand,
            reason=change.reason,
        )
        if moved.crossed_zero:
            self._tell_availability(change.item_id, name)
        if moved.fell_low and moved.low_at is not None:
            self.work.publish(
                StockLow(
                    stock_level_id=moved.level_id,
                    store_id=change.store_id,
                    item_kind=change.item_kind,
                    item_id=change.item_id,
                    item_name=name,
                    on_hand=moved.on_hand,
                    low_at=moved.low_at,
                )
            )
        return view

    def _tell_availability(self, item_id: UUID, name: str) -> None:
        self.work.publish(
            CatalogChanged(kind="stock", change="updated", item_id=item_id, item_name=name)
        )
        self.work.ring("catalog")
