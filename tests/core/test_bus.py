"""The doorbell between processes: heard once, and by everybody whatever one listener does."""

from __future__ import annotations

import asyncio
import logging

import pytest

from app.core.redis import Bus
from app.core.settings import Settings


async def test_a_broken_listener_deafens_nobody(
    config: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = Bus(config.redis_url), Bus(config.redis_url)
    heard: list[str] = []

    def broken(key: str) -> None:
        if key:
            raise ValueError("no such key")

    for bus in (near, far):
        await bus.start()
    far.listen("test-bell", broken)
    far.listen("test-bell", heard.append)
    near.listen("test-bell", heard.append)
    with caplog.at_level(logging.CRITICAL, "app.core.redis"):
        await near.ring("test-bell", "one")
        near.ring_soon("test-bell", "two")
        async with asyncio.timeout(2):
            while heard.count("two") < 2:  # noqa: ASYNC110 - the listeners are plain callbacks
                await asyncio.sleep(0.01)
    for bus in (near, far):
        await bus.stop()
    assert sorted(heard) == ["one", "one", "two", "two"], "each process hears each ring once"
