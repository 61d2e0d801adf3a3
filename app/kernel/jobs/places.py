"""Who may run now: fair shares of one worker's places among tenants (DESIGN §9, rule 7)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from pgqueuer.errors import RetryRequested

_LONGEST_TURN_S = 30.0


class _Line:
    """One tenant's jobs in this process: how many, and how fast they get done."""

    def __init__(self, share: int) -> None:
        self.places = asyncio.Semaphore(share)
        self.jobs = 0
        self.run_s = 0.1
        """Moving average of what a job takes."""
        self.last_turn = 0.0


class Places:
    """Who may run now: ``total`` jobs at once, one tenant at most half of them (rule 7).

    As many more of a tenant wait here for their turn. The rest go back to the queue, each until
    its turn should come at the tenant's own pace: a backlog of one tenant is then neither in the
    way of another's single job nor a storm of hand-backs.
    """

    def __init__(self, total: int) -> None:
        self._share = max(1, total // 2)
        self._total = asyncio.Semaphore(total)
        self._lines: dict[UUID, _Line] = {}

    @asynccontextmanager
    async def place(self, tenant_id: UUID) -> AsyncIterator[None]:
        """Wait for a place of the tenant. Raises RetryRequested when its line is full."""
        line = self._lines.setdefault(tenant_id, _Line(self._share))
        if line.jobs >= 2 * self._share:
            raise RetryRequested(self._turn(line), reason="tenant at its share")
        # Counted before anything is awaited: a batch starts all its jobs in the same instant.
        line.jobs += 1
        try:
            async with line.places, self._total:
                began = time.monotonic()
                yield
                line.run_s += (time.monotonic() - began - line.run_s) / 8
        finally:
            line.jobs -= 1
            if not line.jobs:
                del self._lines[tenant_id]

    def _turn(self, line: _Line) -> timedelta:
        now = time.monotonic()
        turn = max(line.last_turn, now) + line.run_s / self._share
        line.last_turn = min(turn, now + _LONGEST_TURN_S)
        return timedelta(seconds=line.last_turn - now)
