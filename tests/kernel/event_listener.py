"""An SSE client on the bare ASGI app: httpx's own transport waits for the end of a body."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson

from app.main import Largo

EVENTS = "/api/v1/events"


@dataclass(frozen=True, slots=True)
class Frame:
    event: str
    data: dict[str, Any]
    id: int | None


@dataclass(slots=True)
class Listener:
    """One open stream and what it has received so far."""

    frames: list[Frame] = field(default_factory=list)
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    quiet_id: int | None = None
    """The last id that came with a heartbeat."""
    task: asyncio.Task[None] | None = None
    stall: Callable[[Any], Awaitable[None]] | None = None
    """What takes the place of taking anything more."""
    _gone: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if self.stall is not None:
            await self.stall(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        else:
            self.body += message["body"]
            if "event-stream" in self.headers.get("content-type", ""):
                self._parse()
        self._news.set()

    def _parse(self) -> None:
        *whole, self.body = self.body.split(b"\n\n")
        for block in whole:
            said = dict(x.split(": ", 1) for x in block.decode().splitlines() if x[:1] != ":")
            if "event" not in said:
                self.quiet_id = int(said["id"]) if "id" in said else self.quiet_id
            else:
                number = int(said["id"]) if "id" in said else None
                self.frames.append(Frame(said["event"], orjson.loads(said["data"]), number))

    def of(self, event: str) -> list[Frame]:
        return [f for f in self.frames if f.event == event]

    async def until(self, true: Callable[[], bool], seconds: float = 5) -> None:
        """Wait for a condition on what was received."""
        async with asyncio.timeout(seconds):
            while not true():
                self._news.clear()
                await self._news.wait()

    async def ended(self, seconds: float = 5) -> None:
        """Wait for the server to end the stream."""
        assert self.task is not None
        await asyncio.wait_for(asyncio.shield(self.task), seconds)

    async def leave(self) -> None:
        self._gone.set()
        if self.task is not None:
            await self.task


@asynccontextmanager
async def listening(
    app: Largo, token: str, *, last_event_id: str | None = None, **query: object
) -> AsyncIterator[Listener]:
    """Open ``GET /events`` and wait for its head; leave it at the end of the block."""
    headers = {"authorization": f"Bearer {token}"}
    async with opened(app, EVENTS, headers, query, last_event_id) as listener:
        yield listener


@asynccontextmanager
async def opened(
    app: Largo,
    path: str,
    headers: dict[str, str],
    query: dict[str, object],
    last_event_id: str | None = None,
) -> AsyncIterator[Listener]:
    """Open any stream and wait for its head; leave it at the end of the block."""
    said = {"host": "largo.test"} | headers
    if last_event_id is not None:
        said["last-event-id"] = last_event_id
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": urlencode(query).encode(),
        "headers": [(k.encode(), v.encode()) for k, v in said.items()],
        "client": ("127.0.0.1", 4711),
        "server": ("largo.test", 80),
        "state": {},
    }
    listener = Listener()
    listener.task = asyncio.create_task(app(scope, listener.receive, listener.send))
    try:
        await listener.until(lambda: bool(listener.status))
        yield listener
    finally:
        await listener.leave()
