"""The servers under test, and what a stretch of time cost them in CPU.

Each is one uvicorn process with uvloop and httptools, pinned to a core of its own when there are
two or more; the client gets the next one, Postgres runs where it likes.
"""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.local.console import Failed
from scripts.local.environment import PYTHON, ROOT
from scripts.local.processes import Running, Supervisor, free_port

START_SECONDS = 40.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Cores:
    """Which core serves and which one asks; None where there is only one."""

    server: int | None
    client: int | None

    @classmethod
    def of_machine(cls) -> Cores:
        available = sorted(os.sched_getaffinity(0))
        return cls(available[0], available[1]) if len(available) > 1 else cls(None, None)


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    running: Running
    port: int
    log: Path
    started_in: float
    """Seconds from the start of the program to its first answer."""

    @property
    def pid(self) -> int:
        return self.running.pid


def start(
    supervisor: Supervisor,
    name: str,
    application: str,
    environment: Mapping[str, str],
    *,
    log: Path,
    cores: Cores,
    path: str,
    factory: bool = False,
    protocol: str = "httptools",
) -> Server:
    """Start ``application`` on a free port and return when ``path`` is answered without a 5xx.

    Raises:
        Failed: it ended or stayed silent; the end of its log is in the text.
    """
    port = free_port()
    log.unlink(missing_ok=True)
    address = ["--host", "127.0.0.1", "--port", str(port)]
    fast = ["--loop", "uvloop", "--http", protocol, "--no-access-log", "--log-level", "warning"]
    fast += ["--no-proxy-headers", "--no-server-header"]
    command = [str(PYTHON), "-m", "uvicorn", application, *address, *fast]
    started = time.perf_counter()
    running = supervisor.start(
        name,
        [*command, "--factory"] if factory else command,
        mark=" ".join(command),
        environment=environment,
        directory=ROOT,
        log=log,
    )
    if cores.server is not None:
        os.sched_setaffinity(running.pid, {cores.server})  # before it has any other thread
    while not answers(port, path):
        if not running.alive() or time.perf_counter() - started > START_SECONDS:
            end = log.read_text(errors="replace")[-3000:]
            raise Failed(f"{name} did not start. The end of {log}:\n{end}")
        time.sleep(0.01)
    return Server(running, port, log, time.perf_counter() - started)


def stop(supervisor: Supervisor, server: Server) -> None:
    """Stop one server before the others."""
    server.running.stop()
    supervisor.running.remove(server.running)


def answers(port: int, path: str) -> bool:
    """Whether anything but an error of the server's own comes back."""
    try:
        return get(port, path, {}).status < 500
    except (OSError, http.client.HTTPException):
        return False


@dataclass(frozen=True)
class Answer:
    """One answer of a server."""

    status: int
    media_type: str
    body: bytes


def get(port: int, path: str, headers: Mapping[str, str]) -> Answer:
    """GET ``path`` once, as a client without compression or cache does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20.0)
    try:
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        body = response.read()
        return Answer(response.status, response.headers.get("content-type", ""), body)
    finally:
        connection.close()


def _stat(pid: int | str) -> list[str]:
    # The name in parentheses may hold spaces: the fields that count come after it.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def parent_of(pid: int) -> int:
    """The pid of the process that started ``pid``."""
    return int(_stat(pid)[1])


def _family(pid: int) -> dict[int, list[str]]:
    """The stat fields of ``pid`` and of every living process below it."""
    fields: dict[int, list[str]] = {}
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            found = _stat(entry)
        except OSError:
            continue
        fields[int(entry)] = found
        children.setdefault(int(found[1]), []).append(int(entry))
    family: dict[int, list[str]] = {}
    waiting = [pid] if pid in fields else []
    while waiting:
        member = waiting.pop()
        family[member] = fields[member]
        waiting.extend(children.get(member, ()))
    return family


def tree_cpu(pid: int) -> float:
    """CPU seconds of a process, its descendants, and its children that have ended."""
    return sum(sum(map(int, fields[11:15])) for fields in _family(pid).values()) / _TICKS


def tree_memory(pid: int) -> float:
    """Resident megabytes of a process and its descendants."""
    return sum(int(fields[21]) for fields in _family(pid).values()) * _PAGE / 1e6


def machine_cpu() -> float:
    """CPU seconds that all cores have worked or were taken away by the host (steal)."""
    user, nice, system, _, _, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS


@dataclass(frozen=True)
class Reading:
    """The CPU meters at one moment."""

    at: float
    machine: float
    server: float
    postgres: float
    own: float
    """Of this process, its finished children (the clients) and the rest of what it started."""

    @classmethod
    def now(cls, server: int | None, postgres: int | None, others: Iterable[int]) -> Reading:
        """Read all meters; ``others`` are programs of ours that are not being measured."""
        mine = os.times()
        own = mine.user + mine.system + mine.children_user + mine.children_system
        return cls(
            time.perf_counter(),
            machine_cpu(),
            tree_cpu(server) if server is not None else 0.0,
            tree_cpu(postgres) if postgres is not None else 0.0,
            own + sum(tree_cpu(pid) for pid in others if pid not in (server, postgres)),
        )


@dataclass(frozen=True)
class Cost:
    """What happened between two readings: seconds of CPU, and cores that strangers used."""

    server: float
    postgres: float
    foreign: float

    @classmethod
    def between(cls, first: Reading, second: Reading) -> Cost:
        server, postgres = second.server - first.server, second.postgres - first.postgres
        ours = server + postgres + second.own - first.own
        elapsed = second.at - first.at
        foreign = (second.machine - first.machine - ours) / elapsed
        return cls(server, postgres, max(0.0, foreign))
