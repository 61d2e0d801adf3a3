"""Server-sent events: a stream that resumes, holds no database session, and lets go of the dead.

Rules of spec/realtime: the id is the row's ``seq``; rows are read in short Works after a doorbell
(or at each ping, should the bell be lost); a cursor that is too old gets ``resync``; after 15
minutes, on shutdown or when the session ended the client is told to ``reconnect``.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.core.problems import Problem, TooMany
from app.core.redis import Bus
from app.kernel.realtime.repository import StreamRepository, StreamRow
from app.kernel.work import WorkFactory

PING_S = 15.0
BLIND_S = 2.0
"""How often to look while no doorbell can be heard."""
MAX_AGE_S = 900.0
RECHECK_S = 1.0
SEND_TIMEOUT_S = 10.0
BATCH = 100
PER_USER, PER_TENANT = 4, 500


class TooManyStreams(TooMany):
    code = "too-many-streams"
    title = "Too many open event streams: share one among your tabs."


@dataclass(slots=True)
class Streams:
    """Open streams of this process: their caps, and the bell that ends them at shutdown."""

    bus: Bus
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    by_user: Counter[UUID] = field(default_factory=Counter)
    by_tenant: Counter[UUID] = field(default_factory=Counter)

    def enter(self, user_id: UUID, tenant_id: UUID) -> None:
        """Count a stream in. Raises TooManyStreams."""
        if self.by_user[user_id] >= PER_USER or self.by_tenant[tenant_id] >= PER_TENANT:
            problem = TooManyStreams(per_user=PER_USER, per_tenant=PER_TENANT)
            problem.headers = {"Retry-After": "5"}
            raise problem
        self.by_user[user_id] += 1
        self.by_tenant[tenant_id] += 1

    def leave(self, user_id: UUID, tenant_id: UUID) -> None:
        for counter, key in ((self.by_user, user_id), (self.by_tenant, tenant_id)):
            counter[key] -= 1
            if counter[key] <= 0:
                del counter[key]


class Feed:
    """One subscriber: what happened after its cursor, in order, each once."""

    def __init__(
        self, works: WorkFactory, streams: Streams, tenant_id: UUID, topics: frozenset[str]
    ) -> None:
        self._works, self._streams, self._key = works, streams, str(tenant_id)
        self._topics = topics
        self._bell = asyncio.Event()

    async def events(self, cursor: int | None) -> AsyncGenerator[bytes, None]:
        """Frames after ``cursor`` (None: from now on); an empty frame says nothing is due."""
        bus = self._streams.bus
        bus.listen("stream", self._rung)
        try:
            async with self._works() as work:
                head = await StreamRepository(work.session).head()
            if cursor is not None and cursor > head:
                yield frame("resync", {"reason": "cursor-unknown"}, head)
                cursor = head
            cursor = head if cursor is None else cursor
            yield frame("hello", {"cursor": cursor}, cursor)
            while True:
                self._bell.clear()
                for row in await self._after(cursor):
                    cursor = row.seq
                    if not self._topics or row.topic in self._topics:
                        yield frame(row.type, row.data, row.seq)
                if self._bell.is_set():
                    continue
                wait = PING_S if bus.connected else BLIND_S
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._bell.wait(), wait)
        finally:
            bus.unlisten("stream", self._rung)

    async def _after(self, cursor: int) -> list[StreamRow]:
        async with self._works() as work:
            rows = await StreamRepository(work.session).after(cursor, BATCH)
        if len(rows) == BATCH:
            self._bell.set()
        return rows

    def _rung(self, key: str) -> None:
        if key in ("", self._key):
            self._bell.set()


def frame(event: str, data: object, seq: int | None = None) -> bytes:
    """One event of the text/event-stream format (WHATWG HTML §9.2)."""
    head = f"id: {seq}\n" if seq is not None else ""
    return f"{head}event: {event}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"


class _Frames:
    """Asks the source for its next frame once, however often the sender looks up."""

    def __init__(self, source: AsyncGenerator[bytes, None]) -> None:
        self._source = source
        self._task: asyncio.Task[bytes | None] | None = None

    def pending(self) -> asyncio.Task[bytes | None]:
        if self._task is None:
            self._task = asyncio.create_task(self._next())
        return self._task

    def take(self) -> bytes | None:
        task, self._task = self.pending(), None
        return task.result()

    async def _next(self) -> bytes | None:
        return await anext(self._source, None)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(Exception):
            await self._source.aclose()


class EventStream(Response):
    """Sends a feed until the client leaves, stalls, grows old, or loses its session."""

    media_type = "text/event-stream"

    def __init__(
        self,
        source: AsyncGenerator[bytes, None],
        streams: Streams,
        still_allowed: Callable[[], Awaitable[object]],
        on_close: Callable[[], None],
    ) -> None:
        super().__init__(
            headers={"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
        )
        del self.headers["content-length"]
        self._source, self._streams = source, streams
        self._still_allowed, self._on_close = still_allowed, on_close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        watch = loop.create_task(_until_gone(receive))
        drain = loop.create_task(self._streams.draining.wait())
        frames = _Frames(self._source)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._pump(send, frames, watch, drain)
        except (TimeoutError, OSError):
            pass  # a stalled or vanished client is normal life
        finally:
            self._on_close()
            await frames.close()
            for task in (watch, drain):
                task.cancel()
            await asyncio.gather(watch, drain, return_exceptions=True)

    async def _pump(
        self,
        send: Send,
        frames: _Frames,
        watch: asyncio.Task[None],
        drain: asyncio.Task[Literal[True]],
    ) -> None:
        loop = asyncio.get_running_loop()
        end, ping = loop.time() + MAX_AGE_S, loop.time() + PING_S
        while True:
            pending = frames.pending()
            await asyncio.wait(
                {pending, watch, drain}, timeout=RECHECK_S, return_when=asyncio.FIRST_COMPLETED
            )
            if watch.done():
                return
            if drain.done() or loop.time() >= end or not await self._allowed():
                await _put(send, _reconnect(), more=False)
                return
            if pending.done():
                data = frames.take()
                await _put(send, data or b"", more=data is not None)
                if data is None:
                    return
            elif loop.time() < ping:
                continue
            else:
                await _put(send, b": ping\n\n")
            ping = loop.time() + PING_S

    async def _allowed(self) -> bool:
        try:
            await self._still_allowed()
        except Problem:
            return False
        return True


def _reconnect() -> bytes:
    # Jitter, so that a deployment does not bring everybody back in the same second.
    return b"event: reconnect\nretry: %d\ndata: {}\n\n" % (1000 + random.randrange(2000))  # noqa: S311


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _put(send: Send, body: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(SEND_TIMEOUT_S):
        await send({"type": "http.response.body", "body": body, "more_body": more})
