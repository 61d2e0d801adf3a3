"""Queries over the tenant's files, and over everything that refers to one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Select, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.database import raw
from app.core.ids import new_id
from app.core.model import TenantModel
from app.core.pagination import Page, PageRequest
from app.core.repository import Repository
from app.kernel.files.models import StoredFile
from app.kernel.files.problems import FileNotFound

# A twin's claim waits on the index; whoever comes second is told what the first one made of it.
_CLAIM = """
INSERT INTO files AS f (id, key, media_type, size_bytes, stored_bytes, sha256, original_name,
  visibility, width, height, seen_with, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'uploading')
-- Whoever sends the same content needs no grant to see it any more.
ON CONFLICT (tenant_id, key) DO UPDATE SET touched_at = now(),
  seen_with = CASE WHEN EXCLUDED.seen_with IS NULL THEN NULL ELSE f.seen_with END
RETURNING f.id, f.state, f.xmax = 0 AS added
"""
_ORPHANS = """
WITH used AS ({references})
SELECT f.id FROM files f
WHERE f.touched_at < $1 AND (f.state = 'uploading'
  OR f.state = 'stored' AND NOT EXISTS (SELECT FROM used u WHERE u.id = f.id::text))
ORDER BY f.id LIMIT $2 FOR UPDATE OF f SKIP LOCKED
"""
_USES = "SELECT DISTINCT u.by, u.id FROM ({references}) u WHERE u.id = ANY ($1::text[])"
_TENANTS = "SELECT DISTINCT tenant_id FROM files WHERE touched_at < $1"


@dataclass(frozen=True, slots=True)
class Reference:
    """A column whose values are ids of files."""

    table: str
    column: str
    is_list: bool
    is_soft: bool
    """The table keeps deleted rows, with ``deleted_at`` set."""


@cache
def references() -> tuple[Reference, ...]:
    """Every column of every tenant table that refers to files: by its name or by a foreign key.

    Read off the models once they are all known, so a new reference needs no line here.
    """
    found = []
    for mapper in StoredFile.registry.mappers:
        table = mapper.local_table
        if not issubclass(mapper.class_, TenantModel):
            continue
        for column in table.columns:
            named = f"_{column.name}".endswith(("_file_id", "_file_ids"))
            if named or any(k.column.table.name == "files" for k in column.foreign_keys):
                if column.name in {"tenant_id", "id"}:
                    continue
                is_list = isinstance(column.type, ARRAY)
                found.append(
                    Reference(str(table), column.name, is_list, "deleted_at" in table.columns)
                )
    return tuple(sorted(found, key=lambda r: (r.table, r.column)))


def _union() -> str:
    # Compared as text: arrays of ids may be text, and what is no id names no file.
    parts = []
    for r in references():
        source = f"{r.table}, unnest({r.column}) AS i" if r.is_list else r.table
        value = "i" if r.is_list else r.column
        alive = "deleted_at IS NULL" if r.is_soft else "true"
        parts.append(
            f"SELECT '{r.table}' AS by, {value}::text AS id FROM {source} "  # noqa: S608 - names of our models
            f"WHERE {value} IS NOT NULL AND {alive}"
        )
    return " UNION ALL ".join(parts)


async def tenants_with_older(session: AsyncSession, before: datetime) -> Sequence[UUID]:
    """Tenants whose files the clean-up has to look at; takes a system session."""
    return [row["tenant_id"] for row in await (await raw(session)).fetch(_TENANTS, before)]


class FileRepository(Repository[StoredFile]):
    model = StoredFile
    missing = FileNotFound

    def query(self) -> Select[StoredFile]:
        return super().query().where(StoredFile.state == "stored")

    async def recent(self, page: PageRequest, grants: Collection[str]) -> Page[StoredFile]:
        return await self.page(self.query().where(_seen(grants)), page)

    async def seen(self, file_id: UUID, grants: Collection[str], *, lock: bool) -> StoredFile:
        """The file, to whoever holds these grants. Raises FileNotFound."""
        file = await self.get(file_id, lock=lock)
        if file.seen_with is not None and file.seen_with not in grants:
            raise FileNotFound()
        return file

    async def claim(self, file: StoredFile) -> tuple[UUID, str, bool]:
        """The id under which this content is kept, its state, and whether the row is new."""
        row = await (await self.raw()).fetchrow(
            _CLAIM,
            new_id(),
            file.key,
            file.media_type,
            file.size_bytes,
            file.stored_bytes,
            file.sha256,
            file.original_name,
            file.visibility,
            file.width,
            file.height,
            file.seen_with,
        )
        assert row is not None  # noqa: S101 - the statement answers a row either way
        return row["id"], row["state"], row["added"]

    async def in_any_state(self, file_id: UUID) -> StoredFile | None:
        """The row whatever its state, taken for a transition."""
        statement = select(StoredFile).where(StoredFile.id == file_id)
        return await self.one_or_none(statement.with_for_update())

    async def held(self, ids: Collection[UUID]) -> frozenset[UUID]:
        """Those of the ids that are public files, kept from removal until the Work ends."""
        statement = (
            select(StoredFile.id)
            .where(StoredFile.id.in_(ids), StoredFile.state == "stored")
            .where(StoredFile.visibility == "public")
            .order_by(StoredFile.id)
            .with_for_update(read=True)
        )
        return frozenset(await self.session.scalars(statement))

    async def uses(self, ids: Collection[UUID]) -> dict[UUID, list[str]]:
        """Which tables refer to which of the ids."""
        found: dict[UUID, list[str]] = {}
        statement = _USES.format(references=_union())
        for row in await (await self.raw()).fetch(statement, [str(i) for i in ids]):
            found.setdefault(UUID(row["id"]), []).append(row["by"])
        return found

    async def lock_orphans(self, before: datetime, most: int) -> list[UUID]:
        """Files nobody touched since: half uploads, and what nothing refers to.

        They are locked; what somebody else holds is left out. A reference that was committed while
        this looked may have been missed: ask ``uses`` again under the locks.
        """
        statement = _ORPHANS.format(references=_union())
        return [row["id"] for row in await (await self.raw()).fetch(statement, before, most)]

    async def start_erasing(self, ids: Collection[UUID], at: datetime) -> int:
        """Take them out of use; answers the bytes that this frees."""
        changed = await self.session.execute(
            update(StoredFile)
            .where(StoredFile.id.in_(ids), StoredFile.state != "erasing")
            .values(state="erasing", touched_at=at)
            .returning(StoredFile.stored_bytes)
        )
        return sum(changed.scalars())

    async def every(self) -> Sequence[StoredFile]:
        return await self.all(self.query())

    async def some(self, ids: Collection[UUID]) -> Sequence[StoredFile]:
        return await self.all(self.query().where(StoredFile.id.in_(ids)))

    async def erasing(self, ids: Collection[UUID]) -> Sequence[StoredFile]:
        """Those of the ids whose bytes are to go."""
        found = select(StoredFile).where(StoredFile.id.in_(ids), StoredFile.state == "erasing")
        return await self.all(found)

    async def stuck(self, before: datetime) -> Sequence[UUID]:
        """Files whose erasing began before that and never ended."""
        found = select(StoredFile.id).where(
            StoredFile.state == "erasing", StoredFile.touched_at < before
        )
        return (await self.session.scalars(found)).all()

    async def forget(self, ids: Collection[UUID]) -> None:
        """Delete the rows of files whose bytes are gone."""
        await self.session.execute(
            delete(StoredFile).where(StoredFile.id.in_(ids), StoredFile.state == "erasing")
        )


def _seen(grants: Collection[str]) -> ColumnElement[bool]:
    return or_(StoredFile.seen_with.is_(None), StoredFile.seen_with.in_(grants))
