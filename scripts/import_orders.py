"""Import past orders with items and payments, matched by key; a second run changes nothing.

    python scripts/import_orders.py orders.csv --tenant presentes-da-lu

Items and payments are read from --items and --payments, or order_items.csv and order_payments.csv
beside FILE. Customers and products must be there (import them first); customers of --customers (or
customers.csv beside FILE) that are not are added. Each order is written whole or not at all.
Numbers continue the tenant's in order of purchase, ids carry the time of purchase, times without an
offset are the store's. Totals are items plus freight to the cent; what was paid is kept beside
them even where it differs. An order that somebody has moved since is left as it is. Nobody is
notified of imported orders, and stock does not move.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.commerce.imports.reader import Source, in_order, order_parts
from app.commerce.imports.rules import Parts, customers, orders
from app.commerce.imports.schemas import (
    CUSTOMERS,
    ITEMS,
    ORDERS,
    PAYMENTS,
    BatchResult,
    CustomerRow,
    OrderRow,
    StoreRef,
)
from app.commerce.imports.service import ImportService
from app.core.clock import now
from app.kernel.work import Runtime
from scripts.imports import reader, report, terminal

BATCH = 500


async def execute(runtime: Runtime, argv: Sequence[str], out: TextIO) -> int:
    """Run the import with these arguments; the exit code."""
    parser = terminal.arguments(__doc__ or "", "orders")
    parser.add_argument("--store", metavar="SLUG", help="whose orders (needed when several)")
    parser.add_argument("--items", type=Path, metavar="FILE", help="CSV of their items")
    parser.add_argument("--payments", type=Path, metavar="FILE", help="CSV of their payments")
    parser.add_argument("--customers", type=Path, metavar="FILE", help="CSV of their customers")
    given = parser.parse_args(argv)
    say = partial(print, file=out)
    works = await terminal.works_of(runtime, given.tenant)
    store = await terminal.store_of(works, given.store)
    of_orders, of_customers = _mappings(reader.mapping_of(given.mapping))
    table, found = reader.opened(
        given.file, ORDERS, ["key", "customer", "status", "placed_at"], say, of_orders
    )
    parts = _parts(
        given.file, given.items, given.payments, Source(given.file.name, table, found), say
    )
    path = reader.beside(given.file, given.customers, "customers.csv", say)
    known = _customers(path, of_customers, say) if path else {}
    say(f"Store {store.slug}: times without an offset are {store.timezone}.")
    parsed = in_order(orders(table, found, parts, ZoneInfo(store.timezone), now()))
    result = await terminal.run(
        works, parsed, partial(_apply, store, known), out, size=BATCH, dry_run=given.dry_run
    )
    return report.finish(
        "orders",
        parsed.read,
        result,
        dry_run=given.dry_run,
        errors=terminal.errors_file(given),
        elsewhere=parts.failures,
        say=say,
    )


def _mappings(given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Of the orders file, and of the customers file (``customer.key=customer_unique_id``)."""
    prefix = "customer."
    of_customers = {k.removeprefix(prefix): v for k, v in given.items() if k.startswith(prefix)}
    return {k: v for k, v in given.items() if not k.startswith(prefix)}, of_customers


def _parts(
    path: Path, items: Path | None, payments: Path | None, main: Source, say: reader.Say
) -> Parts:
    items = reader.beside(path, items, "order_items.csv", say)
    if items is None:
        raise reader.Refused("Orders need their items: name the file with --items.")
    payments = reader.beside(path, payments, "order_payments.csv", say)
    lines = Source(items.name, *reader.opened(items, ITEMS, ["order", "product", "price"], say))
    paid = None
    if payments is not None:
        paid = Source(payments.name, *reader.opened(payments, PAYMENTS, ["order", "amount"], say))
    return order_parts(main, lines, paid)


def _customers(path: Path, mapping: Mapping[str, str], say: reader.Say) -> dict[str, CustomerRow]:
    """Customers by whatever an order may call them."""
    parsed = customers(*reader.opened(path, CUSTOMERS, ["key"], say, mapping))
    by_key = {row.key: row for row in parsed.rows}
    # The alias wins: of a person with two addresses it names the one of this order.
    return by_key | {row.alias: row for row in parsed.rows if row.alias}


async def _apply(
    store: StoreRef,
    known: Mapping[str, CustomerRow],
    service: ImportService,
    rows: Sequence[OrderRow],
) -> BatchResult:
    return await service.orders(rows, store, known)


if __name__ == "__main__":
    terminal.main(execute)
