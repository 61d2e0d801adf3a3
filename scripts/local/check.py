"""``./scripts/test``: lint, types, import contracts and the suite against real services.

``./scripts/test``                 everything
``./scripts/test -k cart -x PATH`` only pytest, with these arguments
``./scripts/test --all -x``        everything, with these arguments for pytest
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scripts.local import environment as env
from scripts.local import services
from scripts.local.console import Failed
from scripts.local.processes import Interrupted, Supervisor, free_port, hold

SLOTS = 4
SAMPLES = env.ROOT.parent / "shared" / "samples"
IMPORT_LINTER = "from importlinter.cli import lint_imports_command as c; c()"
STATIC = {
    "ruff check": ["-m", "ruff", "check", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "."],
    "mypy": ["-m", "mypy"],
    "imports": ["-c", IMPORT_LINTER],
}


@dataclass(frozen=True)
class Part:
    """One finished part of the run."""

    name: str
    seconds: float
    code: int

    def __str__(self) -> str:
        return f"{self.name} {self.seconds:.1f} s{'' if self.code == 0 else ' FAILED'}"


def timed(name: str, body: Callable[[], int]) -> Part:
    print(f"\n== {name}", flush=True)
    started = time.monotonic()
    code = body()
    return Part(name, time.monotonic() - started, code)


def foreground(command: list[str], environment: Mapping[str, str]) -> int:
    """Run a program on our terminal and answer its exit code.

    Ctrl-C reaches it directly; SIGTERM to us becomes its Ctrl-C, so that it can clean up.
    """
    process = subprocess.Popen(command, env=environment, cwd=env.ROOT)
    try:
        return process.wait()
    except Interrupted as stop:
        if stop.number != signal.SIGINT:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise


def pytest_command(arguments: list[str]) -> list[str]:
    """pytest on two processes unless the arguments say otherwise or need the terminal."""
    alone = any(argument in ("-s", "--pdb") or argument[:2] == "-n" for argument in arguments)
    spread = [] if alone else ["-n", "2", "--dist", "loadgroup"]
    return [str(env.PYTHON), "-m", "pytest", *spread, *arguments]


def test_environment(supervisor: Supervisor, directory: Path) -> dict[str, str]:
    """Fresh services and secrets for one run; TEST_DATABASE_URL and TEST_REDIS_URL replace ours."""
    outer = env.inherited(env.DEVELOPMENT_FILE)
    kept = env.new_secrets()
    addresses = services.start(
        supervisor,
        directory,
        kept,
        database_url=outer.pop("TEST_DATABASE_URL", None),
        redis_url=outer.pop("TEST_REDIS_URL", None),
        throwaway=True,
    )
    # The suite must not depend on what this machine's shell says about the product.
    for name in ("DATABASE_URL", "REDIS_URL", "MEDIA_ROOT", *kept):
        outer.pop(name, None)
    sandbox_url = f"http://127.0.0.1:{free_port()}"
    where = env.Where(
        addresses.database_url,
        addresses.redis_url,
        sandbox_url,
        directory / "media",
        free_port(),
    )
    values = env.settings(where, kept, "test")
    values["TEST_POSTGRES_URL"] = addresses.maintenance_url
    if SAMPLES.is_dir():
        values["ACCEPTANCE_DATA"] = str(SAMPLES)
    return env.for_programs(values, outer)


def run_parts(supervisor: Supervisor, directory: Path, everything: bool, rest: list[str]) -> int:
    """All parts in order, the later ones also when an earlier one failed; the exit code."""
    parts = []
    if everything:
        plain = env.for_programs({}, os.environ)
        for name, arguments in STATIC.items():
            command = [str(env.PYTHON), *arguments]
            parts.append(timed(name, partial(foreground, command, plain)))
    print("\n== services", flush=True)
    started = time.monotonic()
    environment = test_environment(supervisor, directory)
    parts.append(Part("services", time.monotonic() - started, 0))
    parts.append(timed("pytest", partial(foreground, pytest_command(rest), environment)))
    total = sum(part.seconds for part in parts)
    print(f"\n{' · '.join(map(str, parts))} · total {total:.1f} s", flush=True)
    failed = [part.code for part in parts if part.code != 0]
    return failed[-1] if failed else 0


@contextmanager
def free_slot() -> Iterator[Path]:
    """A directory for the services of this run alone; several runs may go in one clone.

    Raises:
        Failed: all are in use.
    """
    for number in range(SLOTS):
        directory = env.LOCAL / (f"test-{number}" if number else "test")
        services.prepare(directory)
        lock = hold(directory.with_suffix(".lock"))
        if lock is not None:
            with lock:
                yield directory
            return
    raise Failed(f"{SLOTS} runs of ./scripts/test are going in this clone already. Wait for one.")


def main(arguments: list[str]) -> int:
    everything = not arguments or "--all" in arguments
    rest = [argument for argument in arguments if argument != "--all"]
    with free_slot() as directory:
        try:
            with Supervisor(directory / "pids.json") as supervisor:
                return run_parts(supervisor, directory, everything, rest)
        except Interrupted as stop:
            print(f"\nStopped (signal {stop.number}): nothing is left running.", flush=True)
            return 128 + stop.number
        finally:
            services.discard(directory)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failed as failure:
        sys.exit(f"\n{failure}")
