"""COPY into tables whose references and indexes rest meanwhile, as a restore of a dump does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg

Row = dict[str, object]
Driver: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_REFERENCES = """
SELECT conrelid::regclass::text AS owner, conname AS name, pg_get_constraintdef(oid) AS body
FROM pg_constraint
WHERE contype = 'f' AND (conrelid = ANY ($1::regclass[]) OR confrelid = ANY ($1::regclass[]))
"""
_INDEXES = """
SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS body
FROM pg_index i
WHERE i.indrelid = ANY ($1::regclass[])
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
"""


async def copy(connection: Driver, name: str, rows: Sequence[Row]) -> None:
    """Write rows that all have the columns of the first."""
    if rows:
        await connection.copy_records_to_table(
            name, records=[tuple(row.values()) for row in rows], columns=list(rows[0])
        )


@asynccontextmanager
async def at_rest(connection: Driver, tables: Iterable[str]) -> AsyncIterator[None]:
    """Within, nothing but the primary and unique keys of these tables is kept up; after, all is.

    Making the references again checks every row, so what was written badly is found.
    """
    named = list(tables)
    references = await connection.fetch(_REFERENCES, named)
    for row in references:
        await connection.execute(f'ALTER TABLE {row["owner"]} DROP CONSTRAINT "{row["name"]}"')
    indexes = await connection.fetch(_INDEXES, named)
    for row in indexes:
        await connection.execute(f"DROP INDEX {row['name']}")
    for name in named:
        await connection.execute(f"ALTER TABLE {name} DISABLE TRIGGER USER")
    yield
    await connection.execute("SET maintenance_work_mem = '256MB'")
    for row in indexes:
        await connection.execute(row["body"])
    for row in references:
        await connection.execute(
            f'ALTER TABLE {row["owner"]} ADD CONSTRAINT "{row["name"]}" {row["body"]}'
        )
    for name in named:
        await connection.execute(f"ALTER TABLE {name} ENABLE TRIGGER USER")
