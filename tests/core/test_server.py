"""The server's short way: byte for byte what uvicorn's own way sends."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.main import Largo
from app.server import ReadyProtocol
from tests.factories.commerce import Shop, make_shop
from tests.factories.tenants import World

_VARYING = re.compile(rb"""(x-request-id: |date: |"request_id":")[^\r"]+""")


@pytest.fixture
async def shop(world: World) -> Shop:
    shop = await make_shop(world)
    await shop.product("Calabresa", 4990, stock=100)
    return shop


@asynccontextmanager
async def listening(app: object, protocol: type[asyncio.Protocol]) -> AsyncIterator[int]:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=protocol,
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def said(port: int, request: bytes) -> bytes:
    """Everything that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    found = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return _VARYING.sub(rb"\1V", found)


def asking(
    shop: Shop, *lines: str, method: str = "GET", path: str = "", last: bool = True
) -> bytes:
    path = path or "/api/v1/catalog?store=centro"
    head = [f"{method} {path} HTTP/1.1", "Host: loja", f"X-Tenant: {shop.world.tenant.slug}"]
    return "\r\n".join([*head, *lines, *(["Connection: close"] if last else []), "", ""]).encode()


async def test_both_ways_send_the_same_bytes(app: Largo, shop: Shop) -> None:
    requests = {
        "plain": asking(shop),
        "gzip": asking(shop, "Accept-Encoding: gzip"),
        "same": asking(shop, "If-None-Match: *"),
        "origin": asking(shop, "Origin: https://elsewhere.test"),
        "unknown": asking(shop, path="/api/v1/catalog?store=nowhere"),
        "escaped": asking(shop, path="/api/v1/%63atalog?store=centro"),
        "head": asking(shop, method="HEAD"),
        "stranger": asking(shop).replace(b"X-Tenant: ", b"X-Tenant: no-"),
        "route": asking(shop, path="/api/v1/stores"),
        "old": asking(shop).replace(b"HTTP/1.1", b"HTTP/1.0"),
        "pipelined": asking(shop, last=False) * 3 + asking(shop),
        "mixed": asking(shop, path="/api/v1/stores", last=False)
        + asking(shop, last=False) * 40
        + asking(shop, path="/api/v1/stores"),
    }
    async with listening(app, HttpToolsProtocol) as usual, listening(app, ReadyProtocol) as short:
        await said(usual, requests["plain"])  # builds the menu
        for name, request in requests.items():
            assert await said(short, request) == await said(usual, request), name


async def test_a_ready_answer_makes_no_task_and_is_counted(
    app: Largo, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    usual = HttpToolsProtocol._start_asgi_task

    def counted(self: HttpToolsProtocol, cycle: object, application: object) -> None:
        made.append(cycle.scope["path"])  # type: ignore[attr-defined]
        usual(self, cycle, application)  # type: ignore[arg-type]

    monkeypatch.setattr(HttpToolsProtocol, "_start_asgi_task", counted)
    async with listening(app, ReadyProtocol) as port:
        await said(port, asking(shop))
        assert made == ["/api/v1/catalog"], "nothing was ready yet"
        counts = app.runtime.vitals.requests.counts
        before = sum(counts["GET", "/api/v1/catalog", 200][:-1])
        answers = await said(port, asking(shop, last=False) * 5 + asking(shop))
        assert answers.count(b"HTTP/1.1 200 OK") == 6
        assert made == ["/api/v1/catalog"]
        assert sum(counts["GET", "/api/v1/catalog", 200][:-1]) == before + 6


async def test_trouble_in_the_short_way_is_answered_by_the_usual_one(
    app: Largo, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(app, ReadyProtocol) as port:
        await said(port, asking(shop))
        fine = await said(port, asking(shop))

        def broken(scope: object) -> None:
            monkeypatch.undo()
            raise RuntimeError("trouble")

        monkeypatch.setattr(app, "answer_now", broken)
    async with listening(app, ReadyProtocol) as port:
        assert await said(port, asking(shop)) == fine
