"""A person with a browser: asks for a consent, decides on the vendor's page, comes back."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.sandbox.server import SandboxServer

ROOT = "/api/v1/connections"


async def asked(client: httpx.AsyncClient, provider: str, **body: str) -> str:
    """The vendor's page for a new consent."""
    answer = await client.post(f"{ROOT}/providers/{provider}/authorize", json=body)
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["authorization_url"]
    return url


async def decided(sandbox: SandboxServer, url: str, decision: str = "allow") -> str:
    """Where the vendor sends the browser: path and query on our side."""
    page = await sandbox.http.get(url)
    assert page.status_code == 200, page.text
    assert "decision=allow" in page.text
    back = await sandbox.http.get(f"{url}&decision={decision}")
    assert back.status_code == 302, back.text
    parts = urlsplit(back.headers["location"])
    return f"{parts.path}?{parts.query}"


async def connected(
    client: httpx.AsyncClient, sandbox: SandboxServer, provider: str, **body: str
) -> Any:
    """The connection after a whole consent."""
    answer = await client.get(await decided(sandbox, await asked(client, provider, **body)))
    assert answer.status_code == 200, answer.text
    return answer.json()


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
