"""Paces among all processes: who may act next and when, at even distances, with pauses.

A rate limit says no; a pace says *then*. What a vendor counts by the second is kept by distance:
no second ever holds more than the rate.
"""

from __future__ import annotations

import logging
import time
from typing import NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

# Server time, so that processes with skewed clocks agree. KEYS[1] is the pace, the rest are
# pauses; answers {granted, wait_ms}. Nothing is taken unless it is granted.
_RESERVE = """
local t = redis.call('TIME')
local now = t[1] * 1000 + t[2] / 1000
local wait = 0
for i = 1, #KEYS do
  wait = math.max(wait, tonumber(redis.call('GET', KEYS[i]) or now) - now)
end
if wait > tonumber(ARGV[2]) then
  return {0, math.ceil(wait)}
end
local free = now + wait + tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%.3f', free), 'PX', math.ceil(free - now) + 1000)
return {1, math.ceil(wait)}
"""
_HOLD = """
local t = redis.call('TIME')
local till = t[1] * 1000 + t[2] / 1000 + tonumber(ARGV[1])
if tonumber(redis.call('GET', KEYS[1]) or 0) < till then
  redis.call('SET', KEYS[1], string.format('%.3f', till), 'PX', math.ceil(ARGV[1]) + 1000)
end
return 1
"""
_KEPT = 10_000


class Slot(NamedTuple):
    granted: bool
    wait_s: float
    """Until the slot that was granted; else until asking again is worth while."""


class SharedPacer:
    """Even distances in Redis, one trip; in this process alone while Redis is down."""

    def __init__(self, redis: Redis) -> None:
        self._reserve = redis.register_script(_RESERVE)
        self._hold = redis.register_script(_HOLD)
        self._till: dict[str, float] = {}

    async def reserve(
        self, key: str, interval_s: float, *, within_s: float, pauses: tuple[str, ...] = ()
    ) -> Slot:
        """Take the next slot of ``key`` if it comes within so many seconds.

        Slots are ``interval_s`` apart; none is given while one of ``pauses`` lasts.
        """
        try:
            granted, wait_ms = await self._reserve(
                keys=[_name(name) for name in (key, *pauses)],
                args=[interval_s * 1000, within_s * 1000],
            )
        except (RedisError, OSError) as error:
            log.debug("pacing.alone", extra={"error": type(error).__name__})
            return self._alone(key, interval_s, within_s, pauses)
        return Slot(bool(granted), int(wait_ms) / 1000)

    async def hold(self, key: str, seconds: float) -> None:
        """Nobody passes who names this pause, for so long; never shortens one."""
        self._till[key] = max(self._till.get(key, 0.0), time.monotonic() + seconds)
        try:
            await self._hold(keys=[_name(key)], args=[seconds * 1000])
        except (RedisError, OSError) as error:
            log.debug("pacing.alone", extra={"error": type(error).__name__})

    def _alone(self, key: str, interval_s: float, within_s: float, pauses: tuple[str, ...]) -> Slot:
        at = time.monotonic()
        if len(self._till) > _KEPT:
            self._till = {name: till for name, till in self._till.items() if till > at}
        wait = max(0.0, *(self._till.get(name, 0.0) - at for name in (key, *pauses)))
        if wait > within_s:
            return Slot(False, wait)
        self._till[key] = at + wait + interval_s
        return Slot(True, wait)


def _name(key: str) -> str:
    return f"largo:pace:{key}"
