"""A sandbox in its own process on a free port, and a receiver that keeps what it is sent."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.core.http import new_http_client
from tests.sandbox.descriptions import Asked, faults, is_there

ROOT = Path(__file__).parents[2]
# Not ``uvicorn --fd``: it takes the socket for a Unix one, so TCP_NODELAY stays off and every
# exchange waits 40 ms for a delayed acknowledgement.
_SERVE = """
import socket, sys, uvicorn
config = uvicorn.Config("scripts.sandbox.app:app", access_log=False, timeout_keep_alive=75)
uvicorn.Server(config).run([socket.socket(fileno=int(sys.argv[1]))])
"""
APP_SECRET = "segredo-de-teste-do-aplicativo"
OAUTH = ("google", "microsoft", "hubspot")
OAUTH_DEFAULTS = {
    "expires_in": 3600,
    "account_id": "1001",
    "account_email": "ana@bellamassa.example",
    "granted_scopes": "",
    "ended": [],
}
Json = Any
MEDIA_DEFAULTS = {
    "media_errors": 0,
    "media_wrong": 0,
    "media_extra": 0,
    "media_slow_ms": 0,
    "media_host": "",
    "media_url_s": 300,
    "upload_cuts": 0,
}
LLM_DEFAULTS: dict[str, Json] = {
    "answer": "",
    "piece_delay_ms": 0,
    "cut_after": None,
    "fail_after": None,
    "cached_tokens": 0,
    "reasoning_tokens": 0,
    "filtered": False,
}


@dataclass(frozen=True)
class SandboxServer:
    """Drives the sandbox over HTTP, as a person with curl would."""

    url: str
    http: httpx.AsyncClient

    async def put(self, path: str, **body: Json) -> None:
        answer = await self.http.put(f"{self.url}/_sandbox/{path}", json=body)
        assert answer.status_code == 200, answer.text

    async def requests(self, **query: str) -> list[dict[str, Json]]:
        answer = await self.http.get(f"{self.url}/_sandbox/requests", params=query)
        found: list[dict[str, Json]] = answer.json()
        return found

    async def smtp_port(self) -> int:
        answer = await self.http.get(f"{self.url}/_sandbox/health")
        return int(answer.json()["smtp_port"])

    async def reset(self) -> None:
        """Default knobs, no callbacks, empty list."""
        for vendor in (
            "whatsapp",
            "telegram",
            "webpush",
            "smtp",
            "keys",
            "maps",
            "nominatim",
            *OAUTH,
        ):
            await self.put(f"{vendor}/knobs")
            await self.put(vendor, tokens=[])
        for vendor in ("openai", "anthropic", "gemini"):
            await self.put(f"{vendor}/knobs")
            await self.put(vendor, tokens=[], **LLM_DEFAULTS)
        for vendor in OAUTH:
            await self.put(vendor, **OAUTH_DEFAULTS, rotate=vendor == "microsoft")
        await self.put("keys", consent_required=False)
        await self.put("whatsapp", **MEDIA_DEFAULTS)
        await self.put("whatsapp", callback_url="", app_secret="", attempts=3, retry_delay_ms=10)
        await self.put("whatsapp", pair_limit=0, per_second=0, spam=[])
        await self.http.delete(f"{self.url}/_sandbox/requests")


@dataclass
class Receiver:
    """The application's webhook, reduced to its ears: raw bodies in order of arrival."""

    url: str
    deliveries: list[tuple[bytes, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    """Statuses to answer with first; afterwards 200."""

    def statuses(self) -> list[str]:
        return [status["status"] for status in self.notices()]

    def notices(self) -> list[dict[str, Json]]:
        return [
            status
            for body, _ in self.deliveries
            for status in json.loads(body)["entry"][0]["changes"][0]["value"]["statuses"]
        ]

    def forged(self, secret: str) -> list[bytes]:
        """The bodies whose signature is not ours: computed here, not with the sandbox's code."""
        return [
            body
            for body, signature in self.deliveries
            if signature != "sha256=" + hmac.digest(secret.encode(), body, hashlib.sha256).hex()
        ]


async def until(met: Callable[[], bool | Awaitable[bool]], timeout_s: float = 5.0) -> None:
    """Wait for a condition, looking every 10 ms."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = met()
        if found if isinstance(found, bool) else await found:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"not met within {timeout_s} s")


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox process; its socket is bound here, so no other test can take the port.

    At its end, whatever it took from anybody is held against the vendors' own descriptions.
    """
    log = tmp_path_factory.mktemp("sandbox") / "server.log"
    journal = log.with_name("journal")
    with socket() as listener, log.open("w") as output:
        listener.bind(("127.0.0.1", 0))
        listener.listen(256)
        process = subprocess.Popen(  # noqa: S603 - our own program, no shell
            [sys.executable, "-c", _SERVE, str(listener.fileno())],
            cwd=ROOT,
            env={**os.environ, "SANDBOX_JOURNAL": str(journal)},
            pass_fds=[listener.fileno()],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        port = listener.getsockname()[1]
        try:
            _wait_until_healthy(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=10)
    wrong = against_descriptions(journal)
    if wrong:
        pytest.fail("the vendors' descriptions refuse what the sandbox took:\n" + "\n".join(wrong))


def against_descriptions(journal: Path) -> list[str]:
    """What the descriptions say against the requests in a journal, each fault once.

    What the sandbox itself refused is left out: tests ask it wrong things to see that it does.
    """
    if not is_there() or not journal.exists():
        return []
    found: dict[str, None] = {}
    for line in dict.fromkeys(journal.read_text().splitlines()):
        asked = json.loads(line)
        if asked["verdict"] != "refused":
            one = Asked(asked["method"], asked["path"], asked["headers"], asked["body"])
            found |= dict.fromkeys(faults(one))
    return list(found)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    with httpx.Client(trust_env=False, timeout=20) as http:
        if process.poll() is None and http.get(f"{url}/_sandbox/health").status_code == 200:
            return
    pytest.fail(f"the sandbox did not start: {log.read_text()}")


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """The client that production builds."""
    async with new_http_client() as client:
        yield client


@pytest.fixture
async def sandbox(sandbox_url: str, http: httpx.AsyncClient) -> SandboxServer:
    server = SandboxServer(sandbox_url, http)
    await server.reset()
    return server


@pytest.fixture
async def receiver(sandbox: SandboxServer) -> AsyncIterator[Receiver]:
    """A real HTTP server that the sandbox is told to notify."""
    found = Receiver("")

    async def receive(request: Request) -> Response:
        signature = request.headers.get("x-hub-signature-256", "")
        found.deliveries.append((await request.body(), signature))
        return Response(status_code=found.answers.pop(0) if found.answers else 200)

    app = Starlette(routes=[Route("/webhooks/whatsapp", receive, methods=["POST"])])
    listener = socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    found.url = f"http://127.0.0.1:{listener.getsockname()[1]}/webhooks/whatsapp"
    await until(lambda: server.started)
    await sandbox.put("whatsapp", callback_url=found.url, app_secret=APP_SECRET)
    await sandbox.put("whatsapp/knobs", status_delay_ms=5)
    try:
        yield found
    finally:
        await sandbox.reset()
        server.should_exit = True
        await serving
        listener.close()
