"""Fetching a medium from the vendor: streamed under a cap, hashed, looked at, kept.

No transaction is open while the vendor or the store is asked. What a crash leaves is a pending
row whose job comes again, and an unnamed temporary file that the system forgets.
"""

from __future__ import annotations

import asyncio
import hashlib
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from app.contracts.gateways.messaging import GatewayFailure, GatewayRefused, Refusal
from app.contracts.gateways.whatsapp import MediaInfo
from app.conversations.media.rules import MOST_LINKS, READERS, SORTS, found_kind, is_hash
from app.conversations.media.service import Ending, Wanted
from app.kernel.files.intake import Incoming
from app.kernel.files.problems import (
    FileBusy,
    FileTooLarge,
    ImageAnimated,
    ImageTooLarge,
    ImageUnreadable,
    StorageUnavailable,
)
from app.kernel.files.rules import HEAD_BYTES, clean_name
from app.kernel.files.schemas import FileRead
from app.kernel.files.service import store_file
from app.kernel.limits import LimitReached
from app.kernel.work import Runtime, WorkFactory

_IN_MEMORY = 1024 * 1024
_NO_SUCH_OBJECT = ("100", "33", "131052", "http-404", "http-410")


class NotFetched(Exception):
    """There is no file; trying again by ourselves would not help."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


class TryLater(Exception):
    """There is no file yet."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.after_s = reason, after_s


async def fetched(runtime: Runtime, works: WorkFactory, wanted: Wanted) -> FileRead:
    """The medium as a private file. Raises NotFetched, TryLater."""
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        content = cast(BinaryIO, spool)
        await _download(wanted, content)
        return await _kept(runtime, works, wanted, content)


async def _download(wanted: Wanted, into: BinaryIO) -> None:
    """Ask for an address and read what is there; a fresh one when it has ended already."""
    why = Ending("failed", "refused")
    for _ in range(MOST_LINKS):
        info = await _described(wanted)
        into.seek(0)
        into.truncate()
        try:
            digest = await _streamed(wanted, info, into)
        except GatewayRefused as refused:
            why = _judged(refused)
            continue
        except GatewayFailure as failure:
            raise TryLater(failure.reason) from failure
        is_same = is_hash(wanted.sha256, digest)
        if is_same is None:
            is_same = is_hash(info.sha256, digest)
        if is_same is not False:
            return
        why = Ending("invalid", "hash-mismatch")
    raise NotFetched(why)


async def _described(wanted: Wanted) -> MediaInfo:
    try:
        info = await wanted.gateway.media(wanted.account, wanted.vendor_media_id)
    except GatewayRefused as refused:
        if refused.code in _NO_SUCH_OBJECT:
            raise NotFetched(Ending("expired", "gone", refused.message)) from refused
        if refused.action is Refusal.AUTH:
            raise NotFetched(Ending("failed", "token-refused", refused.message)) from refused
        if not refused.retryable:
            raise NotFetched(Ending("failed", "refused", refused.message)) from refused
        raise TryLater(refused.reason, refused.retry_after_s) from refused
    except GatewayFailure as failure:
        raise TryLater(failure.reason) from failure
    if info.size is not None and info.size > SORTS[wanted.sort].most_bytes:
        raise NotFetched(Ending("too_large", "too-large", f"{info.size} bytes"))
    return info


async def _streamed(wanted: Wanted, info: MediaInfo, into: BinaryIO) -> bytes:
    """SHA-256 of what was read. Raises the gateway failures."""
    digest, most = hashlib.sha256(), SORTS[wanted.sort].most_bytes
    async with wanted.gateway.download(wanted.account, info.url, most=most) as pieces:
        async for piece in pieces:
            digest.update(piece)
            # It may go over to the disk.
            await asyncio.to_thread(into.write, piece)
    return digest.digest()


def _judged(refused: GatewayRefused) -> Ending:
    """What remains when no other address helps. Raises NotFetched when none can, TryLater."""
    if refused.code == "too-large":
        raise NotFetched(Ending("too_large", "too-large", refused.message)) from refused
    if refused.code in ("foreign-host", "url-refused"):
        raise NotFetched(Ending("failed", "foreign-host", refused.message)) from refused
    if refused.retryable:
        raise TryLater(refused.reason, refused.retry_after_s) from refused
    return Ending("failed", "refused", refused.message)


async def _kept(
    runtime: Runtime, works: WorkFactory, wanted: Wanted, content: BinaryIO
) -> FileRead:
    content.seek(0)
    head = content.read(HEAD_BYTES)
    kind = found_kind(wanted.sort, head, wanted.media_type)
    if kind is None or not head:
        raise NotFetched(Ending("invalid", "wrong-type", f"claimed {wanted.media_type}"))
    name = clean_name(wanted.name or f"{wanted.sort}.{kind.extension}")
    try:
        return await store_file(
            runtime, works, Incoming(content, name, kind.media_type, kind), "private", READERS
        )
    except LimitReached as full:
        raise NotFetched(Ending("failed", "storage-full")) from full
    except (ImageUnreadable, ImageAnimated, ImageTooLarge) as odd:
        raise NotFetched(Ending("invalid", "unreadable", odd.title)) from odd
    except FileTooLarge as large:
        raise NotFetched(Ending("too_large", "too-large")) from large
    except (FileBusy, StorageUnavailable) as busy:
        raise TryLater(busy.title) from busy
