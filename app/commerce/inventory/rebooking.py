"""The stock of an order that changes: only the difference moves, in the order of every writer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.contracts.commerce import CatalogChanged, StockLow
from app.core.ids import new_id
from app.kernel.work import UnitOfWork

_HELD = """
SELECT item_id, (-sum(quantity))::bigint AS quantity FROM stock_movements
WHERE order_id = $1 AND kind IN ('sale', 'cancellation')
GROUP BY item_id HAVING sum(quantity) <> 0
"""
_LOCK = """
SELECT item_id, on_hand FROM stock_levels WHERE store_id = $1 AND item_id = ANY ($2::uuid[])
ORDER BY item_id FOR NO KEY UPDATE
"""
_MOVE = """
WITH moved AS (
  UPDATE stock_levels l SET on_hand = l.on_hand - d.quantity
  FROM unnest($2::uuid[], $3::bigint[], $4::uuid[]) AS d(item_id, quantity, movement_id)
  WHERE l.store_id = $1 AND l.item_id = ANY ($2::uuid[]) AND l.item_id = d.item_id
  RETURNING l.id, l.item_id, l.item_kind, l.on_hand, l.low_at, d.quantity, d.movement_id
), ledger AS (
  INSERT INTO stock_movements (id, store_id, item_kind, item_id, kind, quantity, order_id,
    actor_name)
  SELECT movement_id, $1, item_kind, item_id,
    CASE WHEN quantity > 0 THEN 'sale' ELSE 'cancellation' END, -quantity, $5, $6 FROM moved
)
SELECT id, item_id, item_kind, on_hand, low_at, quantity FROM moved
"""


@dataclass(frozen=True, slots=True)
class Short:
    """An item with less on hand than the change would take."""

    item_id: UUID
    asked: int
    available: int


class Rebooking:
    def __init__(self, work: UnitOfWork) -> None:
        self.work = work

    async def held(self, order_id: UUID) -> dict[UUID, int]:
        """What an order took and did not give back, by item."""
        rows = await (await self.work.raw()).fetch(_HELD, order_id)
        return {row["item_id"]: row["quantity"] for row in rows}

    async def rebook(
        self,
        order_id: UUID,
        store_id: UUID,
        held: Mapping[UUID, int],
        wanted: Mapping[UUID, int],
        names: Mapping[UUID, str],
    ) -> list[Short]:
        """Take and give back so that the order holds ``wanted``; nothing moves if any is short.

        The caller holds the order's lock. An item no longer tracked is given back to nobody.
        """
        items = sorted(held.keys() | wanted.keys())
        change = {i: wanted.get(i, 0) - held.get(i, 0) for i in items}
        change = {item: quantity for item, quantity in change.items() if quantity}
        if not change:
            return []
        left = await self._locked(store_id, list(change))
        short = [
            Short(item, wanted[item], left.get(item, 0) + held.get(item, 0))
            for item, quantity in change.items()
            if quantity > left.get(item, 0)
        ]
        if not short:
            await self._move(order_id, store_id, change, names)
        return short

    async def _locked(self, store_id: UUID, items: list[UUID]) -> dict[UUID, int]:
        rows = await (await self.work.raw()).fetch(_LOCK, store_id, items)
        return {row["item_id"]: row["on_hand"] for row in rows}

    async def _move(
        self,
        order_id: UUID,
        store_id: UUID,
        change: Mapping[UUID, int],
        names: Mapping[UUID, str],
    ) -> None:
        moved = await (await self.work.raw()).fetch(
            _MOVE,
            store_id,
            list(change),
            list(change.values()),
            [new_id() for _ in change],
            order_id,
            self.work.actor.name,
        )
        for row in moved:
            self._tell(row, store_id, names.get(row["item_id"], ""))

    def _tell(self, row: Any, store_id: UUID, name: str) -> None:
        before, on_hand, low_at = row["on_hand"] + row["quantity"], row["on_hand"], row["low_at"]
        if (before == 0) != (on_hand == 0):
            self.work.publish(
                CatalogChanged(
                    kind="stock", change="updated", item_id=row["item_id"], item_name=name
                )
            )
            self.work.ring("catalog")
        if low_at is not None and on_hand <= low_at < before:
            self.work.publish(
                StockLow(
                    stock_level_id=row["id"],
                    store_id=store_id,
                    item_kind=row["item_kind"],
                    item_id=row["item_id"],
                    item_name=name,
                    on_hand=on_hand,
                    low_at=low_at,
                )
            )
