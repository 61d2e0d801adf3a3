"""Server-sent events: a stream that resumes, holds no database session, and lets go of the dead.

Rules of spec/realtime: the id is the row's ``seq``; rows are read in short Works after a doorbell
(or at each ping, should the bell be lost); a cursor that is too old gets ``resync``; after 15
minutes, on shutdown or when the session ended the client is told to ``reconnect``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol
from uuid import UUID

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.core.clock import now
from app.core.ids import made_at
from app.core.problems import TooMany
from app.core.redis import Bus
from app.kernel.identity import TOPIC, Identity, Sessions
from app.kernel.realtime.places import Place, Places
from app.kernel.realtime.repository import StreamRepository, StreamRow
from app.kernel.realtime.rules import RETENTION, audible, hears, is_lost
from app.kernel.tenancy import TenantContext, TenantDirectory
from app.kernel.work import WorkFactory

log = logging.getLogger(__name__)

BLIND_S = 2.0
"""How often to look while no doorbell can be heard."""
BATCH = 100
PER_USER, PER_TENANT = 4, 500


class TooManyStreams(TooMany):
    code = "too-many-streams"
    title = "Too many open event streams: share one among your tabs."


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between what a stream does by the clock."""

    ping: float = 15.0
    max_age: float = 900.0
    send_timeout: float = 10.0
    """A client that takes nothing for so long is gone."""
    check: float = 0.5
    """How often sessions are looked at: half of the second in which a revoked one must die."""


class Seat:
    """One open stream: whose it is, what it may hear now, and whether it must end."""

    def __init__(
        self, identity: Identity, tenant: TenantContext, leave: Callable[[Seat], None]
    ) -> None:
        self.place: Place = (identity.tenant_id, identity.user_id, secrets.token_hex(8))
        self.identity = identity
        self._leave = leave
        self.ended = asyncio.Event()
        self.audible = audible(identity.role, identity.group_grants, tenant.modules)

    def leave(self) -> None:
        """Give the place back."""
        self._leave(self)

    def update(self, identity: Identity | None, tenant: TenantContext | None) -> None:
        """Take over what the session and the plan say now; None: it is no more."""
        if identity is None or tenant is None or tenant.status == "suspended":
            self.ended.set()
            return
        self.identity = identity
        self.audible = audible(identity.role, identity.group_grants, tenant.modules)


@dataclass(slots=True)
class Streams:
    """Open streams of this process: their caps, who watches their sessions, and their end.

    All sessions are looked at in one query twice a second while any stream is open, and at once
    when a doorbell says that one ended: no stream asks for itself.
    """

    bus: Bus
    sessions: Sessions
    tenants: TenantDirectory
    pace: Pace = Pace()
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    by_user: Counter[UUID] = field(default_factory=Counter)
    by_tenant: Counter[UUID] = field(default_factory=Counter)
    seats: set[Seat] = field(default_factory=set)
    _rung: asyncio.Event = field(default_factory=asyncio.Event)
    _watcher: asyncio.Task[None] | None = None
    _places: Places = field(init=False)

    def __post_init__(self) -> None:
        self._places = Places(self.bus.redis, PER_USER, PER_TENANT)

    async def enter(self, identity: Identity, tenant: TenantContext) -> Seat:
        """Count a stream in, among those of all processes. Raises TooManyStreams."""
        seat = self._sit(identity, tenant)
        try:
            if not await self._places.claim(seat.place):
                raise _full()
        except BaseException:  # also when the client has left meanwhile
            self.leave(seat)
            raise
        return seat

    def _sit(self, identity: Identity, tenant: TenantContext) -> Seat:
        user_id, tenant_id = identity.user_id, identity.tenant_id
        if self.by_user[user_id] >= PER_USER or self.by_tenant[tenant_id] >= PER_TENANT:
            raise _full()
        self.by_user[user_id] += 1
        self.by_tenant[tenant_id] += 1
        seat = Seat(identity, tenant, self.leave)
        self.seats.add(seat)
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch(), name="stream-sessions")
        return seat

    def leave(self, seat: Seat) -> None:
        self.seats.discard(seat)
        self._places.give_back(seat.place)
        who = seat.identity
        for counter, key in ((self.by_user, who.user_id), (self.by_tenant, who.tenant_id)):
            counter[key] -= 1
            if counter[key] <= 0:
                del counter[key]

    async def _watch(self) -> None:
        def ring(key: str) -> None:
            self._rung.set()

        self.bus.listen(TOPIC, ring)
        try:
            while self.seats:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._rung.wait(), self.pace.check)
                self._rung.clear()
                await self._places.renew([seat.place for seat in self.seats])
                try:
                    await self._check()
                except Exception as error:
                    # Who cannot be asked about keeps listening to nothing: events need the
                    # database, too. The next look is half a second away.
                    log.warning("streams.unchecked", extra={"error": type(error).__name__})
        finally:
            self.bus.unlisten(TOPIC, ring)

    async def _check(self) -> None:
        seats = list(self.seats)
        living = await self.sessions.living(
            {s.identity.session_id: s.identity for s in seats}.values()
        )
        for seat in seats:
            tenant = await self.tenants.find("id", str(seat.identity.tenant_id))
            seat.update(living.get(seat.identity.session_id), tenant)


