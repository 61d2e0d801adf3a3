"""Files of a tenant: taken in, shown, held by what refers to them, removed when nothing does.

The life of a file: ``uploading`` (the row, counted against the plan) → bytes stored → ``stored`` →
``erasing`` (no longer counted) → bytes removed → no row. Bytes come and go between transactions,
never inside one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote
from uuid import UUID

from app.contracts.gateways.storage import StorageFailed
from app.core.clock import now
from app.core.crypto import SignatureInvalid, Signer
from app.core.pagination import PageRead, PageRequest
from app.kernel.files.intake import Incoming, Prepared, prepare, put_all
from app.kernel.files.models import StoredFile
from app.kernel.files.problems import (
    FileBusy,
    FileInUse,
    FileLinkExpired,
    FileNotFound,
    StorageUnavailable,
)
from app.kernel.files.repository import FileRepository, tenants_with_older
from app.kernel.files.rules import THUMBNAIL_SIDES, Kind, key_of, place_of_key, thumbnail_key
from app.kernel.files.schemas import FileRead, Visibility
from app.kernel.usage.service import UsageService
from app.kernel.work import (
    Actor,
    Runtime,
    UnitOfWork,
    WorkFactory,
    system_work,
    unit_of_work,
)

CLEAN = "kernel.files.clean"
ERASE = "kernel.files.erase"
METRIC = "storage_bytes"
LINK_LIFE = timedelta(minutes=15)
_STUCK_AFTER = timedelta(minutes=10)
_ACTOR = Actor("system", "files")

log = logging.getLogger(__name__)


async def store_file(
    runtime: Runtime,
    works: WorkFactory,
    incoming: Incoming,
    visibility: Visibility,
    seen_with: str | None = None,
) -> FileRead:
    """Keep what was sent under its content's hash; the same content again is the same file.

    With ``seen_with`` (``module.action``) it is found among the files by holders of that alone.

    Opens Works of its own, as the store is asked between them. Raises what ``prepare`` raises, and
    LimitReached, FileBusy, StorageUnavailable.
    """
    prepared = await prepare(runtime, incoming)
    async with works() as work:
        file_id, key, is_stored = await FileService(work).begin(prepared, visibility, seen_with)
    if not is_stored:
        try:
            await put_all(runtime.storage, key, prepared)
        except Exception as error:
            async with works() as work:
                await FileService(work).abandon(file_id)
            if isinstance(error, StorageFailed):
                raise StorageUnavailable() from error
            raise
    async with works() as work:
        return await FileService(work).complete(file_id)


class FileService:
    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.files = FileRepository(work.session)
        self.usage = UsageService(work)

    async def page(self, page: PageRequest, grants: Collection[str]) -> PageRead[FileRead]:
        """The files that somebody with these grants may see, newest first."""
        found = await self.files.recent(page, grants)
        return PageRead[FileRead](
            items=[self._shown(file) for file in found.items], next_cursor=found.next_cursor
        )

    async def get(self, file_id: UUID, grants: Collection[str]) -> FileRead:
        """One file, with links that work now. Raises FileNotFound."""
        return self._shown(await self.files.seen(file_id, grants, lock=False))

    async def linked(self, named: Mapping[UUID, str | None]) -> dict[UUID, FileRead]:
        """The files of these ids that there are, with links under which browsers save them by
        the names given."""
        files = await self.files.some(list(named)) if named else []
        return {file.id: self._shown(file, named[file.id]) for file in files}

    async def keep(self, file_id: UUID) -> StoredFile:
        """A file of any visibility that this Work is about to refer to: it is not removed before
        the Work ends. Raises FileNotFound.
        """
        return await self.files.get(file_id, lock=True)

    async def held(self, ids: Collection[UUID]) -> frozenset[UUID]:
        """Those of the ids that may be referred to in public; none is removed before this Work
        ends, and from then on the reference itself keeps it.
        """
        return await self.files.held(ids) if ids else frozenset()

    async def begin(
        self, prepared: Prepared, visibility: Visibility, seen_with: str | None = None
    ) -> tuple[UUID, str, bool]:
        """Make the row and take its bytes off the plan before any are stored: id, key, and
        whether they are stored already. Raises LimitReached, FileBusy.
        """
        kind, is_public = prepared.kind, visibility == "public"
        key = key_of(self.work.tenant.id, prepared.sha256, kind.extension, is_public=is_public)
        file_id, state, is_new = await self.files.claim(
            StoredFile(
                key=key,
                media_type=kind.media_type,
                size_bytes=prepared.size_bytes,
                stored_bytes=prepared.stored_bytes,
                sha256=prepared.sha256,
                original_name=prepared.name,
                visibility=visibility,
                width=prepared.width,
                height=prepared.height,
                seen_with=seen_with,
            )
        )
        if state == "erasing":
            raise FileBusy()
        if is_new:
            await self.usage.take(METRIC, prepared.stored_bytes)
        return file_id, key, state == "stored"

    async def complete(self, file_id: UUID) -> FileRead:
        """The bytes are stored. Raises FileBusy when the file was given up meanwhile."""
        file = await self.files.in_any_state(file_id)
        if file is None or file.state == "erasing":
            raise FileBusy()
        if file.state == "uploading":
            file.state = "stored"
            facts = {"key": file.key, "size_bytes": file.size_bytes}
            self.work.record("file.stored", "file", file.id, **facts)
            await self.files.flush()
        return self._shown(file)

    async def abandon(self, file_id: UUID) -> None:
        """The bytes could not be stored."""
        file = await self.files.in_any_state(file_id)
        if file is not None and file.state == "uploading":
            await self._erase([file_id])

    async def delete(self, file_id: UUID, grants: Collection[str]) -> None:
        """Raises FileNotFound, and FileInUse while anything refers to it."""
        file = await self.files.seen(file_id, grants, lock=True)
        used_by = (await self.files.uses([file_id])).get(file_id)
        if used_by:
            raise FileInUse(used_by=sorted(used_by))
        await self._erase([file_id])
        self.work.record("file.deleted", "file", file_id, key=file.key)

    async def collect(self, before: datetime, most: int) -> tuple[int, int]:
        """Give up to ``most`` files that nobody touched since and nothing refers to over to
        erasing, and once more those whose erasing was cut off: how many, and how many bytes.
        """
        locked = await self.files.lock_orphans(before, most)
        # Under the locks nobody can begin to refer to them: what is unused now stays so.
        used = await self.files.uses(locked) if locked else {}
        orphans = [file_id for file_id in locked if file_id not in used]
        freed = await self._erase(orphans) if orphans else 0
        stuck = await self.files.stuck(now() - _STUCK_AFTER)
        if stuck:
            self._queue(stuck)
        return len(orphans), freed

    async def unused(self, before: datetime, most: int) -> tuple[int, int]:
        """What ``collect`` would find: how many files, and how many bytes."""
        found = await self.files.lock_orphans(before, most)
        return len(found), sum(file.stored_bytes for file in await self.files.some(found))

    async def keys_to_erase(self, ids: Collection[UUID]) -> list[str]:
        """Every key whose bytes are to go, thumbnails first."""
        return _keys(await self.files.erasing(ids))

    async def every_key(self) -> list[str]:
        """All that this tenant has in the store: for whoever deletes the tenant itself."""
        return _keys(await self.files.every())

    async def forget(self, ids: Collection[UUID]) -> None:
        """Their bytes are gone."""
        await self.files.forget(ids)

    async def _erase(self, ids: Collection[UUID]) -> int:
        freed = await self.files.start_erasing(ids, now())
        if freed:
            await self.usage.give_back(METRIC, freed)
        self._queue(ids)
        return freed

    def _queue(self, ids: Collection[UUID]) -> None:
        self.work.enqueue(ERASE, {"file_ids": [str(file_id) for file_id in ids]})

    def _shown(self, file: StoredFile, name: str | None = None) -> FileRead:
        keys = {side: thumbnail_key(file.key, side) for side in THUMBNAIL_SIDES}
        return FileRead(
            **{name: getattr(file, name) for name in FileRead.model_fields if hasattr(file, name)},
            url=self._url(file.key, is_public=file.is_public, name=name),
            thumbnails={
                str(side): self._url(key, is_public=file.is_public)
                for side, key in keys.items()
                if file.is_image
            },
        )

    def _url(self, key: str, *, is_public: bool, name: str | None = None) -> str:
        if is_public:
            return f"/media/{key}"
        expires = int((now() + LINK_LIFE).timestamp())
        tag = _signer(self.work.runtime).tag(_signed(key, expires, name))
        called = f"&name={quote(name, safe='')}" if name else ""
        return f"/media/{key}?expires={expires}&signature={tag}{called}"


async def queue_cleaning(runtime: Runtime) -> None:
    """Queue the clean-up of every tenant that has older files, once in a while; for the beat."""
    every = runtime.settings.media_cleanup_minutes * 60
    last = runtime.caches.get("files.cleaning")
    if last is not None and time.monotonic() - last < every:
        return
    runtime.caches["files.cleaning"] = time.monotonic()
    before = now() - timedelta(hours=runtime.settings.media_orphan_hours)
    async with system_work(runtime) as session:
        tenants = await tenants_with_older(session, before)
    for tenant_id in tenants:
        try:
            tenant = await runtime.tenants.by_id(tenant_id)
            async with unit_of_work(runtime, tenant, _ACTOR) as work:
                work.enqueue(CLEAN, {}, dedupe_key="clean")
        except Exception:
            # One tenant's trouble is not the others'.
            log.exception("files.cleaning_failed", extra={"tenant_id": str(tenant_id)})


@dataclass(frozen=True, slots=True)
class Served:
    """A file that may be handed out to who asked."""

    kind: Kind
    size: int
    fresh_s: int | None
    """How long the link still holds; None for a public file, whose content never changes."""


async def served(
    runtime: Runtime,
    key: str,
    expires: int | None = None,
    signature: str | None = None,
    name: str | None = None,
) -> Served:
    """The file behind a key. Raises FileNotFound, FileLinkExpired, StorageUnavailable.

    Asks no database. A public key holds the SHA-256 of the content, which nobody guesses, and
    storefronts show these to everybody; a private one is served to who brings a link that
    ``FileService`` signed, and to others it does not exist.
    """
    place = place_of_key(key)
    if place is None:
        raise FileNotFound()
    fresh_s = None if place.is_public else _left(runtime, key, expires, signature, name)
    try:
        size = await runtime.storage.size(key)
    except StorageFailed as error:
        raise StorageUnavailable() from error
    if size is None:
        raise FileNotFound()
    return Served(place.kind, size, fresh_s)


def content(runtime: Runtime, key: str, start: int, length: int) -> AsyncIterator[bytes]:
    """The bytes of what ``served`` found."""
    return runtime.storage.read(key, start, length)


def _left(
    runtime: Runtime, key: str, expires: int | None, signature: str | None, name: str | None
) -> int:
    """Seconds for which a signed link still holds."""
    try:
        _signer(runtime).check(_signed(key, expires or 0, name), signature or "")
    except SignatureInvalid as error:
        raise FileNotFound() from error
    left = (expires or 0) - int(now().timestamp())
    if left <= 0:
        raise FileLinkExpired()
    return left


def _signed(key: str, expires: int, name: str | None = None) -> bytes:
    # No key of ours holds a line break, so nothing can be moved from one part to another.
    return "\n".join([str(expires), key, *([name] if name else [])]).encode(errors="replace")


def _signer(runtime: Runtime) -> Signer:
    return Signer(runtime.settings.order_tracking_secret, "media")


def _keys(files: Iterable[StoredFile]) -> list[str]:
    keys = []
    for file in files:
        if file.is_image:
            keys += [thumbnail_key(file.key, side) for side in THUMBNAIL_SIDES]
        keys.append(file.key)
    return keys
