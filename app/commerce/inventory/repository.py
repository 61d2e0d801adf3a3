"""Queries over stock: every change of a level and its ledger line are one statement.

Who changes several levels at once takes them in (item_id, store_id) order, as the checkout
does, so that two of them never wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import asyncpg
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    bindparam,
    cast,
    func,
    null,
    or_,
    select,
)

from app.commerce.catalog.models import Modifier, ModifierGroup, Product, Variant
from app.commerce.inventory.models import StockLevel, StockMovement, name_of
from app.commerce.inventory.problems import StockLevelNotFound
from app.commerce.inventory.rules import (
    DriftView,
    LevelFilter,
    LevelView,
    MovementFilter,
    MovementView,
    StockChange,
    StockMoved,
)
from app.commerce.stores.models import Store
from app.core.fold import fold, holds
from app.core.ids import id_after, id_before, new_id
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository

# Hand-written on the driver: a hot level is locked only from this statement to the commit, and
# no change is computed from a value read before the lock.
_LEDGER = """
, ledger AS (
  INSERT INTO stock_movements (id, store_id, item_kind, item_id, kind, quantity, order_id, reason,
    actor_name)
  SELECT $5, $1, $2, $3, $6, $4, $7, $8, $9 FROM moved
)
SELECT id, on_hand, low_at FROM moved
"""
_CHANGE = f"""
WITH moved AS (
  UPDATE stock_levels SET on_hand = on_hand + $4
  WHERE store_id = $1 AND item_kind = $2 AND item_id = $3 AND on_hand + $4 >= 0
  RETURNING id, on_hand, low_at
) {_LEDGER}
"""  # noqa: S608 - two constants
_RECEIVE = f"""
WITH moved AS (
  INSERT INTO stock_levels (id, store_id, item_kind, item_id, on_hand)
  VALUES ($10, $1, $2, $3, $4)
  ON CONFLICT (tenant_id, store_id, item_id)
  DO UPDATE SET on_hand = stock_levels.on_hand + excluded.on_hand
  RETURNING id, on_hand, low_at
) {_LEDGER}
"""  # noqa: S608 - two constants
_TRACK = """
INSERT INTO stock_levels (id, store_id, item_kind, item_id, on_hand) VALUES ($1, $2, $3, $4, 0)
ON CONFLICT (tenant_id, store_id, item_id) DO NOTHING RETURNING id
"""
_LOCK = """
SELECT id, on_hand, low_at FROM stock_levels
WHERE store_id = $1 AND item_kind = $2 AND item_id = $3 FOR NO KEY UPDATE
"""
_LOCK_OF_ORDER = """
SELECT id FROM stock_levels WHERE (store_id, item_id) IN (
  SELECT store_id, item_id FROM stock_movements WHERE order_id = $1 AND kind = 'sale')
ORDER BY item_id, store_id FOR NO KEY UPDATE
"""
# A statement of its own after the locks: its snapshot holds what a rival gave back meanwhile.
_RAISE_OF_ORDER = """
WITH net AS (
  SELECT store_id, item_id, -sum(quantity) AS quantity FROM stock_movements
  WHERE order_id = $1 AND kind IN ('sale', 'cancellation')
  GROUP BY store_id, item_id HAVING sum(quantity) < 0
)
UPDATE stock_levels l SET on_hand = l.on_hand + net.quantity
FROM net WHERE l.store_id = net.store_id AND l.item_id = net.item_id
RETURNING l.store_id, l.item_kind, l.item_id, net.quantity::bigint AS quantity, l.on_hand
"""
_RETURN_TO_LEDGER = """
INSERT INTO stock_movements (id, store_id, item_kind, item_id, kind, quantity, order_id,
  actor_name)
SELECT r.id, r.store_id, r.item_kind, r.item_id, 'cancellation', r.quantity, $1, $2
FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::uuid[], $7::bigint[])
  AS r(id, store_id, item_kind, item_id, quantity)
"""

# One statement, one snapshot: a sale writes both sides in one commit, so none is seen halfway.
_DRIFTS = """
WITH ledger AS (
  SELECT store_id, item_id, max(item_kind) AS item_kind, sum(quantity)::bigint AS moved
  FROM stock_movements GROUP BY store_id, item_id
), off AS (
  SELECT coalesce(l.store_id, m.store_id) AS store_id, coalesce(l.item_id, m.item_id) AS item_id,
    coalesce(l.item_kind, m.item_kind) AS item_kind, l.on_hand, coalesce(m.moved, 0) AS ledger
  FROM stock_levels l
  FULL JOIN ledger m ON m.store_id = l.store_id AND m.item_id = l.item_id
  WHERE coalesce(l.on_hand, 0) <> coalesce(m.moved, 0)
)
SELECT off.store_id, s.name AS store_name, off.item_kind, off.item_id,
  coalesce((SELECT name FROM products WHERE id = off.item_id),
    (SELECT p.name || ' - ' || v.name FROM variants v JOIN products p ON p.id = v.product_id
     WHERE v.id = off.item_id),
    (SELECT name FROM modifiers WHERE id = off.item_id), '') AS item_name,
  off.on_hand, off.ledger
