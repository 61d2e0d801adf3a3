"""Restore a backup of scripts/backup_db.py into an EMPTY database, and prove that it is all there.

    python scripts/restore_db.py backups/largo-20261123T031500Z --check
    python scripts/restore_db.py backups/largo-20261123T031500Z --database largo_drill --create
    python scripts/restore_db.py backups/largo-20261123T031500Z

The first only checks the files. The second is the drill: a new database beside that of
DATABASE_URL, to be dropped again. The third fills the database of DATABASE_URL, which must be
empty. Everything is checked before anything is written, the database is filled in one transaction,
and afterwards rows, content, sequences, policies, triggers, grants and constraints are held against
the manifest. Nothing is ever overwritten: for a fresh start, create another database.

The backup's schema must be that of this code: check out the release that made it, restore, then
migrate. --older restores a schema this code can migrate; run scripts/migrate afterwards.

Needs the same ENCRYPTION_KEYS as before (it says so when they are not), AUTH_SECRETS for sessions
and ORDER_TRACKING_SECRET for links to orders. Jobs that were queued run as soon as a worker starts:
start a drill with WORKER_IN_PROCESS=false, lest customers hear everything twice.

Exit codes: 0 restored and proved; 1 refused or failed, nothing was changed; 2 it is filled, but
differs from the backup: do not serve it.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

import asyncpg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.engine import make_url

from app.core.database import RawConnection
from app.core.ddl import CREATE_ROLE, GRANT_ROLE, MIGRATION_LOCK
from app.core.settings import Settings
from scripts.backups import keys, manifest, media, picture, programs, terminal
from scripts.backups.manifest import DUMP, MEDIA, Manifest, Refused, Unproved
from scripts.imports.progress import Progress

ROOT = Path(__file__).resolve().parents[1]

# What an extension brings (a managed server may have put some there) does not count.
_FIRST_THING = """
SELECT thing FROM (
  SELECT c.oid, 'pg_class'::regclass AS class, c.relnamespace AS space, c.oid::regclass::text
    AS thing FROM pg_class c WHERE c.relkind IN ('r', 'v', 'm', 'p', 'S', 'f')
  UNION ALL
  SELECT p.oid, 'pg_proc'::regclass, p.pronamespace, p.oid::regprocedure::text FROM pg_proc p
  UNION ALL
  SELECT t.oid, 'pg_type'::regclass, t.typnamespace, t.oid::regtype::text FROM pg_type t
    WHERE t.typtype IN ('e', 'd')
) x JOIN pg_namespace n ON n.oid = x.space
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = x.class AND d.objid = x.oid AND d.deptype = 'e')
LIMIT 1
"""


async def execute(config: Settings, argv: Sequence[str], out: TextIO) -> int:
    """Restore with these arguments; the exit code. Raises Refused."""
    given = _arguments().parse_args(argv)
    if given.create and not given.database:
        raise Refused("--create needs --database NAME: the name of the new database.")
    say = partial(print, file=out, flush=True)
    started = time.monotonic()
    folder: Path = given.backup
    made = manifest.opened(folder, say)
    major = re.search(r"\) (\d+)", made.program)
    program = programs.find("pg_restore", int(major[1]) if major else 0)
    _, environment = programs.login(config.database_url)
    await programs.run(program, ["--list", str(folder / DUMP)], environment)
    _check_revision(made.revision, older=given.older)
    for sentence in keys.warnings(made.keys, config.encryption_keys):
        say(f"WARNING: {sentence} They stay unreadable until that key is in ENCRYPTION_KEYS.")
    _describe(made, say)
    if given.check:
        say("The backup is whole and of this code's schema. Nothing was restored.")
        return 0
    wants_media = made.uploads is not None and not given.without_media
    if wants_media:
        media.check_room(_media_root(config), folder / MEDIA)
    async with _empty(config.database_url, given.database, create=given.create) as url:
        await _fill(program, url, folder, made, out)
    try:
        told = await _proved(url, made, out)
        if wants_media:
            told += await _uploads(config, folder, made, say)
    except Exception as error:
        raise Unproved(f"{type(error).__name__}: {error}") from error
    return _finish(told, url, time.monotonic() - started, say)


def _arguments() -> terminal.Arguments:
    parser = terminal.Arguments(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backup", type=Path, metavar="FOLDER", help="what backup_db.py has made")
    parser.add_argument("--check", action="store_true", help="only check it, restore nothing")
    parser.add_argument("--database", metavar="NAME", help="another one than DATABASE_URL names")
    parser.add_argument("--create", action="store_true", help="create the database of --database")
    parser.add_argument("--older", action="store_true", help="take a schema older than this code's")
    parser.add_argument("--without-media", action="store_true", help="leave the uploads out")
    return parser


def _check_revision(revision: str, *, older: bool) -> None:
    scripts = ScriptDirectory.from_config(Config(str(ROOT / "alembic.ini")))
    head = scripts.get_current_head()
    if revision == head:
        return
    try:
        known = scripts.get_revision(revision) is not None
    except CommandError:
        known = False
    if known and older:
        return
    raise Refused(
        f"The backup has the schema of revision {revision}, this code that of {head}. "
        "Check out the release that made it, restore there, then run scripts/migrate here"
        + (", or take it as it is with --older and run scripts/migrate." if known else ".")
    )


def _describe(made: Manifest, say: terminal.Say) -> None:
    uploads = f", {made.uploads.files:,} uploads" if made.uploads else ", no uploads"
    say(
        f"Backup of {made.made_at:%Y-%m-%d %H:%M:%S} UTC: {made.picture.rows:,} rows of "
        f"{len(made.picture.tables)} tables{uploads}, revision {made.revision}"
    )


@asynccontextmanager
async def _empty(database_url: str, name: str | None, *, create: bool) -> AsyncIterator[str]:
    """The URL of an empty database that no migration and no other restore touches meanwhile.

    One that was created here is dropped again when the body fails.
    """
    url = database_url
    if name:
        url = make_url(database_url).set(database=name).render_as_string(hide_password=False)
    if create:
        await _administer(database_url, "CREATE", name or "")
    try:
        async with _reserved(url):
            yield url
    except BaseException:
        if create:
            await _administer(database_url, "DROP", name or "")
        raise


async def _administer(database_url: str, verb: str, name: str) -> None:
    connection = await terminal.connected(database_url)
    quoted = '"' + name.replace('"', '""') + '"'
    try:
        await connection.execute(f"{verb} DATABASE {quoted}")
    except asyncpg.DuplicateDatabaseError as error:
        raise Refused(
            f"The database {name!r} exists: leave --create out if it is empty."
        ) from error
    finally:
        await connection.close()


@asynccontextmanager
async def _reserved(url: str) -> AsyncIterator[RawConnection]:
    connection = await terminal.connected(url)
    try:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", MIGRATION_LOCK):
            raise Refused("A migration, a backup or a restore works on this database.")
        if thing := await connection.fetchval(_FIRST_THING):
            raise Refused(
                f"The database {make_url(url).database!r} is not empty (it has {thing}, for one). "
                "A restore overwrites nothing: create another database and name it, or add "
                "--database NAME --create."
            )
        yield connection
    finally:
        await connection.close()


async def _fill(program: Path, url: str, folder: Path, made: Manifest, out: TextIO) -> None:
    connection = await terminal.connected(url)
    try:
        # Roles belong to the cluster, so they are in no dump of a database.
        await connection.execute(CREATE_ROLE)
        await connection.execute(GRANT_ROLE)
    finally:
        await connection.close()
    print(f"Restoring {DUMP}", file=out, flush=True)
    bare, environment = programs.login(url)
    with Progress(made.picture.rows, out) as progress:
        await programs.run(
            program,
            [
                f"--dbname={bare}", "--single-transaction", "--exit-on-error", "--no-owner",
                "--no-comments", "--no-password", "--verbose", str(folder / DUMP),
            ],
            environment,
            terminal.TableHeard(made.picture, progress),
        )  # fmt: skip


async def _proved(url: str, made: Manifest, out: TextIO) -> list[str]:
    """What differs from the backup, a sentence each."""
    print("Holding the restored database against the manifest", file=out, flush=True)
    connection = await terminal.connected(url)
    try:
        await picture.prepare(connection)
        with Progress(len(made.picture.tables), out, "tables") as progress:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                found = await picture.take(connection, progress)
        for table in await connection.fetch(picture.TABLES):
            await connection.execute(f"ANALYZE {table['shown']}")
        queued = await connection.fetchval("SELECT count(*) FROM pgqueuer")
    finally:
        await connection.close()
    print(f"  {found.rows:,} rows, {len(found.structure):,} definitions", file=out, flush=True)
    if queued:
        print(f"  {queued:,} jobs are queued: they run when a worker starts", file=out, flush=True)
    return picture.differences(made.picture, found)


async def _uploads(config: Settings, folder: Path, made: Manifest, say: terminal.Say) -> list[str]:
    root = _media_root(config)
    say(f"Restoring {MEDIA} to {root}")
    stored = await media.unpack(folder / MEDIA, root)
    say(f"  {stored.files:,} files, {stored.size_bytes / 1e6:,.1f} MB")
    if stored == made.uploads:
        return []
    return [f"{root} holds {stored}, the backup has {made.uploads}"]


def _media_root(config: Settings) -> Path:
    if config.storage_backend != "local":
        raise Refused(
            f"The backup has uploads, but STORAGE_BACKEND is {config.storage_backend}: restore "
            "with STORAGE_BACKEND=local or --without-media."
        )
    return config.media_root


def _finish(told: Sequence[str], url: str, seconds: float, say: terminal.Say) -> int:
    name = make_url(url).database
    if not told:
        say(f"Restored into {name!r} and proved equal to the backup, {seconds:.1f} s")
        return 0
    for sentence in told[:50]:
        say(f"  {sentence}")
    say(
        f"{name!r} DIFFERS from the backup in {len(told)} points: do not serve it. Drop it, and "
        "restore another copy or an older backup."
    )
    return 2


if __name__ == "__main__":
    terminal.main(execute, "Nothing was restored.")
