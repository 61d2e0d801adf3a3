"""Imports that people make over the API: uploaded, looked at, mapped, applied row by row.

An upload writes nothing but itself. A chunk of rows, what became of them and how far the import
is are one Work: killed anywhere, the job goes on where the last commit left it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from app.commerce.imports.keeping import KeptImports
from app.commerce.imports.models import DataImport, ImportFailure, ImportFile
from app.commerce.imports.problems import (
    ImportColumnsMissing,
    ImportEnded,
    ImportFileMissing,
    ImportFileUnreadable,
    ImportNotReady,
    ImportStoreNotFound,
)
from app.commerce.imports.reader import SHAPES, Source, read_rows
from app.commerce.imports.rules import columns
from app.commerce.imports.schemas import Failure, Parsed, StoreRef
from app.commerce.imports.service import ImportService
from app.commerce.imports.shown import SAMPLE_FAILURES, SAMPLE_ROWS
from app.contracts.commerce import ImportProgressed
from app.core.clock import now
from app.core.pagination import Page, PageRequest
from app.core.tabular import UnreadableTable, csv_lines, read_table
from app.kernel.work import UnitOfWork, WorkFactory

APPLY = "commerce.imports.apply"
_UTC = "UTC"
_UNUSED_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sent:
    """A file as it came, and how to read it where somebody said so."""

    name: str
    content: bytes
    mapping: Mapping[str, str] | None = None


class ImportDesk:
    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.kept = KeptImports(work.session)

    async def page(self, request: PageRequest) -> Page[DataImport]:
        """All imports, newest first."""
        return await self.kept.recent(request)

    async def get(self, import_id: UUID) -> DataImport:
        """One of them. Raises ImportNotFound."""
        return await self.kept.get(import_id)

    async def apply(self, import_id: UUID) -> DataImport:
        """Queue the job. Raises ImportNotFound, ImportNotReady, ImportColumnsMissing."""
        row = await self.kept.get(import_id, lock=True)
        if row.status != "ready":
            raise ImportNotReady()
        missing = [name for file in row.preview["files"] for name in file["missing"]]
        if missing:
            raise ImportColumnsMissing(f"Missing: {', '.join(missing)}.")
        row.status = "queued"
        self.work.enqueue(APPLY, {"import_id": str(import_id)})
        self.tell(row)
        return row

    async def cancel(self, import_id: UUID) -> DataImport:
        """Stop it between two chunks; what is written stays. Raises ImportNotFound, ImportEnded."""
        row = await self.kept.get(import_id, lock=True)
        if row.ended_at is not None:
            raise ImportEnded()
        await self.end(row, "cancelled")
        return row

    async def failures(self, import_id: UUID) -> bytes:
        """The rows that were refused, as CSV. Raises ImportNotFound."""
        await self.kept.get(import_id)
        rows: Sequence[ImportFailure] = await self.kept.failures(import_id)
        head = ("file", "line", "key", "reason")
        return csv_lines([head, *((row.file, row.line, row.key, row.reason) for row in rows)])

    async def store(self, kind: str, store_id: UUID | None) -> StoreRef | None:
        """Whose rows they are. Raises ImportStoreNotFound, ImportStoreUnclear."""
        if store_id is None:
            return await ImportService(self.work).store(None) if kind == "orders" else None
        for row in await ImportService(self.work).found.stores():
            if row[0] == store_id:
                return StoreRef(*row)
        raise ImportStoreNotFound()

    async def end(self, row: DataImport, status: str, reason: str | None = None) -> None:
        """Nothing follows: the files go, the counts stay."""
        row.status, row.reason, row.ended_at = status, reason, now()
        await self.kept.forget_files(row.id)
        self.tell(row)

    def tell(self, row: DataImport) -> None:
        """Say to whoever watches how far it is."""
        self.work.publish(
            ImportProgressed(
                import_id=row.id,
                kind=row.kind,
                status=row.status,
                rows_done=row.rows_done,
                rows_total=row.rows_total,
            )
        )


async def upload(
    works: WorkFactory, kind: str, store_id: UUID | None, sent: Mapping[str, Sent]
) -> DataImport:
    """Keep the files and say how they would be read.

    Raises ImportFileMissing, ImportFileUnreadable, ImportStoreNotFound, ImportStoreUnclear.
    """
    needed = {role for role, shape in SHAPES[kind].items() if shape.is_required}
    if needed - sent.keys() or sent.keys() - SHAPES[kind].keys():
        raise ImportFileMissing(f"{kind} are read from: {', '.join(SHAPES[kind])}.")
    async with works() as work:
        store = await ImportDesk(work).store(kind, store_id)
    preview = await asyncio.to_thread(previewed, kind, sent, _zone(store), now())
    async with works() as work:
        desk = ImportDesk(work)
        await desk.kept.forget_unused(now() - _UNUSED_FOR)
        row = await desk.kept.add(
            DataImport(kind=kind, store_id=store.id if store else None, preview=preview)
        )
        await desk.kept.keep_files(
            ImportFile(
                import_id=row.id,
                role=file["role"],
                name=file["name"],
                encoding=file["encoding"],
                delimiter=file["delimiter"],
                columns=file["columns"],
                mapping=file["mapping"],
                content=sent[file["role"]].content,
            )
            for file in preview["files"]
        )
        work.record("import.uploaded", "import", row.id, kind=kind, readable=preview["readable"])
        return await desk.kept.get(row.id)


async def remap(
    works: WorkFactory, import_id: UUID, mapping: Mapping[str, Mapping[str, str]]
) -> DataImport:
    """Read the files by another mapping, and look at them anew.

    Raises ImportNotFound, ImportNotReady, ImportMappingUnknown, ImportFileMissing.
    """
    async with works() as work:
        desk = ImportDesk(work)
        row = await desk.get(import_id)
        if row.status != "ready":
            raise ImportNotReady()
        store = await desk.store(row.kind, row.store_id)
        sent = _sent(await desk.kept.files(import_id), mapping)
    if mapping.keys() - sent.keys():
        raise ImportFileMissing()
    preview = await asyncio.to_thread(previewed, row.kind, sent, _zone(store), row.created_at)
    async with works() as work:
        desk = ImportDesk(work)
        row = await desk.kept.get(import_id, lock=True)
        if row.status != "ready":
            raise ImportNotReady()
        row.preview = preview
        chosen = {file["role"]: file["mapping"] for file in preview["files"]}
        for file in await desk.kept.files(import_id):
            file.mapping = chosen[file.role]
        return row


def previewed(kind: str, sent: Mapping[str, Sent], zone: ZoneInfo, at: datetime) -> dict[str, Any]:
    """How the files are understood and the first rows; nothing is written.

    Raises ImportFileUnreadable, ImportMappingUnknown.
    """
    sources = {role: _source(kind, role, file) for role, file in sent.items()}
    files = [_described(kind, role, source) for role, source in sources.items()]
    main = sources["file"].table
    parsed: Parsed[Any] = Parsed(0, [], [])
    elsewhere: list[Failure] = []
    if not any(file["missing"] for file in files):
        parsed, elsewhere = read_rows(kind, sources, zone, at)
    failures = [*parsed.failures, *elsewhere]
    return {
        "files": files,
        "sample": [row.cells for row in main.rows[:SAMPLE_ROWS]],
        "readable": len(parsed.rows),
        "skipped": parsed.repeats,
        "failed": len(parsed.failures),
        "failures": [
            {"file": f.file, "line": f.line, "key": f.key, "reason": f.reason}
            for f in failures[:SAMPLE_FAILURES]
        ],
    }


def _source(kind: str, role: str, sent: Sent) -> Source:
    try:
        table = read_table(sent.content)
    except UnreadableTable as error:
        raise ImportFileUnreadable(f"{sent.name}: {error}") from error
    found = columns(SHAPES[kind][role].fields, table, (), sent.mapping, guess=sent.mapping is None)
    return Source(sent.name, table, found)


def _described(kind: str, role: str, source: Source) -> dict[str, Any]:
    shape, table = SHAPES[kind][role], source.table
    return {
        "role": role,
        "name": source.name,
        "encoding": table.encoding,
        "delimiter": table.delimiter,
        "rows": len(table.rows),
        "columns": list(table.header),
        "fields": list(shape.fields),
        "needed": list(shape.needed),
        "mapping": dict(source.columns.by_field),
        "missing": [name for name in shape.needed if name not in source.columns.by_field],
    }


def _sent(
    files: Sequence[ImportFile], changed: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Sent]:
    found = {f.role: Sent(f.name, f.content, (changed or {}).get(f.role, f.mapping)) for f in files}
    # The main file first, as it was sent.
    return {role: found[role] for role in ("file", "items", "payments") if role in found}


def _zone(store: StoreRef | None) -> ZoneInfo:
    return ZoneInfo(store.timezone if store else _UTC)


@dataclass(frozen=True, slots=True)
class Reading:
    """An import that the job has read."""

    kind: str
    store: StoreRef | None
    parsed: Parsed[Any]
    elsewhere: list[Failure]
    done: int


async def read_again(works: WorkFactory, import_id: UUID) -> Reading | None:
    """The rows of an import that is to be applied; None when it has ended meanwhile."""
    async with works() as work:
        desk = ImportDesk(work)
        row = await desk.get(import_id)
        if row.status not in ("queued", "running"):
            return None
        store = await desk.store(row.kind, row.store_id)
        sent, kind, at, done = (
            _sent(await desk.kept.files(import_id)), row.kind, row.created_at, row.rows_done,
        )  # fmt: skip
    parsed, elsewhere = await asyncio.to_thread(_rows, kind, sent, _zone(store), at)
    return Reading(kind, store, parsed, elsewhere, done)


def _rows(
    kind: str, sent: Mapping[str, Sent], zone: ZoneInfo, at: datetime
) -> tuple[Parsed[Any], list[Failure]]:
    return read_rows(kind, {r: _source(kind, r, f) for r, f in sent.items()}, zone, at)


async def begin(works: WorkFactory, import_id: UUID, reading: Reading) -> None:
    """Note once what the file itself says: its rows, and those that nobody could read."""
    async with works() as work:
        desk = ImportDesk(work)
        row = await desk.kept.get(import_id, lock=True)
        if row.status != "queued":
            return
        parsed = reading.parsed
        row.status, row.started_at = "running", now()
        row.rows_read, row.rows_total = parsed.read, len(parsed.rows)
        row.skipped, row.failed = parsed.repeats, len(parsed.failures)
        await desk.kept.add_failures(import_id, [*parsed.failures, *reading.elsewhere])
        desk.tell(row)


Write = Callable[[ImportService, Sequence[Any]], Any]


def writer(kind: str, store: StoreRef | None) -> Write:
    """What writes rows of this kind."""
    if kind == "products":
        return lambda service, rows: service.products(rows, store)
    if kind == "customers":
        return ImportService.customers
    if store is None:
        raise ImportStoreNotFound()
    return partial(_orders, store)


async def _orders(store: StoreRef, service: ImportService, rows: Sequence[Any]) -> Any:
    return await service.orders(rows, store, {})
