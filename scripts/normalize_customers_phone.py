"""Report customers' numbers without the ninth digit, and with --apply store them with it.

    python scripts/normalize_customers_phone.py --tenant bella-massa
    python scripts/normalize_customers_phone.py --all-tenants --apply

A number whose other form another customer has is a conflict: merge_customer_conflicts.py is for
those. Run again, it finds nothing. Exit codes: 0 nothing is left to do, 2 something is (a report
without --apply, or conflicts), 1 it did not begin.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.kernel.contacts.models import Contact
from app.kernel.contacts.rules import canonical
from app.kernel.merging.service import MergeService
from app.kernel.work import Runtime, WorkFactory
from scripts.imports import terminal
from scripts.imports.progress import Progress
from scripts.imports.tenants import each_tenant, tenant_arguments

BATCH = 500


async def execute(runtime: Runtime, argv: Sequence[str], out: TextIO) -> int:
    """Run with these arguments; the exit code."""
    given = tenant_arguments(__doc__ or "").parse_args(argv)
    left = 0
    async for slug, works in each_tenant(runtime, given):
        left += await _tenant(slug, works, out, apply=given.apply)
    return 2 if left else 0


async def _tenant(slug: str, works: WorkFactory, out: TextIO, *, apply: bool) -> int:
    """Report or correct one tenant's numbers; how many are left."""
    found = await _old(works)
    corrected, conflicts = 0, []
    with Progress(len(found), out) as progress:
        for start in range(0, len(found), BATCH):
            batch = found[start : start + BATCH]
            async with works() as work:
                service = MergeService(work)
                for contact in batch:
                    number = contact.phone or ""
                    if apply:
                        is_free = await service.normalise(contact.id) is not None
                    else:
                        holder = await service.contacts.holding(canonical(number))
                        is_free = holder is None
                    corrected += is_free
                    if not is_free:
                        conflicts.append(contact)
            progress(len(batch))
    for contact in conflicts[:10]:
        print(
            f"  conflict: {contact.phone} of {contact.name or contact.id}: another customer has "
            f"{canonical(contact.phone or '')}",
            file=out,
        )
    verb = "corrected" if apply else "to correct"
    print(
        f"{slug}: {len(found):,} without the ninth digit = {verb} {corrected:,}"
        f" + conflicts {len(conflicts):,}",
        file=out,
    )
    return len(conflicts) if apply else len(found)


async def _old(works: WorkFactory) -> list[Contact]:
    found: list[Contact] = []
    while True:
        async with works() as work:
            after = found[-1].id if found else None
            batch = await MergeService(work).old_numbers(after, BATCH)
        if not batch:
            return found
        found += batch


if __name__ == "__main__":
    terminal.main(execute)
