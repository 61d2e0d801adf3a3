"""Applies an import chunk by chunk, each a Work that also says how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from asyncpg import DataError, IntegrityConstraintViolationError

from app.commerce.imports.desk import APPLY, ImportDesk, Write, begin, read_again, writer
from app.commerce.imports.schemas import BatchResult, Failure
from app.commerce.imports.service import ImportService
from app.kernel.jobs.service import JobContext
from app.kernel.work import WorkFactory

__all__ = ["APPLY", "CHUNK", "apply"]
CHUNK = 500


class _Overtaken(Exception):
    """It was cancelled, or another worker goes on with it."""


async def apply(job: JobContext) -> None:
    """Apply what is left of an import; killed anywhere, the next delivery goes on from there."""
    import_id = UUID(job.payload["import_id"])
    reading = await read_again(job.works, import_id)
    if reading is None:
        return
    await begin(job.works, import_id, reading)
    rows, write = reading.parsed.rows, writer(reading.kind, reading.store)
    try:
        for start in range(reading.done, len(rows), CHUNK):
            await _chunk(job.works, import_id, rows[start : start + CHUNK], start, write)
    except _Overtaken:
        return
    async with job.works() as work:
        desk = ImportDesk(work)
        row = await desk.kept.get(import_id, lock=True)
        if row.status == "running" and row.rows_done == row.rows_total:
            await desk.end(row, "done")


async def _chunk(
    works: WorkFactory, import_id: UUID, rows: Sequence[Any], start: int, write: Write
) -> None:
    """Write rows and their number in one Work; halves, until a refused row stands alone."""
    try:
        async with works() as work:
            desk = ImportDesk(work)
            await _still(desk, import_id, start)
            await _count(desk, import_id, len(rows), await write(ImportService(work), rows))
    except (IntegrityConstraintViolationError, DataError) as error:
        if len(rows) > 1:
            middle = len(rows) // 2
            await _chunk(works, import_id, rows[:middle], start, write)
            await _chunk(works, import_id, rows[middle:], start + middle, write)
            return
        reason = f"refused by the database: {str(error).splitlines()[0]}"
        failed = BatchResult(failures=[Failure(rows[0].line, rows[0].key, reason)])
        async with works() as work:
            desk = ImportDesk(work)
            await _still(desk, import_id, start)
            await _count(desk, import_id, 1, failed)


async def _still(desk: ImportDesk, import_id: UUID, start: int) -> None:
    row = await desk.kept.get(import_id, lock=True)
    if row.status != "running" or row.rows_done != start:
        raise _Overtaken


async def _count(desk: ImportDesk, import_id: UUID, rows: int, result: BatchResult) -> None:
    if result.total != rows:
        raise AssertionError(f"{rows} rows were given and {result.total} accounted for")
    row = await desk.get(import_id)
    row.rows_done += rows
    row.created += result.created
    row.updated += result.updated
    row.unchanged += result.unchanged
    row.failed += len(result.failures)
    await desk.kept.add_failures(import_id, result.failures)
    desk.tell(row)
