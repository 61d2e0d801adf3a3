"""Who may run now: fair shares of one worker's places among tenants (DESIGN §9, rule 7)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from uuid import UUID

from pgqueuer.errors import RetryRequested

URGENT, BULK = 10, -10
"""From this priority on jobs have places of their own; to that one they leave some to the rest."""
_LONGEST_TURN_S = 30.0


class _Line:
    """One tenant's jobs of one urgency in this process: how many, and how fast they get done."""

    def __init__(self, share: int, most: int, also: _Line | None = None) -> None:
        self.share, self.most = max(1, share), most
        self.places = asyncio.Semaphore(self.share)
        self.also = also
        """Whose places these count among."""
        self.jobs = 0
        self.run_s = 0.1
        """Moving average of what a job takes."""
        self.last_turn = 0.0

    @property
    def is_full(self) -> bool:
        return self.jobs >= self.most

    def turn(self) -> timedelta:
        """Until the turn of one more should come at the line's own pace."""
        now = time.monotonic()
        turn = max(self.last_turn, now) + self.run_s / self.share
        self.last_turn = min(turn, now + _LONGEST_TURN_S)
        return timedelta(seconds=self.last_turn - now)


class _Tenant:
    """Its usual line, the half of it that bulk may take, and a shorter one for what is urgent."""

    def __init__(self, share: int) -> None:
        most = 2 * share
        self.usual, self.urgent = _Line(share, most), _Line(share // 2, most)
        self.bulk = _Line(share // 2, most, self.usual)

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

    As many more of a tenant wait here for their turn. The rest go back to the queue, each until
    its turn should come at the tenant's own pace: a backlog of one tenant is then neither in the
    way of another's single job nor a storm of hand-backs. Nor is its bulk in the way of its
    other jobs, nor those of what is urgent.
    """

    def __init__(self, total: int) -> None:
        self._share = max(1, total // 2)
        self._total = asyncio.Semaphore(total)
        self._tenants: dict[UUID, _Tenant] = {}

    @asynccontextmanager
    async def place(self, tenant_id: UUID, priority: int = 0) -> AsyncIterator[None]:
        """Wait for a place of the tenant. Raises RetryRequested when its line is full."""
        tenant = self._tenants.setdefault(tenant_id, _Tenant(self._share))
        line = tenant.line(priority)
        if line.is_full:
            raise RetryRequested(line.turn(), reason="tenant at its share")
        # Counted before anything is awaited: a batch starts all its jobs in the same instant.
        line.jobs += 1
        try:
            async with AsyncExitStack() as held:
                await held.enter_async_context(line.places)
                if line.also is not None:
                    await held.enter_async_context(line.also.places)
                await held.enter_async_context(self._total)
                began = time.monotonic()
                yield
                line.run_s += (time.monotonic() - began - line.run_s) / 8
        finally:
            line.jobs -= 1
            if tenant.is_idle:
                self._tenants.pop(tenant_id, None)
