"""A process whose letters go to the sandbox, and reading them there."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx

from app import wiring
from app.kernel.jobs.service import Worker
from app.kernel.work import Runtime
from app.main import Largo
from tests.sandbox.server import Json, SandboxServer, until

FRONTEND = "https://app.largo.example"


def visitor(app: Largo, tenant: str | None = None) -> httpx.AsyncClient:
    """Somebody at an address of their own: limits by address outlive a test."""
    address = ".".join(["10", *(str(secrets.randbelow(256)) for _ in range(3))])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 40000))
    headers = {} if tenant is None else {"X-Tenant": tenant}
    return httpx.AsyncClient(transport=transport, base_url="http://largo.test", headers=headers)


async def mailing(runtime: Runtime, sandbox: SandboxServer, **changes: object) -> Runtime:
    """The same process with the sandbox as its carrier of e-mail."""
    settings = {
        "smtp_host": "127.0.0.1",
        "smtp_port": await sandbox.smtp_port(),
        "smtp_from": "Largo <nao-responda@largo.example>",
        "smtp_tls": "none",
        "smtp_timeout_seconds": 2.0,
        "frontend_url": FRONTEND,
        **changes,
    }
    return replace(runtime, settings=runtime.settings.model_copy(update=settings))


@asynccontextmanager
async def postman(runtime: Runtime, sandbox: SandboxServer) -> AsyncIterator[None]:
    """Jobs run in here, of this block's alone."""
    carrying = await mailing(runtime, sandbox)
    worker = Worker(carrying, wiring.JOBS)
    await worker.start()
    try:
        yield
    finally:
        await worker.stop()


async def letters(sandbox: SandboxServer, to: str, count: int = 1) -> list[dict[str, Json]]:
    """The letters to this address, the oldest first, once there are ``count``."""

    async def arrived() -> bool:
        return len(await found()) >= count

    async def found() -> list[dict[str, Json]]:
        return [e["body"] for e in await sandbox.requests(vendor="smtp") if e["to"] == to]

    await until(arrived, 20)
    return (await found())[::-1]


def token_in(letter: dict[str, Json]) -> str:
    """The token that a letter carries, in its link or as a code."""
    found = re.search(r"(?:#token=|Código: |Code: )(\S+)", letter["text"])
    assert found is not None, letter["text"]
    return found[1]
