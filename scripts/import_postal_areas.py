"""Import coordinates of postal prefixes, the same for every tenant; a second run changes nothing.

    python scripts/import_postal_areas.py geolocation.csv

A file may hold many measured points of a prefix: their median becomes its place. Points outside
Brazil are reported and left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TextIO

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.commerce.imports.schemas import BatchResult
from app.core.database import begun
from app.core.ids import new_id
from app.kernel.work import Runtime
from scripts.imports import reader, report, terminal
from scripts.imports.postal_areas import POSTAL_AREAS, PostalAreaRow, merge_areas, postal_areas

_UPSERT = """
INSERT INTO postal_areas (id, prefix, latitude, longitude, city, state)
SELECT i.id, i.prefix, i.latitude, i.longitude, i.city, i.state
FROM json_to_recordset($1::text::json) AS i(id uuid, prefix text, latitude float8,
  longitude float8, city text, state text)
ON CONFLICT (prefix) DO UPDATE SET latitude = excluded.latitude, longitude = excluded.longitude,
  city = excluded.city, state = excluded.state
WHERE (postal_areas.latitude, postal_areas.longitude, postal_areas.city, postal_areas.state)
  IS DISTINCT FROM (excluded.latitude, excluded.longitude, excluded.city, excluded.state)
RETURNING xmax = 0 AS created
"""


class _DryRun(Exception):
    """Leaves the transaction without committing it."""


async def execute(runtime: Runtime, argv: Sequence[str], out: TextIO) -> int:
    """Run the import with these arguments; the exit code."""
    parser = terminal.Arguments(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="CSV of points, with a header")
    parser.add_argument("--mapping", nargs="+", action="extend", default=[], metavar="FIELD=COLUMN")
    parser.add_argument("--dry-run", action="store_true", help="say what would happen, no more")
    parser.add_argument("--errors", type=Path, metavar="FILE", help="where wrong rows are listed")
    given = parser.parse_args(argv)
    say = partial(print, file=out)
    mapping = reader.mapping_of(given.mapping)
    parsed = postal_areas(
        *reader.opened(given.file, POSTAL_AREAS, list(POSTAL_AREAS), say, mapping)
    )
    areas = merge_areas(parsed.rows)
    say(f"{len(parsed.rows):,} points are {len(areas):,} areas.")
    result = await _store(runtime, areas, given.dry_run)
    result.failures += parsed.failures
    return report.finish(
        "areas and wrong points",
        len(areas) + len(parsed.failures),
        result,
        dry_run=given.dry_run,
        errors=terminal.errors_file(given),
        say=say,
    )


async def _store(runtime: Runtime, areas: Sequence[PostalAreaRow], dry_run: bool) -> BatchResult:
    rows = [
        {
            "id": new_id(),
            "prefix": area.key,
            "latitude": area.latitude,
            "longitude": area.longitude,
            "city": area.city,
            "state": area.state,
        }
        for area in areas
    ]
    written: list[bool] = []
    try:
        async with runtime.database.system_engine.begin() as connection:
            driver = await begun(connection)
            found = await driver.fetch(_UPSERT, orjson.dumps(rows).decode())
            written = [row["created"] for row in found]
            if dry_run:
                raise _DryRun
    except _DryRun:
        pass
    return BatchResult(sum(written), len(written) - sum(written), len(areas) - len(written))


if __name__ == "__main__":
    terminal.main(execute)
