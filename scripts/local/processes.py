"""Start programs, remember their pids in a file, and stop every one of them in any event.

The file lets the next run stop what a killed run (``kill -9``) left behind. A pid alone is not
trusted, since it may have been given to a stranger meanwhile: the command line must match too.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from scripts.local.console import Failed


class Interrupted(BaseException):
    """Somebody asked this program to stop (Ctrl-C, SIGTERM, a closed terminal)."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass(frozen=True)
class Account:
    """The operating system's user that a program runs as."""

    name: str
    uid: int
    gid: int


@dataclass
class Running:
    """One program that we started; ``mark`` is a part of its command line that is ours alone."""

    name: str
    pid: int
    mark: str
    stop_signal: int
    grace_seconds: float
    process: subprocess.Popen[bytes] | None = None

    def alive(self) -> bool:
        if self.process is not None:
            return self.process.poll() is None
        return self.mark in command_line(self.pid)

    def stop(self) -> None:
        """Ask, wait for the grace period, then kill; returns when the program is gone."""
        for number, seconds in ((self.stop_signal, self.grace_seconds), (signal.SIGKILL, 5.0)):
            if not self.alive():
                return
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
            wait_until(lambda: not self.alive(), seconds)


class Supervisor:
    """Starts programs and, on leaving its ``with`` block, stops them, the last started first."""

    def __init__(self, pid_file: Path) -> None:
        self.pid_file = pid_file
        self.running: list[Running] = []
        self._shielded = False
        self._asked: int | None = None

    def __enter__(self) -> Supervisor:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupt)
        self.stop_left_behind()
        return self

    def __exit__(self, *_: object) -> None:
        self._shielded = True
        self.stop_all()

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        if self._shielded:
            self._asked = self._asked or number
            return
        self._shielded = True  # one interruption is enough: stopping is not to be interrupted
        raise Interrupted(number)

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Put off an interruption until the body is done."""
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False
        if self._asked is not None:
            self._interrupt(self._asked, None)

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        mark: str,
        environment: Mapping[str, str],
        directory: Path,
        log: Path | None = None,
        stdin: bytes = b"",
        account: Account | None = None,
        stop_signal: int = signal.SIGTERM,
        grace_seconds: float = 8.0,
    ) -> Running:
        """Start ``command`` in its own session, so that Ctrl-C reaches us and we stop it in order.

        Its output goes to ``log``, or to ours when there is none.
        """
        output = log.open("ab") if log is not None else None
        try:
            with self.shielded():
                process = subprocess.Popen(
                    [str(part) for part in command],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT if output is not None else None,
                    env=dict(environment),
                    cwd=directory,
                    start_new_session=True,
                    user=account.uid if account else None,
                    group=account.gid if account else None,
                    extra_groups=[] if account else None,
                )
                running = Running(name, process.pid, mark, stop_signal, grace_seconds, process)
                self.running.append(running)
                self._remember()
        finally:
            if output is not None:
                output.close()
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.write(stdin)
                process.stdin.close()
        return running

    def stop_all(self) -> None:
        while self.running:
            self.running[-1].stop()
            self.running.pop()
            self._remember()

    def stop_left_behind(self) -> None:
        """Stop what an earlier run that was killed has left running."""
        try:
            entries = json.loads(self.pid_file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return
        left = [Running(**entry) for entry in entries]
        living = [running for running in left if running.alive()]
        for running in reversed(living):
            print(f"  stopping {running.name} (pid {running.pid}), left by a run that was killed")
            running.stop()
        self._remember()

    def _remember(self) -> None:
        if not self.running:
            self.pid_file.unlink(missing_ok=True)
            return
        entries = [
            {
                "name": running.name,
                "pid": running.pid,
                "mark": running.mark,
                "stop_signal": int(running.stop_signal),
                "grace_seconds": running.grace_seconds,
            }
            for running in self.running
        ]
        write_whole(self.pid_file, json.dumps(entries, indent=1))


def command_line(pid: int) -> str:
    """The command line of a living process, '' when there is none (or only a zombie)."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self").exists():
            return ""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.strip()


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll ``condition`` until it holds; False when ``seconds`` have passed."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def package_directory(name: str) -> Path:
    """Where an installed package's files are, without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise Failed(f"The package {name} is not installed; remove .venv and run this again.")
    return Path(found.origin).parent


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file so that a reader, or a crash, meets the old text or the new, never a part."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)


def hold(lock: Path) -> IO[str] | None:
    """Hold ``lock`` until the answer is closed, None when somebody else does.

    The kernel frees it when its holder dies, even of ``kill -9``.
    """
    file = lock.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """``preferred`` when nobody listens there, else any port that is free now."""
    if preferred and port_is_free(preferred):
        return preferred
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
