"""A real server process that tests start, kill without mercy, and start again."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ServerProcess:
    """``uvicorn app.main:app`` as production runs it, on its own port."""

    application = "app.main:app"

    def __init__(self, environment: dict[str, str], **overrides: str) -> None:
        self.environment = {**environment, "WORKER_IN_PROCESS": "false", **overrides}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start and wait until it answers."""
        command = [sys.executable, "-m", "uvicorn", self.application, "--port", str(self.port)]
        command += [
            "--loop",
            "uvloop",
            "--http",
            "httptools",
            "--no-access-log",
            "--no-proxy-headers",
            "--no-server-header",
        ]
        self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own server; forking is quick
            command, cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL
        )
        async with httpx.AsyncClient() as client:
            for _ in range(400):
                try:
                    if (await client.get(f"{self.url}/health")).status_code == 200:
                        return
                except httpx.HTTPError:
                    await asyncio.sleep(0.05)
        raise AssertionError("the server did not start within 20 s")

    def kill(self) -> None:
        """SIGKILL: no handler, no flush, no goodbye."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM, and how it ended."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(15)
