"""Import customers from a CSV file, matched by their key; a second run changes nothing.

    python scripts/import_customers.py customers.csv --tenant presentes-da-lu

Columns are recognised by name (customers of Olist's public data set among them). The key is the id
that orders refer to, customer_id in Olist's data, one customer a row. Where a person has several of
them, ``--mapping key=customer_unique_id`` makes one customer with all their addresses; the orders
import then needs the same file and mapping (--customers, --mapping customer.key=...). A customer
who is known by telephone alone, from the storefront, receives the key. Phones become E.164.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.commerce.imports.rules import customers
from app.commerce.imports.schemas import CUSTOMERS
from app.commerce.imports.service import ImportService
from app.kernel.work import Runtime
from scripts.imports import reader, report, terminal

BATCH = 1000


async def execute(runtime: Runtime, argv: Sequence[str], out: TextIO) -> int:
    """Run the import with these arguments; the exit code."""
    given = terminal.arguments(__doc__ or "", "customers").parse_args(argv)
    say = partial(print, file=out)
    works = await terminal.works_of(runtime, given.tenant)
    mapping = reader.mapping_of(given.mapping)
    parsed = customers(*reader.opened(given.file, CUSTOMERS, ["key"], say, mapping))
    result = await terminal.run(
        works, parsed, ImportService.customers, out, size=BATCH, dry_run=given.dry_run
    )
    errors = terminal.errors_file(given)
    return report.finish(
        "customers", parsed.read, result, dry_run=given.dry_run, errors=errors, say=say
    )


if __name__ == "__main__":
    terminal.main(execute)
