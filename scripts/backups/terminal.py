"""What the two programs share: arguments, the connection, progress by table, exit codes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import NoReturn, TextIO

import asyncpg

from app.core.database import RawConnection
from app.core.settings import Settings, settings
from scripts.backups.manifest import Refused, Unproved
from scripts.backups.picture import Picture
from scripts.imports.terminal import Arguments as Arguments

Say = Callable[[str], object]
Program = Callable[[Settings, Sequence[str], TextIO], Coroutine[None, None, int]]


class TableHeard:
    """Turns the names of tables being worked on into rows done: a table is done at the next."""

    def __init__(self, seen: Picture, progress: Callable[[int], object]) -> None:
        self._tables, self._progress, self._current = seen.tables, progress, 0

    def __call__(self, table: str) -> None:
        self._progress(self._current)
        self._current = self._tables[table].rows if table in self._tables else 0


async def connected(database_url: str) -> RawConnection:
    """A connection of the login itself, past the application's pools and their deadlines."""
    return await asyncpg.connect(database_url.replace("postgresql+asyncpg://", "postgresql://"))


def main(program: Program, undone: str) -> NoReturn:
    """Run ``program`` with this process's settings and leave with its exit code."""
    try:
        code = asyncio.run(program(settings(), sys.argv[1:], sys.stdout))
    except KeyboardInterrupt:
        sys.exit(f"\nStopped. {undone}")
    except Refused as error:
        sys.exit(f"{error}\n{undone}")
    except Unproved as error:
        print(f"{error}\nIt is filled, but not proved: do not serve it.", file=sys.stderr)
        code = 2
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        sys.exit(f"{type(error).__name__}: {error}\n{undone}")
    sys.exit(code)
