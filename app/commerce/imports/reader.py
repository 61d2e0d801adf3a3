"""From the files of one import to its rows: the one reader of the programs and of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from app.commerce.imports.rules import Columns, Parts, customers, median_prices, orders, products
from app.commerce.imports.schemas import (
    CUSTOMERS,
    ITEMS,
    ORDERS,
    PAYMENTS,
    PRODUCTS,
    CustomerRow,
    Failure,
    Fields,
    OrderRow,
    Parsed,
    ProductRow,
)
from app.core.tabular import Table


@dataclass(frozen=True, slots=True)
class Shape:
    """What a table has to say, and what it may."""

    fields: Fields
    needed: tuple[str, ...]
    is_required: bool = True


SHAPES: Mapping[str, Mapping[str, Shape]] = {
    "products": {
        "file": Shape(PRODUCTS, ("key",)),
        "items": Shape(ITEMS, ("product", "price"), is_required=False),
    },
    "customers": {"file": Shape(CUSTOMERS, ("key",))},
    "orders": {
        "file": Shape(ORDERS, ("key", "customer", "status", "placed_at")),
        "items": Shape(ITEMS, ("order", "product", "price")),
        "payments": Shape(PAYMENTS, ("order", "amount"), is_required=False),
    },
}
"""By kind of import, the files it reads."""


@dataclass(frozen=True, slots=True)
class Source:
    """A table, how its columns are understood, and what to call it in a failure."""

    name: str
    table: Table
    columns: Columns


Read = Parsed[ProductRow] | Parsed[CustomerRow] | Parsed[OrderRow]


def read_rows(
    kind: str, sources: Mapping[str, Source], zone: ZoneInfo, now: datetime
) -> tuple[Read, list[Failure]]:
    """The rows of an import, and the wrong lines of the files beside the main one.

    The same files and the same ``now`` give the same rows in the same order: an import that was
    cut short goes on by their number.
    """
    main = sources["file"]
    if kind == "customers":
        return customers(main.table, main.columns), []
    if kind == "products":
        items = sources.get("items")
        is_priced = items is None or "price" in main.columns.by_field
        prices = None if is_priced or items is None else median_prices(items.table, items.columns)
        return products(main.table, main.columns, prices), []
    parts = order_parts(main, sources["items"], sources.get("payments"))
    return in_order(orders(main.table, main.columns, parts, zone, now)), parts.failures


def order_parts(main: Source, items: Source, payments: Source | None) -> Parts:
    """The lines and payments of the orders that ``main`` names."""
    column = main.columns.by_field["key"]
    keys = frozenset(row.cells.get(column, "") for row in main.table.rows)
    parts = Parts()
    parts.read_items(items.table, items.columns, keys, items.name)
    if payments is not None:
        parts.read_payments(payments.table, payments.columns, keys, payments.name)
    return parts


def in_order(parsed: Parsed[OrderRow]) -> Parsed[OrderRow]:
    """Orders in order of purchase, as their numbers are to be."""
    rows = sorted(parsed.rows, key=lambda row: (row.placed_at, row.key))
    return Parsed(parsed.read, rows, parsed.failures, parsed.repeats)
