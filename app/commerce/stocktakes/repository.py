"""Queries over counts of stock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from sqlalchemy import func, select

from app.commerce.inventory.models import StockCount, StockCountLine, name_of
from app.commerce.stocktakes.problems import StockCountNotFound, StockCountOpen
from app.commerce.stocktakes.rules import Counted, LineView, Summary
from app.core.clock import now
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository

_TRACKED = "SELECT item_kind, item_id, on_hand FROM stock_levels WHERE store_id = $1"
_SNAPSHOT = """
INSERT INTO stock_count_lines (id, count_id, item_kind, item_id, opened_on_hand)
SELECT l.id, $1, l.item_kind, l.item_id, l.on_hand
FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::bigint[]) AS l(id, item_kind, item_id, on_hand)
"""
_ENTER = """
INSERT INTO stock_count_lines (id, count_id, item_kind, item_id, opened_on_hand, expected,
  counted, counted_at, counted_by)
SELECT n.id, $1, l.item_kind, l.item_id, l.on_hand, l.on_hand, n.counted, $6, $7
FROM unnest($3::uuid[], $4::uuid[], $5::bigint[]) AS n(id, item_id, counted)
JOIN stock_levels l ON l.store_id = $2 AND l.item_id = n.item_id
ON CONFLICT (tenant_id, count_id, item_id) DO UPDATE SET expected = excluded.expected,
  counted = excluded.counted, counted_at = excluded.counted_at, counted_by = excluded.counted_by
RETURNING item_id
"""
_LOCK = """
SELECT l.item_kind, l.item_id, l.on_hand, c.id AS line_id, c.expected, c.counted
FROM stock_count_lines c JOIN stock_levels l ON l.store_id = $2 AND l.item_id = c.item_id
WHERE c.count_id = $1 AND c.counted IS NOT NULL
ORDER BY l.item_id FOR NO KEY UPDATE OF l
"""
_APPLIED = """
UPDATE stock_count_lines c SET applied = a.units
FROM unnest($1::uuid[], $2::bigint[]) AS a(id, units) WHERE c.id = a.id
"""


class StockCountRepository(Repository[StockCount]):
    model = StockCount
    missing = StockCountNotFound
    conflicts: ClassVar = {"stock_counts_tenant_id_store_id_key": StockCountOpen}

    async def search(self, page: PageRequest, store_id: UUID | None) -> Page[StockCount]:
        statement = self.query()
        if store_id is not None:
            statement = statement.where(StockCount.store_id == store_id)
        return await self.page(statement, page)

    async def snapshot(self, count_id: UUID, store_id: UUID) -> int:
        """Note what the books say of every tracked item; how many there are."""
        connection = await self.raw()
        rows = await connection.fetch(_TRACKED, store_id)
        await connection.execute(
            _SNAPSHOT,
            count_id,
            [new_id() for _ in rows],
            [row["item_kind"] for row in rows],
            [row["item_id"] for row in rows],
            [row["on_hand"] for row in rows],
        )
        return len(rows)

    async def enter(self, count: StockCount, counted: dict[UUID, int], by: str) -> list[UUID]:
        """Note what was seen beside what the books say now; the items that are tracked."""
        rows = await (await self.raw()).fetch(
            _ENTER,
            count.id,
            count.store_id,
            [new_id() for _ in counted],
            list(counted),
            list(counted.values()),
            now(),
            by,
        )
        return [row["item_id"] for row in rows]

    async def locked(self, count: StockCount) -> list[Counted]:
        """Counted lines of what is still tracked, their levels locked in item order."""
        rows = await (await self.raw()).fetch(_LOCK, count.id, count.store_id)
        return [Counted(**dict(row)) for row in rows]

    async def note_applied(self, lines: Sequence[Counted]) -> None:
        await (await self.raw()).execute(
            _APPLIED, [line.line_id for line in lines], [line.change for line in lines]
        )

    async def summary(self, count_id: UUID) -> Summary:
        line = StockCountLine
        difference = line.counted - line.expected
        row = (
            await self.session.execute(
                select(
                    func.count(),
                    func.count(line.counted),
                    func.count().filter(difference != 0),
                    func.coalesce(func.sum(difference).filter(difference > 0), 0),
                    func.coalesce(-func.sum(difference).filter(difference < 0), 0),
                ).where(line.count_id == count_id)
            )
        ).one()
        return Summary(*(int(figure) for figure in row))

    async def lines(self, count_id: UUID, page: PageRequest, only: str) -> Page[LineView]:
        line = StockCountLine
        statement = select(
            line.id, line.item_kind, line.item_id, name_of(line), line.opened_on_hand,
            line.expected, line.counted, line.counted_at, line.counted_by, line.applied,
        ).where(line.count_id == count_id)  # fmt: skip
        if only == "uncounted":
            statement = statement.where(line.counted.is_(None))
        if only == "differing":
            statement = statement.where(line.counted != line.expected)
        if page.cursor is not None:
            statement = statement.where(line.id < page.cursor)
        statement = statement.order_by(line.id.desc()).limit(page.limit + 1)
        rows = [LineView(*tuple(row)) for row in await self.session.execute(statement)]
        items = rows[: page.limit]
        return Page(items, items[-1].id if len(rows) > page.limit else None)
