"""A client that is gone for a while misses nothing and gets nothing twice.

``SSE_ABSENCE_S=30`` makes it the half minute of the specification; by default it is short.
"""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from app.main import Largo
from tests.factories.tenants import World
from tests.kernel.event_listener import listening
from tests.kernel.test_realtime import CHANGED, _items, _tell

ABSENCE_S = float(os.environ.get("SSE_ABSENCE_S", "2"))


@pytest.mark.timeout(ABSENCE_S * 2 + 60)
async def test_nothing_is_missed_or_doubled_by_whoever_was_gone(app: Largo, world: World) -> None:
    told: list[str] = []
    over = asyncio.Event()

    async def happen() -> None:
        """Events before, during and after the absence, never a moment without."""
        while not over.is_set():
            told.extend(await _tell(world, 1))
            await asyncio.sleep(0.02)

    writer = asyncio.create_task(happen())
    async with listening(app, world.owner.token, topics="catalog") as before:
        await before.until(lambda: len(before.of(CHANGED)) >= 5, 20)
    heard, cursor = _items(before), before.of(CHANGED)[-1].id
    gone_at, known = time.monotonic(), len(told)
    await asyncio.sleep(ABSENCE_S)
    missed = len(told) - known
    async with listening(
        app, world.owner.token, topics="catalog", last_event_id=str(cursor)
    ) as after:
        gone_s = time.monotonic() - gone_at
        await after.until(lambda: len(after.of(CHANGED)) > missed, 30)
        over.set()
        await writer
        await after.until(lambda: told[-1] in _items(after), 10)
        heard += _items(after)
    first = told.index(heard[0])
    expected = told[first:]
    print(
        f"\ngone for {gone_s:.1f} s while {missed} events happened: "
        f"{len(set(expected) - set(heard))} missed, {len(heard) - len(set(heard))} doubled"
    )
    assert heard == expected
    assert after.of("resync") == []
    assert missed > 10
