"""Import products from a CSV file, matched by their key; a second run changes nothing.

    python scripts/import_products.py products.csv --tenant presentes-da-lu

Columns are recognised by name (products of Olist's public data set among them). Prices come from
the file, or are the median of what an order items file says (--items, or order_items.csv beside
FILE); a product whose price nobody knows is added switched off. Without a name a product is called
by its category and the first letters of its key. Fields that the file does not have keep what the
merchant wrote. With --store the prices are that store's own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.commerce.imports.rules import median_prices, products
from app.commerce.imports.schemas import (
    ITEMS,
    PRODUCTS,
    BatchResult,
    ProductRow,
    StoreRef,
)
from app.commerce.imports.service import ImportService
from app.kernel.work import Runtime
from scripts.imports import reader, report, terminal

BATCH = 1000


async def execute(runtime: Runtime, argv: Sequence[str], out: TextIO) -> int:
    """Run the import with these arguments; the exit code."""
    parser = terminal.arguments(__doc__ or "", "products")
    parser.add_argument("--store", metavar="SLUG", help="the prices are this store's own")
    parser.add_argument("--items", type=Path, metavar="FILE", help="order items, for prices")
    given = parser.parse_args(argv)
    say = partial(print, file=out)
    works = await terminal.works_of(runtime, given.tenant)
    store = await terminal.store_of(works, given.store) if given.store else None
    mapping = reader.mapping_of(given.mapping)
    table, found = reader.opened(given.file, PRODUCTS, ["key"], say, mapping)
    prices = None
    if "price" not in found.by_field:
        items = reader.beside(given.file, given.items, "order_items.csv", say)
        if items is not None:
            prices = median_prices(*reader.opened(items, ITEMS, ["product", "price"], say))
    parsed = products(table, found, prices)
    apply = partial(_apply, store)
    result = await terminal.run(works, parsed, apply, out, size=BATCH, dry_run=given.dry_run)
    errors = terminal.errors_file(given)
    return report.finish(
        "products", parsed.read, result, dry_run=given.dry_run, errors=errors, say=say
    )


async def _apply(
    store: StoreRef | None, service: ImportService, rows: Sequence[ProductRow]
) -> BatchResult:
    return await service.products(rows, store)


if __name__ == "__main__":
    terminal.main(execute)