FROM off JOIN stores s ON s.id = off.store_id
ORDER BY off.item_id, off.store_id LIMIT $1
"""


class InventoryRepository(Repository[StockLevel]):
    model = StockLevel
    missing = StockLevelNotFound

    async def has_store(self, store_id: UUID) -> bool:
        return await self.session.scalar(select(Store.id).where(Store.id == store_id)) is not None

    async def item_name(self, item_kind: str, item_id: UUID) -> str | None:
        """The name people know the item by, or None when it is not sold here (any more)."""
        found: str | None = await self.session.scalar(_SELLABLE[item_kind](item_id))
        return found

    async def change(self, change: StockChange) -> StockMoved | None:
        """Move a tracked level; None when there is none or it would fall below zero."""
        row = await (await self.raw()).fetchrow(_CHANGE, *_arguments(change))
        return _moved(row, row["on_hand"] - change.quantity) if row else None

    async def receive(self, change: StockChange) -> StockMoved:
        """Raise a level, beginning to track the item if need be."""
        fresh = new_id()
        row = await (await self.raw()).fetchrow(_RECEIVE, *_arguments(change), fresh)
        assert row is not None  # noqa: S101 - an upsert without a condition answers a row
        return _moved(row, None if row["id"] == fresh else row["on_hand"] - change.quantity)

    async def track(self, store_id: UUID, item_kind: str, item_id: UUID) -> bool:
        """Begin to track an item at zero; False when it was tracked already."""
        connection = await self.raw()
        made = await connection.fetchval(_TRACK, new_id(), store_id, item_kind, item_id)
        return made is not None

    async def locked(self, store_id: UUID, item_kind: str, item_id: UUID) -> StockMoved | None:
        """The level as it is, unchanged and locked until the commit; None when untracked."""
        row = await (await self.raw()).fetchrow(_LOCK, store_id, item_kind, item_id)
        return _moved(row, row["on_hand"]) if row else None

    async def give_back(self, order_id: UUID, actor_name: str) -> bool:
        """Return what an order took, exactly once, whoever else cancels it at the same time.

        Items no longer tracked stay so. Answers whether any item became available again.
        """
        connection = await self.raw()
        if not await connection.fetch(_LOCK_OF_ORDER, order_id):
            return False
        raised = await connection.fetch(_RAISE_OF_ORDER, order_id)
        if raised:
            await connection.execute(
                _RETURN_TO_LEDGER,
                order_id,
                actor_name,
                [new_id() for _ in raised],
                [r["store_id"] for r in raised],
                [r["item_kind"] for r in raised],
                [r["item_id"] for r in raised],
                [r["quantity"] for r in raised],
            )
        return any(r["on_hand"] == r["quantity"] for r in raised)

    async def drifts(self, limit: int) -> list[DriftView]:
        """Levels that are not the sum of their movements, as they stand at this moment."""
        rows = await (await self.raw()).fetch(_DRIFTS, limit)
        return [DriftView(**dict(row)) for row in rows]

    async def store_names(self) -> dict[UUID, str]:
        found = await self.session.execute(select(Store.id, Store.name))
        return {row.id: row.name for row in found}

    async def view(self, level_id: UUID) -> LevelView:
        """One level with its names. Raises StockLevelNotFound."""
        found = await self.session.execute(_levels().where(StockLevel.id == level_id))
        row = found.one_or_none()
        if row is None:
            raise StockLevelNotFound()
        return LevelView(*row)

    async def levels(self, page: PageRequest, wanted: LevelFilter) -> Page[LevelView]:
        statement = _levels()
        if wanted.store_id is not None:
            statement = statement.where(StockLevel.store_id == wanted.store_id)
        if wanted.low:
            statement = statement.where(StockLevel.on_hand <= func.coalesce(StockLevel.low_at, 0))
        if wanted.query:
            statement = statement.where(_named(wanted.query))
        if page.cursor is not None:
            statement = statement.where(StockLevel.id < page.cursor)
        statement = statement.order_by(StockLevel.id.desc()).limit(page.limit + 1)
        rows = [LevelView(*row) for row in await self.session.execute(statement)]
        items = rows[: page.limit]
        return Page(items, items[-1].id if len(rows) > page.limit else None)

    async def movements(self, page: PageRequest, wanted: MovementFilter) -> Page[MovementView]:
        """The ledger, newest first."""
        line = StockMovement
        statement = select(
            line.id,
            line.created_at,
            line.store_id,
            line.item_kind,
            line.item_id,
            name_of(line),
            line.kind,
            line.quantity,
            line.order_id,
            line.reason,
            line.actor_name,
            _balance(wanted),
        )
        statement = statement.where(*_asked(wanted))
        if page.cursor is not None:
            statement = statement.where(line.id < page.cursor)
        statement = statement.order_by(line.id.desc()).limit(page.limit + 1)
        rows = [MovementView(*tuple(row)) for row in await self.session.execute(statement)]
        items = rows[: page.limit]
        return Page(items, items[-1].id if len(rows) > page.limit else None)


def _asked(wanted: MovementFilter) -> Iterator[ColumnElement[bool]]:
    line = StockMovement
    exact = {
        line.item_id: wanted.item_id,
        line.store_id: wanted.store_id,
        line.order_id: wanted.order_id,
    }
    yield from (column == value for column, value in exact.items() if value is not None)
    if wanted.kind is not None:
        # In the text of the statement: only so may it use the partial index.
        yield line.kind == bindparam("kind", str(wanted.kind), literal_execute=True)
    if wanted.since is not None:
        yield line.created_at >= wanted.since
        yield line.id >= id_before(wanted.since)
    if wanted.until is not None:
        yield line.created_at < wanted.until
        yield line.id < id_after(wanted.until)


def _balance(wanted: MovementFilter) -> ColumnElement[int | None]:
    """The sum of the ledger up to a line, whatever else is left out of the list."""
    if wanted.item_id is None or wanted.store_id is None:
        return cast(null(), BigInteger)
    whole = (
        select(
            StockMovement.id,
            cast(
                func.sum(StockMovement.quantity).over(order_by=StockMovement.id), BigInteger
            ).label("balance"),
        )
        .where(StockMovement.item_id == wanted.item_id, StockMovement.store_id == wanted.store_id)
        .cte("whole")
    )
    return select(whole.c.balance).where(whole.c.id == StockMovement.id).scalar_subquery()


def _named(query: str) -> ColumnElement[bool]:
    """Levels of what is called so, or of a product with this SKU.

    Asked of the names once, not of every level: the products keep theirs folded already.
    """
    products = select(Product.id).where(
        Product.search_text.contains(fold(query.strip()), autoescape=True)
    )
    variants = (
        select(Variant.id)
        .join(Product, Product.id == Variant.product_id)
        .where(holds(Product.name + " - " + Variant.name, query))
    )
    modifiers = select(Modifier.id).where(holds(Modifier.name, query))
    item = StockLevel.item_id
    return or_(item.in_(products), item.in_(variants), item.in_(modifiers))


def _arguments(change: StockChange) -> tuple[object, ...]:
    return (
        change.store_id,
        change.item_kind,
        change.item_id,
        change.quantity,
        new_id(),
        change.kind,
        change.order_id,
        change.reason,
        change.actor_name,
    )


def _moved(row: asyncpg.Record, before: int | None) -> StockMoved:
    return StockMoved(row["id"], before, row["on_hand"], row["low_at"])


def _product(item_id: UUID) -> Select[str]:
    return select(Product.name).where(Product.id == item_id, Product.deleted_at.is_(None))


def _variant(item_id: UUID) -> Select[str]:
    return (
        select(Product.name + " - " + Variant.name)
        .select_from(Variant)
        .join(Product, Product.id == Variant.product_id)
        .where(Variant.id == item_id, Variant.deleted_at.is_(None), Product.deleted_at.is_(None))
    )


def _modifier(item_id: UUID) -> Select[str]:
    return (
        select(Modifier.name)
        .join(ModifierGroup, ModifierGroup.id == Modifier.group_id)
        .where(Modifier.id == item_id, ModifierGroup.deleted_at.is_(None))
    )


_SELLABLE: dict[str, Callable[[UUID], Select[str]]] = {
    "product": _product,
    "variant": _variant,
    "modifier": _modifier,
}


def _levels() -> Select[UUID, UUID, str, str, UUID, str, int, int | None]:
    return select(
        StockLevel.id,
        StockLevel.store_id,
        Store.name,
        StockLevel.item_kind,
        StockLevel.item_id,
        name_of(StockLevel),
        StockLevel.on_hand,
        StockLevel.low_at,
    ).join(Store, Store.id == StockLevel.store_id)
