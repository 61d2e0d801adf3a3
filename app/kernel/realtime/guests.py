"""Event streams for those without a login: one thing's events, for whoever holds its token.

The stream is the members' own (``EventStream``): it resumes, holds no database session, lets go
of the dead. What differs: a guest is told only what ``tell`` makes of events about that thing,
is asked about again while it listens, and looks at most once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.core.clock import now
from app.core.ids import made_at
from app.kernel.realtime.repository import StreamRepository, StreamRow
from app.kernel.realtime.rules import RETENTION, is_lost
from app.kernel.realtime.service import BATCH, BLIND_S, Streams, TooManyStreams, frame
from app.kernel.work import WorkFactory

GAP_S = 1.0
"""Least time between two looks: a busy shop must not make every guest ask all the time."""
PER_THING, PER_TENANT = 5, 500

Told = tuple[str, dict[str, Any]]


@dataclass(slots=True)
class Guests:
    """Places for guests in this process, counted by thing and by tenant."""

    by_thing: Counter[UUID] = field(default_factory=Counter)
    by_tenant: Counter[UUID] = field(default_factory=Counter)

    def enter(self, thing: UUID, tenant: UUID) -> GuestSeat:
        """Count a stream in. Raises TooManyStreams."""
        if self.by_thing[thing] >= PER_THING or self.by_tenant[tenant] >= PER_TENANT:
            problem = TooManyStreams(per_user=PER_THING, per_tenant=PER_TENANT)
            problem.headers = {"Retry-After": "5"}
            raise problem
        self.by_thing[thing] += 1
        self.by_tenant[tenant] += 1
        return GuestSeat(self, thing, tenant)


class GuestSeat:
    """One guest's open stream."""

    def __init__(self, guests: Guests, thing: UUID, tenant: UUID) -> None:
        self.ended = asyncio.Event()
        self._guests, self._thing, self._tenant = guests, thing, tenant

    def leave(self) -> None:
        for counter, key in (
            (self._guests.by_thing, self._thing),
            (self._guests.by_tenant, self._tenant),
        ):
            counter[key] -= 1
            if counter[key] <= 0:
                del counter[key]


@dataclass(frozen=True, slots=True)
class About:
    """What a guest listens to: rows whose data says ``value`` under ``name``."""

    name: str
    value: UUID
    tell: Callable[[str, dict[str, Any]], Told | None]
    """What of an event the guest may know; None: nothing."""
    may_stay: Callable[[], Awaitable[bool]]
    """Asked before every look: the token still opens it."""


class GuestFeed:
    """One guest: what happened to one thing after a cursor, in order, each once."""

    def __init__(
        self, works: WorkFactory, streams: Streams, seat: GuestSeat, tenant: UUID, about: About
    ) -> None:
        self._works, self._streams, self._seat = works, streams, seat
        self._key, self._about = str(tenant), about
        self._bell = asyncio.Event()
        self.cursor = 0

    async def events(self, cursor: int | None) -> AsyncGenerator[bytes, None]:
        """Frames after ``cursor``; None: from now on."""
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
            while await self._about.may_stay():
                self._bell.clear()
                for row in await self._look():
                    told = self._about.tell(row.type, row.data)
                    if told is not None:
                        yield frame(*told, row.seq)
                await self._rest()
            self._seat.ended.set()
        finally:
            bus.unlisten("stream", self._rung)

    async def _look(self) -> list[StreamRow]:
        """Rows about the thing; the cursor also passes what is about others."""
        async with self._works() as work:
            stream = StreamRepository(work.session)
            _, head = await stream.bounds()
            rows = await stream.about(self._about.name, str(self._about.value), self.cursor, BATCH)
        if len(rows) == BATCH:
            self._bell.set()
            self.cursor = rows[-1].seq
        else:
            # The head was read first: what came after it is found by the next look.
            self.cursor = max([head, self.cursor, *(row.seq for row in rows)])
        return rows

    async def _rest(self) -> None:
        await asyncio.sleep(GAP_S)
        wait = self._streams.pace.ping if self._streams.bus.connected else BLIND_S
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._bell.wait(), wait)

    def _rung(self, key: str) -> None:
        if key in ("", self._key):
            self._bell.set()
