"""Queries over the tenant's files."""

from __future__ import annotations

from sqlalchemy.dialects.postgresql import insert

from app.core.ids import new_id
from app.core.repository import Repository
from app.kernel.files.models import StoredFile
from app.kernel.files.problems import FileNotFound


class FileRepository(Repository[StoredFile]):
    model = StoredFile
    missing = FileNotFound

    async def by_key(self, key: str) -> StoredFile | None:
        return await self.one_or_none(self.query().where(StoredFile.key == key))

    async def insert_new(
        self, key: str, *, media_type: str, size_bytes: int, sha256: str, original_name: str
    ) -> bool:
        """Add the row unless the same content is there already; True when it was added."""
        added = await self.session.execute(
            insert(StoredFile)
            .values(
                id=new_id(),
                key=key,
                media_type=media_type,
                size_bytes=size_bytes,
                sha256=sha256,
                original_name=original_name,
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "key"])
            .returning(StoredFile.id)
        )
        return added.scalar_one_or_none() is not None
