"""A backup's folder: what lies in it, written beside and renamed when whole, checked before use.

``SHA256SUMS`` is in the format of ``sha256sum``, so that any machine can check a copy.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from scripts.backups.keys import KeyUse
from scripts.backups.picture import Picture

DUMP, MEDIA, MANIFEST, SUMS = "database.dump", "media.tar", "manifest.json", "SHA256SUMS"
_CHUNK = 1 << 20


class Refused(Exception):
    """It cannot be done; the text says why and what to do. Nothing was changed."""


class Unproved(Exception):
    """The database was filled, and then something failed before it was held against the backup."""


class Uploads(BaseModel):
    """The uploaded files in a backup."""

    files: int
    size_bytes: int


class Manifest(BaseModel):
    """What a backup is of."""

    format: Literal[1] = 1
    made_at: datetime
    revision: str
    """Of the schema: what alembic called it."""
    server: str
    program: str
    keys: dict[str, KeyUse]
    """By key id, what it seals in the dump; the keys themselves are never in a backup."""
    uploads: Uploads | None
    picture: Picture


@contextmanager
def being_made(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``target`` when the body ends well and vanishes otherwise.

    Raises:
        Refused: ``target`` is there already.
    """
    if target.exists():
        raise Refused(f"{target} is there already: name another folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    side = target.with_name(f".{target.name}.part")
    try:
        side.mkdir(mode=0o700)
        yield side
        for path in side.iterdir():
            _sync(path)
        _sync(side)
        side.rename(target)
        _sync(target.parent)
    finally:
        shutil.rmtree(side, ignore_errors=True)


def seal(folder: Path, manifest: Manifest) -> None:
    """Write the manifest and the sums of everything in the folder."""
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n")
    lines = [f"{digest(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / SUMS).write_text("".join(lines))
    for path in folder.iterdir():
        path.chmod(0o600)


def opened(folder: Path, say: Callable[[str], None]) -> Manifest:
    """The manifest of a backup whose every byte is as it was written.

    Raises:
        Refused: something is missing, damaged or of another make.
    """
    try:
        lines = (folder / SUMS).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{folder} is no backup: its {SUMS} cannot be read ({error}).") from error
    sums = {name: expected for expected, _, name in (line.partition("  ") for line in lines)}
    if not {DUMP, MANIFEST} <= sums.keys() <= {DUMP, MANIFEST, MEDIA}:
        raise Refused(f"{folder / SUMS} does not list a backup's files. {_ANOTHER}")
    say(f"Checking {', '.join(sums)} against {SUMS}")
    for name, expected in sums.items():
        if not (folder / name).is_file():
            raise Refused(f"{folder / name} is missing. {_ANOTHER}")
        if digest(folder / name) != expected:
            raise Refused(f"{folder / name} is damaged: its SHA-256 is another. {_ANOTHER}")
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except ValidationError as error:
        raise Refused(f"{folder / MANIFEST} is not of a format this version knows.") from error
    if manifest.uploads is not None and MEDIA not in sums:
        raise Refused(f"{folder} should hold {MEDIA} and does not list it. {_ANOTHER}")
    return manifest


_ANOTHER = "Use another copy of this backup, or another backup. Nothing was changed."


def size(folder: Path) -> int:
    """Bytes of a backup."""
    return sum(path.stat().st_size for path in folder.iterdir())


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            total.update(chunk)
    return total.hexdigest()


def _sync(path: Path) -> None:
    # Bytes and names must survive a power cut before the backup is called done.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
