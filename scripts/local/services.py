"""Postgres and Valkey of one run: started together where no address of another one is given."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.local import postgres, valkey
from scripts.local.console import step
from scripts.local.environment import ROLE
from scripts.local.processes import Supervisor, write_whole


@dataclass(frozen=True)
class Addresses:
    """Where the services answer; ``maintenance_url`` is for creating databases."""

    database_url: str
    maintenance_url: str
    redis_url: str


def prepare(directory: Path) -> None:
    """Make ``directory``; as root others may pass through, for Postgres runs as another user."""
    mode = 0o711 if os.geteuid() == 0 else 0o700
    for path in (directory.parent, directory):
        path.mkdir(exist_ok=True)
        if path.stat().st_uid == os.geteuid():
            path.chmod(mode)


def start(
    supervisor: Supervisor,
    directory: Path,
    kept: Mapping[str, str],
    *,
    database_url: str | None,
    redis_url: str | None,
    throwaway: bool = False,
) -> Addresses:
    """Start what has no address yet and return when it answers.

    Ports are chosen once and kept in ``directory``, so that addresses stay the same while another
    clone runs beside this one.
    """
    ports_file = directory / "ports.json"
    ports: dict[str, int] = json.loads(ports_file.read_text()) if ports_file.exists() else {}
    password = kept["DEV_VALKEY_PASSWORD"]
    cache = None
    if redis_url is None:
        cache, ports["valkey"] = valkey.start(
            supervisor,
            directory=directory,
            password=password,
            preferred_port=ports.get("valkey"),
            environment={"PATH": os.defpath},
        )
        redis_url = valkey.url(ports["valkey"], password)
    if database_url is None:
        database_url, maintenance_url = start_postgres(
            supervisor, directory, kept["DEV_POSTGRES_PASSWORD"], ports, throwaway=throwaway
        )
    else:
        maintenance_url = database_url
    if cache is not None:
        with step("Valkey") as done:
            valkey.wait(cache, ports["valkey"], password, directory / "valkey.log")
            done.note = f"127.0.0.1:{ports['valkey']}"
    write_whole(ports_file, json.dumps(ports))
    return Addresses(database_url, maintenance_url, redis_url)


def start_postgres(
    supervisor: Supervisor, directory: Path, password: str, ports: dict[str, int], throwaway: bool
) -> tuple[str, str]:
    """Start the cluster, made first when it is not there; its two URLs."""
    cluster = cluster_in(directory, password)
    if throwaway:
        postgres.remove(cluster)
    if not cluster.exists():
        with step("Postgres cluster") as done:
            postgres.create(cluster)
            done.note = f"made in {cluster.data}"
    with step("Postgres") as done:
        running, port = postgres.start(
            cluster, supervisor, ports.get("postgres"), throwaway=throwaway
        )
        postgres.wait(cluster, running)
        done.note = f"127.0.0.1:{port}" + (
            f", as user {cluster.account.name}" if cluster.account else ""
        )
    ports["postgres"] = port
    return cluster.url(port, ROLE), cluster.url(port, "postgres")


def cluster_in(directory: Path, password: str = "") -> postgres.Cluster:
    return postgres.locate(
        directory / "postgres", directory / "postgres.log", role=ROLE, password=password
    )


def discard(directory: Path) -> None:
    """Remove the data of a throwaway run; the logs stay."""
    postgres.remove(cluster_in(directory))
