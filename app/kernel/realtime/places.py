"""How many streams are open in all processes together: places in Redis that must be renewed.

A place that nobody renews is free after its lease, so a process that was killed keeps none. While
Redis is down each process counts by itself (``service.Streams``) and streams open all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

# Server time, so that processes with skewed clocks agree. Answers 1 when both had room.
_CLAIM = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for at, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  if redis.call('ZCARD', key) >= tonumber(ARGV[2 + at]) then return 0 end
end
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2])
end
return 1
"""
# Also of what was lost with Redis' memory.
_RENEW = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for at = 1, #KEYS do
  redis.call('ZADD', KEYS[at], now + ARGV[1], ARGV[1 + at])
  redis.call('PEXPIRE', KEYS[at], ARGV[1])
end
"""
Place = tuple[UUID, UUID, str]
"""Tenant, member, and a name of its own."""


class Places:
    """The open streams of all processes, as far as they are capped."""

    def __init__(self, redis: Redis, per_user: int, per_tenant: int, lease_s: float = 60) -> None:
        self._redis, self._caps = redis, (per_tenant, per_user)
        self._lease_ms = int(lease_s * 1000)
        self._every_s = lease_s / 3
        self._renewed_at = 0.0
        self._claim, self._renew = redis.register_script(_CLAIM), redis.register_script(_RENEW)
        self._leaving: set[asyncio.Task[None]] = set()

    async def claim(self, place: Place) -> bool:
        """Take a place; False when member or tenant have no more of them."""
        with contextlib.suppress(RedisError, OSError):
            args: list[str | int] = [place[2], self._lease_ms, *self._caps]
            return bool(await self._claim(keys=_keys(place), args=args))
        return True

    def give_back(self, place: Place) -> None:
        """Free a place soon; one that cannot be told is free after its lease."""
        task = asyncio.create_task(self._remove(place), name="stream-place")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def renew(self, places: Iterable[Place]) -> None:
        """Keep the places of this process, three times in each lease."""
        at = time.monotonic()
        if at < self._renewed_at + self._every_s:
            return
        self._renewed_at = at
        both = [(key, place[2]) for place in places for key in _keys(place)]
        names = [name for _, name in both]
        with contextlib.suppress(RedisError, OSError):
            await self._renew(keys=[key for key, _ in both], args=[self._lease_ms, *names])

    async def _remove(self, place: Place) -> None:
        with contextlib.suppress(RedisError, OSError):
            async with self._redis.pipeline(transaction=False) as trip:
                for key in _keys(place):
                    trip.zrem(key, place[2])
                await trip.execute()


def _keys(place: Place) -> list[str]:
    tenant, member, _ = place
    return [f"largo:streams:{tenant}", f"largo:streams:{tenant}:{member}"]
