"""Queries over imports, their files and the rows that were refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import undefer

from app.commerce.imports.models import DataImport, ImportFailure, ImportFile
from app.commerce.imports.problems import ImportNotFound
from app.commerce.imports.schemas import Failure
from app.core.ids import new_id
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository

_AT_ONCE = 2000


class KeptImports(Repository[DataImport]):
    model = DataImport
    missing = ImportNotFound

    async def recent(self, request: PageRequest) -> Page[DataImport]:
        """Newest first."""
        return await self.page(self.query(), request)

    async def keep_files(self, files: Iterable[ImportFile]) -> None:
        """Add the tables of an import."""
        self.session.add_all(files)
        await self.flush()

    async def files(self, import_id: UUID) -> Sequence[ImportFile]:
        """With their content."""
        statement = select(ImportFile).where(ImportFile.import_id == import_id)
        return (await self.session.scalars(statement.options(undefer(ImportFile.content)))).all()

    async def forget_files(self, import_id: UUID) -> None:
        """The import has ended."""
        await self.session.execute(delete(ImportFile).where(ImportFile.import_id == import_id))

    async def forget_unused(self, before: datetime) -> None:
        """Uploads that nobody applied."""
        await self.session.execute(
            delete(DataImport).where(DataImport.status == "ready", DataImport.created_at < before)
        )

    async def add_failures(self, import_id: UUID, failures: Sequence[Failure]) -> None:
        """Note rows that were refused."""
        for start in range(0, len(failures), _AT_ONCE):
            await self.session.execute(
                insert(ImportFailure),
                [
                    {
                        "id": new_id(),
                        "import_id": import_id,
                        "file": failure.file,
                        "line": failure.line,
                        "key": failure.key,
                        "reason": failure.reason,
                    }
                    for failure in failures[start : start + _AT_ONCE]
                ],
            )

    async def failures(self, import_id: UUID) -> Sequence[ImportFailure]:
        """All rows that were refused, by file and line."""
        statement = select(ImportFailure).where(ImportFailure.import_id == import_id)
        ordered = statement.order_by(ImportFailure.file, ImportFailure.line, ImportFailure.id)
        return (await self.session.scalars(ordered)).all()
