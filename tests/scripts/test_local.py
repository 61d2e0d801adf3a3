"""What ./scripts/dev promises about programs and secrets, tried with real processes and files."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.local import environment
from scripts.local.processes import Supervisor, command_line, free_port, hold

STARTER = """
import sys, time
from pathlib import Path
from scripts.local.processes import Supervisor

here = Path(sys.argv[1])
with Supervisor(here / "pids.json") as supervisor:
    for name in ("first", "second"):
        command = [sys.executable, "-c", "import time; time.sleep(60)", f"{here}/{name}"]
        supervisor.start(name, command, mark=f"{here}/{name}", environment={}, directory=here)
    print("up", flush=True)
    time.sleep(60)
"""


def started(here: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """A program that supervises two others; itself and their pids."""
    process = subprocess.Popen(  # noqa: S603 - our own Python
        [sys.executable, "-c", STARTER, str(here)],
        cwd=environment.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    pids = [entry["pid"] for entry in json.loads((here / "pids.json").read_text())]
    return process, pids


def gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 10
    while any(command_line(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(command_line(pid) for pid in pids)


def running_from(here: Path, pids: list[int]) -> bool:
    """Whether all run their own program: between fork and exec a child still bears our name."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if all(f"{here}/" in command_line(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_every_program(tmp_path: Path, number: int) -> None:
    process, pids = started(tmp_path)
    with process:
        process.send_signal(number)
        process.wait(timeout=15)
    assert len(pids) == 2
    assert gone(pids)
    assert not (tmp_path / "pids.json").exists()


def test_the_next_run_stops_what_a_killed_one_left(tmp_path: Path) -> None:
    process, pids = started(tmp_path)
    with process:
        process.kill()
    assert running_from(tmp_path, pids)
    previous = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    try:
        with Supervisor(tmp_path / "pids.json"):
            assert gone(pids)
    finally:
        for number, handler in zip(
            (signal.SIGINT, signal.SIGTERM, signal.SIGHUP), previous, strict=True
        ):
            signal.signal(number, handler)


def test_a_pid_that_belongs_to_a_stranger_now_is_left_alone(tmp_path: Path) -> None:
    entry = {"name": "x", "pid": os.getpid(), "mark": "/no/such/mark", "stop_signal": 9}
    (tmp_path / "pids.json").write_text(json.dumps([{**entry, "grace_seconds": 1.0}]))
    Supervisor(tmp_path / "pids.json").stop_left_behind()
    assert not (tmp_path / "pids.json").exists()


def test_a_lock_has_one_holder_and_dies_with_it(tmp_path: Path) -> None:
    held = hold(tmp_path / "lock")
    assert held is not None
    assert hold(tmp_path / "lock") is None
    held.close()
    again = hold(tmp_path / "lock")
    assert again is not None
    again.close()


def test_a_taken_port_is_not_chosen_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port(port) != port


def test_secrets_are_kept_private_and_the_same(tmp_path: Path) -> None:
    file = tmp_path / "dev.env"
    first = environment.kept_secrets(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert environment.kept_secrets(file) == first
    assert environment.kept_secrets(tmp_path / "other.env")["AUTH_SECRETS"] != first["AUTH_SECRETS"]
    text = file.read_text().replace(f"DEV_PASSWORD={first['DEV_PASSWORD']}\n", "")
    file.write_text(text)
    renewed = environment.kept_secrets(file)
    assert renewed["DEV_PASSWORD"] != first["DEV_PASSWORD"]
    assert {**renewed, "DEV_PASSWORD": ""} == {**first, "DEV_PASSWORD": ""}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_lock_files_are_hashed_and_name_no_registry(name: str) -> None:
    text = (environment.ROOT / name).read_text()
    assert "://" not in text
    packages = [line for line in text.splitlines() if line and line[0] not in " #"]
    assert packages
    assert all("==" in line and line.endswith("\\") for line in packages)
