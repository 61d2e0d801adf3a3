"""Who of a number's messages goes next: at the number's pace, the most urgent first.

Each process has one line per number in which its messages wait, and asks for one slot at a time
among all processes: a reply that comes last still takes the next slot.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

from app.conversations.sending.rules import PAIR, Pace
from app.core.pacing import SharedPacer
from app.kernel.work import Runtime

_CACHE = "sending.lines"
_PATIENCE_S = 1.0
"""Whoever must wait longer goes back to the queue."""


class TurnLater(Exception):
    """Not now; ask again after ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"in {seconds} s")
        self.seconds = seconds


@dataclass(slots=True)
class Line:
    """The messages of one number that wait in this process."""

    pacer: SharedPacer
    pace: Pace
    waiting: list[tuple[int, int, asyncio.Future[None]]] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=count)
    _pump: asyncio.Task[None] | None = None

    async def turn(self, urgency: int) -> None:
        """Return when it is this message's turn. Raises TurnLater."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self.waiting, (-urgency, next(self._ids), future))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._serve(), name="sending-line")
        await future

    async def _serve(self) -> None:
        try:
            while self.waiting:
                slot = await self.pacer.reserve(
                    self.pace.number,
                    self.pace.interval_s,
                    within_s=self.pace.interval_s,
                    pauses=self.pace.pauses,
                )
                if not slot.granted and slot.wait_s > _PATIENCE_S:
                    self._send_away(TurnLater(slot.wait_s))
                    return
                await asyncio.sleep(slot.wait_s)
                if slot.granted:
                    self._call()
        except Exception as error:
            self._send_away(error)

    def _call(self) -> None:
        """The most urgent one that still wants it has the slot."""
        while self.waiting:
            *_, future = heapq.heappop(self.waiting)
            if not future.done():
                future.set_result(None)
                return

    def _send_away(self, error: Exception) -> None:
        while self.waiting:
            *_, future = heapq.heappop(self.waiting)
            if not future.done():
                future.set_exception(error)


def pacer_of(runtime: Runtime) -> SharedPacer:
    """This process's pacer."""
    found = runtime.caches.get("pacer")
    if not isinstance(found, SharedPacer):
        found = runtime.caches["pacer"] = SharedPacer(runtime.bus.redis)
    return found


async def pass_line(runtime: Runtime, pace: Pace, contact_id: UUID, urgency: int) -> None:
    """Wait for the number's next slot, then count the pair. Raises TurnLater."""
    lines: dict[str, Line] = runtime.caches.setdefault(_CACHE, {})
    line = lines.get(pace.number)
    if line is None:
        line = lines[pace.number] = Line(pacer_of(runtime), pace)
    line.pace = pace
    try:
        await line.turn(urgency)
    finally:
        if not line.waiting and lines.get(pace.number) is line:
            del lines[pace.number]
    decision = await runtime.limiter.take(PAIR, f"{pace.number}:{contact_id}")
    if not decision.allowed:
        raise TurnLater(decision.retry_after_s)
