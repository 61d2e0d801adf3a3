"""What the import programs share: arguments, the runtime, the tenant, exit codes.

Exit codes: 0 all rows imported, 2 some rows failed, 1 the import did not begin or was stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn, TextIO

from app.commerce.imports.schemas import BatchResult, Parsed, R, StoreRef
from app.commerce.imports.service import Apply, ImportService, run_batches
from app.core.database import UnsafeDatabase, verify_isolation
from app.core.problems import Problem
from app.core.settings import settings
from app.kernel.work import Actor, Runtime, WorkFactory, unit_of_work
from app.worker import build_runtime, close_runtime
from scripts.imports.progress import Progress
from scripts.imports.reader import Refused

ACTOR = Actor("system", "import")
Program = Callable[[Runtime, Sequence[str], TextIO], Awaitable[int]]


class Arguments(argparse.ArgumentParser):
    """Exits with 1 on wrong arguments: 2 means that rows failed."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


def arguments(about: str, what: str) -> Arguments:
    """The arguments every import of a tenant's rows has."""
    parser = Arguments(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE", help=f"CSV of {what}, with a header")
    parser.add_argument("--tenant", required=True, metavar="SLUG", help="whose rows they become")
    parser.add_argument(
        "--mapping", nargs="+", action="extend", default=[], metavar="FIELD=COLUMN",
        help="read a field from another column than the presets do",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="say what would happen, no more")
    parser.add_argument(
        "--errors", type=Path, metavar="FILE",
        help="where wrong rows are listed (default: NAME.errors.csv in this folder)",
    )  # fmt: skip
    return parser


def errors_file(given: argparse.Namespace) -> Path:
    path: Path | None = given.errors
    return path or Path(f"{given.file.stem}.errors.csv")


async def works_of(runtime: Runtime, slug: str) -> WorkFactory:
    """Opens Works of this tenant. Raises Refused."""
    tenant = await runtime.tenants.find("slug", slug)
    if tenant is None:
        raise Refused(f"There is no tenant {slug!r}.")
    return partial(unit_of_work, runtime, tenant, ACTOR)


async def store_of(works: WorkFactory, slug: str | None) -> StoreRef:
    """The store to import into. Raises the problems of ``ImportService.store``."""
    async with works() as work:
        return await ImportService(work).store(slug)


async def run(
    works: WorkFactory,
    parsed: Parsed[R],
    apply: Apply[R],
    out: TextIO,
    *,
    size: int,
    dry_run: bool,
) -> BatchResult:
    """Import the rows that could be read; the result counts the others as failed."""
    started = time.monotonic()
    with Progress(len(parsed.rows), out) as progress:
        result = await run_batches(
            works, parsed.rows, apply, size=size, dry_run=dry_run, progress=progress
        )
    result.unchanged += parsed.repeats
    result.failures += parsed.failures
    seconds = time.monotonic() - started
    print(f"  {parsed.read:,} rows in {seconds:.1f} s", file=out)
    return result


def main(program: Program) -> NoReturn:
    """Run ``program`` with this process's settings and leave with its exit code."""
    try:
        code = asyncio.run(_with_runtime(program))
    except KeyboardInterrupt:
        print("\nStopped. Finished batches stay; run this again to continue.", file=sys.stderr)
        code = 1
    sys.exit(code)


async def _with_runtime(program: Program) -> int:
    runtime = build_runtime(settings())
    try:
        await verify_isolation(runtime.database)
        return await program(runtime, sys.argv[1:], sys.stdout)
    except Refused as error:
        print(error, file=sys.stderr)
    except Problem as error:
        print(f"{error.title} {error.detail or ''}".strip(), file=sys.stderr)
    except UnsafeDatabase as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"The database does not answer: {error}", file=sys.stderr)
    finally:
        await close_runtime(runtime)
    return 1
