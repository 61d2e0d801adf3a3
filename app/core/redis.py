"""Redis as doorbell and shared limit: one subscription per process, and nothing that must last.

A doorbell says *look again*, never *what*: the truth is in Postgres, so a lost message costs a
delay and no data. While Redis is down every listener is told to distrust what it cached.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

_PREFIX = "largo:"
Listener = Callable[[str], None]
"""Called with the key that was rung, or with '' when messages may have been missed."""


class Bus:
    """Rings doorbells after commits and hears those of other processes."""

    def __init__(self, url: str) -> None:
        self.redis = Redis.from_url(
            url, socket_timeout=2, socket_connect_timeout=1, health_check_interval=15
        )
        self._url = url
        self._origin = secrets.token_hex(8)
        self._listeners: dict[str, list[Listener]] = defaultdict(list)
        self._task: asyncio.Task[None] | None = None
        self._pending: dict[tuple[str, str], None] = {}
        self._flush: asyncio.Task[None] | None = None
        self.connected = False

    def listen(self, topic: str, listener: Listener) -> None:
        """Call ``listener`` for every ring of ``topic``, in this process or another."""
        self._listeners[topic].append(listener)

    def unlisten(self, topic: str, listener: Listener) -> None:
        self._listeners[topic].remove(listener)

    async def ring(self, topic: str, key: str) -> None:
        """Tell every process that ``key`` of ``topic`` changed. Never raises: rings may be lost."""
        self._tell(topic, key)
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            await self.redis.publish(_PREFIX + topic, f"{self._origin} {key}")

    def ring_soon(self, topic: str, key: str) -> None:
        """Like ``ring``, without waiting; what is rung within 20 ms goes out in one trip."""
        self._tell(topic, key)
        self._pending[topic, key] = None
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._publish_pending(), name="bus-rings")

    async def _publish_pending(self) -> None:
        await asyncio.sleep(0.02)
        pending, self._pending = self._pending, {}
        keys: dict[str, list[str]] = defaultdict(list)
        for topic, key in pending:
            keys[topic].append(key)
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with self.redis.pipeline(transaction=False) as pipe:
                # One message for all keys of a topic: every process parses it, this one, too.
                for topic, rung in keys.items():
                    pipe.publish(_PREFIX + topic, " ".join((self._origin, *rung)))
                await pipe.execute()

    async def start(self) -> None:
        """Begin to hear; returns when the subscription stands or Redis proved unreachable."""
        ready = asyncio.Event()
        self._task = asyncio.create_task(self._hear(ready), name="bus")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ready.wait(), 2)

    async def stop(self) -> None:
        if self._flush is not None:
            await self._flush
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.redis.aclose()

    async def _hear(self, ready: asyncio.Event) -> None:
        delay = 0.2
        while True:
            # No socket timeout here: a quiet subscription is a healthy one.
            source = Redis.from_url(self._url, socket_connect_timeout=1, health_check_interval=0)
            try:
                async with source.pubsub() as subscription:
                    await subscription.psubscribe(_PREFIX + "*")
                    self.connected, delay = True, 0.2
                    self._distrust()
                    ready.set()
                    async for message in subscription.listen():
                        if message["type"] == "pmessage":
                            topic = message["channel"].decode().removeprefix(_PREFIX)
                            origin, _, keys = message["data"].decode().partition(" ")
                            # Our own rings were heard when we rang them.
                            if origin != self._origin:
                                for key in keys.split(" "):
                                    self._tell(topic, key)
            except (RedisError, OSError) as error:
                if self.connected:
                    log.warning("redis.lost", extra={"error": type(error).__name__})
                self.connected = False
                self._distrust()
                ready.set()
            finally:
                with contextlib.suppress(RedisError, OSError):
                    await source.aclose()
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5)

    def _tell(self, topic: str, key: str) -> None:
        for listener in tuple(self._listeners.get(topic, ())):
            try:
                listener(key)
            except Exception:
                # One listener's trouble must not deafen the process to every other bell.
                log.exception("bus.listener", extra={"topic": topic})

    def _distrust(self) -> None:
        for listeners in tuple(self._listeners.values()):
            for listener in tuple(listeners):
                listener("")