def _full() -> TooManyStreams:
    problem = TooManyStreams(per_user=PER_USER, per_tenant=PER_TENANT)
    problem.headers = {"Retry-After": "5"}
    return problem


class Feed:
    """One subscriber: what happened after its cursor, in order, each once."""

    def __init__(
        self, works: WorkFactory, streams: Streams, seat: Seat, topics: frozenset[str]
    ) -> None:
        self._works, self._streams, self._seat = works, streams, seat
        self._key, self._user = str(seat.identity.tenant_id), seat.identity.user_id
        self._topics = topics
        self._bell = asyncio.Event()
        self.cursor = 0

    async def events(self, cursor: int | None) -> AsyncGenerator[bytes, None]:
        """Frames after ``cursor`` (None: from now on); an empty frame says nothing is due."""
        bus = self._streams.bus
        bus.listen("stream", self._rung)
        try:
            async with self._works() as work:
                oldest, head = await StreamRepository(work.session).bounds()
                aged = made_at(work.tenant.id) < now() - RETENTION
            lost = cursor is not None and is_lost(cursor, oldest, head, may_be_pruned=aged)
            self.cursor = head if cursor is None or lost else cursor
            if lost:
                yield frame("resync", {"reason": "cursor-unknown"}, head)
            yield frame("hello", {"cursor": self.cursor}, self.cursor)
            while True:
                self._bell.clear()
                for row in await self._after(self.cursor):
                    self.cursor = row.seq
                    if hears(row.topic, self._user, self._seat.audible & self._topics):
                        yield frame(row.type, row.data, row.seq)
                if self._bell.is_set():
                    continue
                wait = self._streams.pace.ping if bus.connected else BLIND_S
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


class Source(Protocol):
    """What a stream tells: frames after a cursor, and where it has come to."""

    cursor: int

    def events(self, cursor: int | None) -> AsyncGenerator[bytes, None]: ...


class Sitting(Protocol):
    """One open stream's place: it may be ended, and is given back."""

    ended: asyncio.Event

    def leave(self) -> None: ...


class Room(Protocol):
    """Where streams sit: their pace, and the word that the process goes."""

    @property
    def pace(self) -> Pace: ...

    @property
    def draining(self) -> asyncio.Event: ...


class EventStream(Response):
    """Sends a feed until the client leaves, stalls, grows old, or loses its session."""

    media_type = "text/event-stream"

    def __init__(self, feed: Source, cursor: int | None, room: Room, seat: Sitting) -> None:
        super().__init__(
            headers={"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
        )
        del self.headers["content-length"]
        self._feed, self._cursor = feed, cursor
        self._room, self._seat, self._pace = room, seat, room.pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        signs = (
            loop.create_task(_until_gone(receive)),
            loop.create_task(self._room.draining.wait()),
            loop.create_task(self._seat.ended.wait()),
        )
        frames = _Frames(self._feed.events(self._cursor))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._pump(send, frames, *signs)
        except (TimeoutError, OSError):
            pass  # a stalled or vanished client is normal life
        finally:
            self._seat.leave()
            await frames.close()
            for task in signs:
                task.cancel()
            await asyncio.gather(*signs, return_exceptions=True)

    async def _pump(
        self,
        send: Send,
        frames: _Frames,
        gone: asyncio.Task[None],
        *ends: asyncio.Task[Literal[True]],
    ) -> None:
        loop = asyncio.get_running_loop()
        end, ping = loop.time() + self._pace.max_age, loop.time() + self._pace.ping
        while not gone.done():
            pending = frames.pending()
            await asyncio.wait(
                {pending, gone, *ends},
                timeout=max(0.0, min(ping, end) - loop.time()),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if gone.done():
                return
            if loop.time() >= end or any(task.done() for task in ends):
                await self._put(send, _reconnect(), more=False)
                return
            if pending.done():
                data = frames.take()
                await self._put(send, data or b"", more=data is not None)
                if data is None:
                    return
            elif loop.time() >= ping:
                # An id without data raises no event and moves the browser's cursor past what it
                # may not or does not want to hear: a quiet client never falls behind.
                await self._put(send, b": ping\nid: %d\n\n" % self._feed.cursor)
            else:
                continue
            ping = loop.time() + self._pace.ping

    async def _put(self, send: Send, body: bytes, *, more: bool = True) -> None:
        async with asyncio.timeout(self._pace.send_timeout):
            await send({"type": "http.response.body", "body": body, "more_body": more})


def _reconnect() -> bytes:
    # Jitter, so that a deployment does not bring everybody back in the same second.
    return b"event: reconnect\nretry: %d\ndata: {}\n\n" % (1000 + random.randrange(2000))  # noqa: S311


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
