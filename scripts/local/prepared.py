"""Remembers that a database has been migrated and seeded, so that a second start need not.

The memory counts only for the very same database at the very same revision, and for the very same
migrations and seed; anything else and both run again, which they can at any time.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import asyncpg

from scripts.local.environment import ROOT
from scripts.local.processes import write_whole

SOURCES = (
    "alembic.ini",
    "alembic/**/*.py",
    "alembic/**/*.sql",
    "scripts/seed.py",
    "scripts/seed*/**/*",
)


def fingerprint(root: Path = ROOT, patterns: Iterable[str] = SOURCES) -> str:
    """One hash of every file that decides what the two steps do."""
    total = hashlib.sha256()
    files = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    for path in sorted(files):
        if "__pycache__" not in path.parts:
            total.update(f"{path.relative_to(root)} {path.stat().st_size}\n".encode())
            total.update(path.read_bytes())
    return total.hexdigest()


async def _identity(database_url: str) -> str | None:
    connection = await asyncpg.connect(database_url, timeout=5)
    try:
        revision = await connection.fetchval(
            "SELECT string_agg(version_num, ',') FROM alembic_version"
        )
        database = await connection.fetchval(
            "SELECT oid::text || ' of ' || (SELECT system_identifier FROM pg_control_system())"
            " FROM pg_database WHERE datname = current_database()"
        )
    finally:
        await connection.close()
    return f"{database} at {revision}" if revision else None


def identity(database_url: str) -> str | None:
    """Which database this is and at which revision; None when it has none or does not tell."""
    try:
        return asyncio.run(_identity(database_url))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return None


def is_prepared(memory: Path, database_url: str) -> bool:
    """Whether both steps have been done to this database as it is and as they are."""
    if not memory.exists():
        return False
    known = identity(database_url)
    return known is not None and json.loads(memory.read_text()) == [known, fingerprint()]


def remember(memory: Path, database_url: str) -> None:
    write_whole(memory, json.dumps([identity(database_url), fingerprint()]))
