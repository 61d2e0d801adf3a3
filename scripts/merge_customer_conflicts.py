"""Report customers who are stored twice, and with --apply merge each into one.

    python scripts/merge_customer_conflicts.py --tenant bella-massa
    python scripts/merge_customer_conflicts.py --tenant bella-massa --apply

Twice means: one number with and without its ninth digit. Whoever has the complete number stays;
orders, addresses and redemptions follow, and every merge can be undone. --by-email also merges
those with one e-mail address (the oldest stays): only for shops where nobody shares one. Run
again, it finds nothing. Exit codes: 0 nothing is left to do, 2 something is, 1 it did not begin.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.kernel.contacts.models import Contact
from app.kernel.merging.service import Duplicate, MergeService
from app.kernel.work import Runtime, WorkFactory
from scripts.imports import terminal
from scripts.imports.progress import Progress
from scripts.imports.tenants import each_tenant, tenant_arguments

REASON = {"phone": "one number with and without its ninth digit", "email": "one e-mail address"}


async def execute(runtime: Runtime, argv: Sequence[str], out: TextIO) -> int:
    """Run with these arguments; the exit code."""
    parser = tenant_arguments(__doc__ or "")
    parser.add_argument("--by-email", action="store_true", help="also those with one e-mail")
    given = parser.parse_args(argv)
    left = 0
    async for slug, works in each_tenant(runtime, given):
        left += await _tenant(slug, works, out, apply=given.apply, by_email=given.by_email)
    return 2 if left else 0


async def _tenant(
    slug: str, works: WorkFactory, out: TextIO, *, apply: bool, by_email: bool
) -> int:
    """Report or merge one tenant's doubles; how many are left."""
    merged = 0
    while found := await _duplicates(works, by_email=by_email):
        for duplicate in found:
            stays, *others = _in_order(duplicate)
            print(
                f"  {duplicate.value}: {stays.name or stays.id} stays, "
                f"{', '.join(c.name or str(c.id) for c in others)} "
                f"{'is merged' if apply else 'would be merged'} ({REASON[duplicate.reason]})",
                file=out,
            )
        if not apply:
            doubles = sum(len(duplicate.contacts) - 1 for duplicate in found)
            print(f"{slug}: {doubles:,} to merge; --apply merges them", file=out)
            return doubles
        merged += await _merge(works, found, out)
    print(f"{slug}: merged {merged:,}", file=out)
    return 0


async def _merge(works: WorkFactory, found: Sequence[Duplicate], out: TextIO) -> int:
    """Merge each group in a Work of its own; how many contacts were merged."""
    merged, gone = 0, set[UUID]()
    with Progress(len(found), out) as progress:
        for duplicate in found:
            standing = [c for c in _in_order(duplicate) if c.id not in gone]
            others = standing[1:]
            async with works() as work:
                for other in others:
                    await MergeService(work).merge(
                        standing[0].id, other.id, REASON[duplicate.reason]
                    )
            gone |= {other.id for other in others}
            merged += len(others)
            progress(1)
    return merged


async def _duplicates(works: WorkFactory, *, by_email: bool) -> list[Duplicate]:
    async with works() as work:
        return await MergeService(work).duplicates(by_email=by_email)


def _in_order(duplicate: Duplicate) -> list[Contact]:
    """Who stays, then the others: the complete number, else the oldest."""
    return sorted(duplicate.contacts, key=lambda c: (c.phone != duplicate.value, c.id))


if __name__ == "__main__":
    terminal.main(execute)
