"""The uploaded files of a local storage: one tar, and back through the storage's own writer."""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from app.kernel.files.storage import LocalStorage
from scripts.backups.manifest import Refused, Uploads


def pack(root: Path, target: Path) -> Uploads:
    """Write every whole file below ``root``; one that is erased meanwhile is left out."""
    files = size = 0
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(root.rglob("*")):
            if path.name.endswith(".part") or path.is_symlink():
                continue
            try:
                with path.open("rb") as source:
                    member = tar.gettarinfo(arcname=str(path.relative_to(root)), fileobj=source)
                    tar.addfile(member, source)
            except (FileNotFoundError, IsADirectoryError):
                continue
            files, size = files + 1, size + member.size
    return Uploads(files=files, size_bytes=size)


def check_room(root: Path, source: Path) -> None:
    """Raises Refused when a file that is there already differs from the one in the backup."""
    with tarfile.open(source) as tar:
        for member in tar:
            there = root / _key(member)
            if there.exists() and (not there.is_file() or there.stat().st_size != member.size):
                raise Refused(
                    f"{there} is there already and is another file than the backup's: "
                    "name an empty folder as MEDIA_ROOT. Nothing was changed."
                )


async def unpack(source: Path, root: Path) -> Uploads:
    """Store every file of the tar, each whole or not at all; what is there already stays."""
    storage = LocalStorage(root)
    files = size = 0
    with tarfile.open(source) as tar:
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None, "regular files alone are packed"  # noqa: S101
            key = _key(member)
            await storage.put(key, cast(BinaryIO, content), media_type="")
            if await storage.size(key) == member.size:
                files, size = files + 1, size + member.size
    return Uploads(files=files, size_bytes=size)


def _key(member: tarfile.TarInfo) -> str:
    path = PurePosixPath(member.name)
    if not member.isreg() or path.is_absolute() or ".." in path.parts:
        raise Refused(f"media.tar holds {member.name!r}, which no backup of ours would.")
    return str(path)
