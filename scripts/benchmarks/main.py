"""``./scripts/bench``: our hot routes and their yardsticks side by side, in one run.

``./scripts/bench``                   everything, about seven minutes
``./scripts/bench --quick``           two rounds of two seconds, for development
``./scripts/bench --only checkout``   one of catalogue, checkout, me, layers, idle,
                                      sold-out, webhooks (repeatable)
``./scripts/bench --volume``          every list of a shop with 1,000,000 orders, and its plans

Rounds are interleaved (A B A B ...) and ratios are medians over neighbours, because the machine's
own speed moves more from minute to minute than the differences that are looked for. Exit code 1
when a gate fails. BENCH_POSTGRES_URL and BENCH_REDIS_URL name servers to use instead of our own;
the login must own what it creates and be able to create databases and roles.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks import (
    contests,
    framework,
    pg,
    report,
    sold_out,
    volume,
    volume_data,
    webhooks,
)
from scripts.benchmarks.contests import Bench
from scripts.benchmarks.servers import Cores
from scripts.local import environment as env
from scripts.local import services
from scripts.local.console import Failed, step
from scripts.local.processes import Interrupted, Supervisor, hold

STATE = env.LOCAL / "bench"
VOLUME_TIMES = 40
CONTESTS: dict[str, Callable[[Bench], contests.Outcome]] = {
    "catalogue": contests.catalogue,
    "checkout": contests.checkout,
    "me": framework.me,
    "layers": framework.layers,
    "idle": contests.idle,
    "sold-out": sold_out.sold_out,
    "webhooks": webhooks.ingest,
}


@dataclass(frozen=True)
class Options:
    """What the person asked for."""

    seconds: float
    rounds: int
    only: tuple[str, ...]
    json: Path | None
    keep: bool
    volume: int
    """How many orders; 0: the contests instead."""


def options(arguments: Sequence[str]) -> Options:
    """Read the command line; ends the program with help or an error."""
    parser = argparse.ArgumentParser(
        prog="./scripts/bench", description="Our hot routes beside their yardsticks."
    )
    parser.add_argument("--quick", action="store_true", help="two rounds of two seconds")
    parser.add_argument("--seconds", type=float, default=6.0, help="length of a round (6)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds per contender (5)")
    parser.add_argument("--only", action="append", choices=[*CONTESTS], help="this part alone")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--keep", action="store_true", help="leave the two databases behind")
    parser.add_argument(
        "--volume", type=int, nargs="?", const=volume_data.ORDERS, default=0, metavar="ORDERS",
        help="ask every list of a shop with so many orders (1,000,000)",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    if given.seconds <= 0 or given.rounds < 1:
        parser.error("--seconds and --rounds must be positive")
    seconds, rounds = (2.0, 2) if given.quick else (given.seconds, given.rounds)
    only = tuple(given.only or CONTESTS)
    return Options(seconds, rounds, only, given.json, given.keep, given.volume)


def prepare(supervisor: Supervisor, asked: Options) -> tuple[Bench, str]:
    """Start Postgres and Valkey where none are given; the bench and the maintenance URL."""
    # Kept between runs: a password of its own belongs to the cluster that stays in STATE.
    kept = env.kept_secrets(STATE / "secrets.env")
    addresses = services.start(
        supervisor,
        STATE,
        kept,
        database_url=os.environ.get("BENCH_POSTGRES_URL"),
        redis_url=os.environ.get("BENCH_REDIS_URL"),
    )
    # The application's own login makes the databases: it owns what it serves, as in production.
    maintenance_url = addresses.database_url
    nowhere = "http://127.0.0.1:9"
    where = env.Where(maintenance_url, addresses.redis_url, nowhere, STATE / "media", 9)
    bench = Bench(
        supervisor=supervisor,
        directory=STATE,
        cores=Cores.of_machine(),
        postgres=asyncio.run(pg.about(maintenance_url)),
        maintenance_url=maintenance_url,
        values=env.settings(where, kept, "production"),
        seconds=asked.seconds,
        rounds=asked.rounds,
    )
    return bench, maintenance_url


def describe(bench: Bench) -> dict[str, str]:
    """What must be known to read the figures."""
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=env.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "revision": revision.stdout.strip() or "unknown",
        "python": platform.python_version(),
        "cores": str(os.cpu_count()),
        "postgres": bench.postgres.version,
        "fsync": bench.postgres.fsync,
        "synchronous_commit": bench.postgres.synchronous_commit,
        "rounds": f"{bench.rounds} x {bench.seconds:g} s",
    }


def measure(supervisor: Supervisor, asked: Options) -> int:
    """Run the parts that were asked for and print what they gave; the exit code."""
    bench, maintenance_url = prepare(supervisor, asked)
    about = describe(bench)
    if (bench.postgres.fsync, bench.postgres.synchronous_commit) != ("on", "on"):
        raise Failed("This Postgres does not wait for its disk: its commits cannot be compared.")
    print("  " + " · ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    if asked.volume:
        return lists(bench, asked)
    series: list[report.Series] = []
    gates: list[report.Gate] = []
    try:
        for name in asked.only:
            found = CONTESTS[name](bench)
            series.extend(found.series)
            gates.extend(found.gates)
    finally:
        bench.stop_servers()
        if not asked.keep:
            with step("Databases") as done:
                for database in (pg.OURS, pg.YARDSTICK):
                    asyncio.run(pg.drop(maintenance_url, database))
                done.note = "removed"
    print(f"\n{report.tables(series, gates)}", flush=True)
    if asked.json is not None:
        report.save(asked.json, about, series, gates)
    return 0 if all(gate.passed for gate in gates) else 1


def lists(bench: Bench, asked: Options) -> int:
    """Ask every list of one large shop; the exit code."""
    print(f"\nLists of a shop with {asked.volume:,} orders", flush=True)
    url = contests.make_database(bench)
    try:
        return asyncio.run(volume.measure(url, bench.values, VOLUME_TIMES, asked.volume))
    finally:
        if not asked.keep:
            asyncio.run(pg.drop(bench.maintenance_url, pg.OURS))


def main(arguments: list[str]) -> int:
    """Run and leave nothing behind."""
    asked = options(arguments)
    if not Path("/proc/self/stat").exists():
        raise Failed("CPU is read from /proc: run this on Linux (or in the Docker image).")
    services.prepare(STATE)
    lock = hold(env.LOCAL / "bench.lock")
    if lock is None:
        raise Failed("./scripts/bench is running in this clone already. Wait for it.")
    with lock:
        try:
            with Supervisor(STATE / "pids.json") as supervisor:
                return measure(supervisor, asked)
        except Interrupted as stop:
            print(f"\nStopped (signal {stop.number}): nothing is left running.", flush=True)
            return 128 + stop.number
