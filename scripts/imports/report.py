"""What became of every row: counts that must add up, the wrong rows on screen and in a file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

from app.commerce.imports.schemas import BatchResult, Failure

_SHOWN = 10
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CountsDiffer(RuntimeError):
    """A row was read and not accounted for: a defect of the import, never of the file."""


def finish(
    what: str,
    read: int,
    result: BatchResult,
    *,
    dry_run: bool,
    errors: Path,
    elsewhere: Sequence[Failure] = (),
    say: Callable[[str], None],
) -> int:
    """Print the report and write the errors file; 0, or 2 when rows failed.

    ``elsewhere`` are wrong rows of the files beside the main one; ``read`` does not count them.
    Raises CountsDiffer.
    """
    if read != result.total:
        raise CountsDiffer(f"{what}: {read} rows read, {result.total} accounted for")
    failures = sorted([*result.failures, *elsewhere], key=lambda f: (f.file, f.line))
    for failure in failures[:_SHOWN]:
        place = f"{failure.file} line {failure.line}" if failure.file else f"line {failure.line}"
        say(f"  {place}, {failure.key or 'no key'}: {failure.reason}")
    if len(failures) > _SHOWN:
        say(f"  ... and {len(failures) - _SHOWN:,} more")
    for note, count in sorted(result.notes.items()):
        if count:
            say(f"  note: {count:,} {note}")
    would = "would be " if dry_run else ""
    say(
        f"{what}: read {read:,} = {would}created {result.created:,} + updated {result.updated:,}"
        f" + unchanged {result.unchanged:,} + failed {len(result.failures):,}"
    )
    if dry_run:
        say("Dry run: nothing was written.")
    if not failures:
        return 0
    write_errors(errors, failures)
    say(f"{len(failures):,} wrong rows are in {errors}: correct them and run this again.")
    return 2


def write_errors(path: Path, failures: Sequence[Failure]) -> None:
    """One line per wrong row: file, line, key, reason."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "line", "key", "reason"])
        writer.writerows(
            [_inert(f.file), f.line, _inert(f.key), _inert(f.reason)] for f in failures
        )


def _inert(cell: str) -> str:
    """Spreadsheets run a cell that looks like a formula: a leading quote stops that."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
