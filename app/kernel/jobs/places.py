"""Who may run now: fair shares of one worker's places among tenants (DESIGN §9, rule 7)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import islice
from uuid import UUID

from pgqueuer.errors import RetryRequested

log = logging.getLogger(__name__)

URGENT, BULK = 10, -10
"""From this priority on jobs have places of their own; to that one they leave some to the rest."""
_LONGEST_TURN_S = 30.0
# Only who waits for a turn in a line: what a handler put off for longer stays put off.
_RECALL = """
UPDATE pgqueuer SET execute_after = now(), updated = now()
WHERE id = ANY($1) AND status = 'queued' AND execute_after < now() + interval '30 seconds'
"""
_RECALL_TAKES_S = 0.2
"""Until those who were recalled are here: no others meanwhile."""
_REMEMBERED = 1000
"""Most jobs of a line that are known to have been handed back."""
_BULK_WAITING = 8
"""Times the share: so much bulk is here that its vendor's pace does not wait for the queue."""


class _Line:
    """One tenant's jobs of one urgency in this process: how many, and how fast they get done."""

    def __init__(self, share: int, most: int, also: _Line | None = None) -> None:
        self.places = asyncio.Semaphore(max(1, share))
        self.most = most
        self.also = also
        """Whose places these count among."""
        self.jobs = 0
        self.stay_s = 0.01 * most
        """Moving average of how long a job is in this process."""
        self.last_turn = 0.0
        self.away: dict[int, None] = {}
        """Jobs handed back until their turn, the next one first."""
        self.no_recall_until = 0.0

    @property
    def is_full(self) -> bool:
        return self.jobs >= self.most

    def turn(self) -> timedelta:
        """Until the turn of one more should come at the line's own pace.

        A full line lets ``most`` jobs go in the time that one stays (Little's law).
        """
        now = time.monotonic()
        turn = max(self.last_turn, now) + self.stay_s / self.most
        self.last_turn = min(turn, now + _LONGEST_TURN_S)
        return timedelta(seconds=self.last_turn - now)

    def hand_back(self, job_id: int) -> RetryRequested:
        """What to raise when it is full."""
        if len(self.away) < _REMEMBERED:
            self.away[job_id] = None
        return RetryRequested(self.turn(), reason="tenant at its share")

    def recalled(self) -> list[int]:
        """Whom to fetch before their turn as the line runs dry: a turn is but an estimate."""
        room, now = self.most // 2, time.monotonic()
        if self.jobs > room or now < self.no_recall_until:
            return []
        self.no_recall_until = now + _RECALL_TAKES_S
        found = list(islice(self.away, room))
        for job_id in found:
            del self.away[job_id]
        return found


class Place:
    """One job's right to run, which it gives away while it only waits for somebody else."""

    def __init__(self, *gates: asyncio.Semaphore) -> None:
        self._gates = gates
        self._held: list[asyncio.Semaphore] = []

    async def take(self) -> None:
        """Wait until every gate lets one more through."""
        try:
            for gate in self._gates:
                await gate.acquire()
                self._held.append(gate)
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Let somebody else through, if this one is in."""
        while self._held:
            self._held.pop().release()

    @asynccontextmanager
    async def left(self) -> AsyncIterator[None]:
        """Without the place within the block, and in it again afterwards, however that ends."""
        self.leave()
        try:
            yield
        except Exception:
            await self.take()
            raise
        await self.take()


class _Tenant:
    """Its usual line, all but one place of which bulk may take, and a shorter one for what is
    urgent."""

    def __init__(self, share: int) -> None:
        most = 2 * share
        self.usual, self.urgent = _Line(share, most), _Line(share // 2, most)
        self.bulk = _Line(share - 1, _BULK_WAITING * share, self.usual)

    def line(self, priority: int) -> _Line:
        if priority >= URGENT:
            return self.urgent
        return self.bulk if priority <= BULK else self.usual

    @property
    def is_idle(self) -> bool:
        return not (self.usual.jobs or self.urgent.jobs or self.bulk.jobs)


class Places:
    """Who may run now: ``total`` jobs at once, one tenant at most half of them (rule 7), and a
    quarter more for what people wait for.

    As many more of a tenant wait here for their turn, and of its bulk eight times as many: those
    mostly wait for their vendor, and leave their places to others meanwhile. The rest go back to
    the queue, each until its turn should come at the tenant's own pace: a backlog of one tenant is
    then neither in the way of another's single job nor a storm of hand-backs. A line that runs dry
    sooner has some of them come at once. Nor is its bulk in the way of its other jobs, nor those
    of what is urgent.
    """

    def __init__(
        self, total: int, execute: Callable[..., Awaitable[None]], wake: Callable[[str], None]
    ) -> None:
        self._execute, self._wake = execute, wake
        self._recalls: set[asyncio.Task[None]] = set()
        self._share = max(1, total // 2)
        self._total = asyncio.Semaphore(total)
        self._tenants: dict[UUID, _Tenant] = {}

    @asynccontextmanager
    async def place(self, tenant_id: UUID, job_id: int, priority: int = 0) -> AsyncIterator[Place]:
        """Wait for a place of the tenant. Raises RetryRequested when its line is full."""
        tenant = self._tenants.setdefault(tenant_id, _Tenant(self._share))
        line = tenant.line(priority)
        if line.is_full:
            raise line.hand_back(job_id)
        line.away.pop(job_id, None)
        # Counted before anything is awaited: a batch starts all its jobs in the same instant.
        line.jobs += 1
        also = () if line.also is None else (line.also.places,)
        place = Place(line.places, *also, self._total)
        came = time.monotonic()
        try:
            await place.take()
            yield place
            line.stay_s += (time.monotonic() - came - line.stay_s) / 8
        finally:
            place.leave()
            line.jobs -= 1
            self._recall(line.recalled())
            if tenant.is_idle:
                self._tenants.pop(tenant_id, None)

    def _recall(self, job_ids: list[int]) -> None:
        if job_ids:
            task = asyncio.create_task(self._recall_now(job_ids), name="jobs-recall")
            self._recalls.add(task)
            task.add_done_callback(self._recalls.discard)

    async def _recall_now(self, job_ids: list[int]) -> None:
        try:
            await self._execute(_RECALL, job_ids)
        except Exception as error:
            # They come by themselves, if later.
            log.warning("jobs.not_recalled", extra={"error": type(error).__name__})
            return
        self._wake("")
