"""Back up the database of DATABASE_URL and the uploaded files, while the application runs.

    python scripts/backup_db.py
    python scripts/backup_db.py --to ../backups/largo-monday

Makes one folder: the dump (pg_dump, compressed), the uploads of a local storage, a manifest with
the count and a hash of the rows of every table, and SHA256SUMS. All of it is one moment of the
database. The folder appears under its name only when it is whole and on the disk. A migration
waits until the dump is done.

NOT in it, keep them elsewhere: ENCRYPTION_KEYS, without which connected accounts and second factors
cannot be read from any backup; AUTH_SECRETS and ORDER_TRACKING_SECRET, without which people log in
again and links to orders end. With STORAGE_BACKEND=s3 the bucket is not in it either. It holds
customers' data in the clear: keep it as close as the database, and on another machine.

scripts/restore_db.py restores it. Exit codes: 0 the backup is whole; 1 there is none.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

import asyncpg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app import tables
from app.core.clock import now
from app.core.database import RawConnection
from app.core.ddl import MIGRATION_LOCK
from app.core.settings import Settings
from scripts.backups import keys, manifest, media, picture, programs, terminal
from scripts.backups.manifest import DUMP, MEDIA, Manifest, Refused, Uploads
from scripts.imports.progress import Progress


async def execute(config: Settings, argv: Sequence[str], out: TextIO) -> int:
    """Make a backup with these arguments; the exit code. Raises Refused."""
    parser = terminal.Arguments(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--to", type=Path, metavar="FOLDER", help="the backup (default: backups/largo-<instant>)"
    )
    parser.add_argument("--without-media", action="store_true", help="leave the uploads out")
    given = parser.parse_args(argv)
    moment = now()
    target: Path = given.to or Path("backups") / f"largo-{moment:%Y%m%dT%H%M%SZ}"
    say = partial(print, file=out, flush=True)
    started = time.monotonic()
    with manifest.being_made(target) as folder:
        async with _frozen(config.database_url) as connection:
            made = await _dump(config, connection, folder, out)
        made.made_at = moment
        # After the dump: a file comes before the row that names it and goes long after it.
        made.uploads = await _uploads(config, folder, say, wanted=not given.without_media)
        manifest.seal(folder, made)
    say(
        f"Backup {target}: {made.picture.rows:,} rows of {len(made.picture.tables)} tables, "
        f"{manifest.size(target) / 1e6:,.1f} MB, revision {made.revision}, "
        f"{time.monotonic() - started:.1f} s"
    )
    for kid in made.keys:
        say(f"It can be read in full only with the encryption key {kid!r}, which is not in it.")
    say(f"Copy it to another machine; try it: python scripts/restore_db.py {target} --check")
    return 0


@asynccontextmanager
async def _frozen(database_url: str) -> AsyncIterator[RawConnection]:
    """A connection whose transaction sees one moment; no migration begins or runs meanwhile."""
    connection = await terminal.connected(database_url)
    try:
        await picture.prepare(connection)
        free = "SELECT pg_try_advisory_lock_shared($1)"
        if not await connection.fetchval(free, MIGRATION_LOCK):
            raise Refused("A migration or a restore is running: wait for its end, then try again.")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection
    finally:
        await connection.close()


async def _dump(config: Settings, connection: RawConnection, folder: Path, out: TextIO) -> Manifest:
    server = await connection.fetchval("SELECT current_setting('server_version')")
    program = programs.find("pg_dump", connection.get_server_version().major)
    try:
        revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError as error:
        raise Refused("There is no Largo in this database: look at DATABASE_URL.") from error
    used = await keys.uses(connection, tables.SEALED, config.encryption_keys)
    total = len(await connection.fetch(picture.TABLES))
    print(f"Counting and hashing the rows of {total} tables", file=out, flush=True)
    with Progress(total, out, "tables") as progress:
        seen = await picture.take(connection, progress)
    print(f"Writing {DUMP}", file=out, flush=True)
    snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
    url, environment = programs.login(config.database_url)
    arguments = [
        f"--dbname={url}", f"--snapshot={snapshot}", f"--file={folder / DUMP}", "--format=custom",
        "--compress=gzip:6", "--no-owner", "--lock-wait-timeout=10s", "--no-password", "--verbose",
    ]  # fmt: skip
    with Progress(seen.rows, out) as progress:
        await programs.run(program, arguments, environment, terminal.TableHeard(seen, progress))
    return Manifest(
        made_at=now(), revision=revision, server=server, program=programs.version_of(program),
        keys=used, uploads=None, picture=seen,
    )  # fmt: skip


async def _uploads(
    config: Settings, folder: Path, say: terminal.Say, *, wanted: bool
) -> Uploads | None:
    if config.storage_backend != "local":
        say(f"Uploads are in the bucket {config.s3_bucket!r}: its own versions are their backup.")
        return None
    if not wanted:
        return None
    say(f"Writing {MEDIA} from {config.media_root}")
    packed = await asyncio.to_thread(media.pack, config.media_root, folder / MEDIA)
    say(f"  {packed.files:,} files, {packed.size_bytes / 1e6:,.1f} MB")
    return packed


if __name__ == "__main__":
    terminal.main(execute, "No backup was made.")
