"""Even distances among processes, pauses for everybody, and the same without Redis."""

from __future__ import annotations

import asyncio
import secrets

import pytest
from redis.asyncio import Redis

from app.conversations.sending.pacing import Line, TurnLater
from app.conversations.sending.rules import BULK, PAIR, REPLY, Pace, pace_of
from app.core.ids import new_id
from app.core.pacing import SharedPacer
from app.core.ratelimit import SharedLimiter
from app.core.settings import Settings


def a_pace(interval_s: float = 0.05) -> Pace:
    name = f"number:{secrets.token_hex(6)}"
    return Pace(name, interval_s, (f"pause:{name}", f"pause:account:{name}"))


async def in_line(line: Line, urgency: int, name: str, told: list[str]) -> None:
    await line.turn(urgency)
    told.append(name)


async def test_two_processes_share_what_a_second_takes(config: Settings) -> None:
    pace = pace_of(new_id(), new_id(), "waba", 80, is_coexistent=False)
    clocks: list[float] = []
    begun = asyncio.get_running_loop().time()

    async def one(line: Line) -> None:
        await line.turn(BULK)
        clocks.append(asyncio.get_running_loop().time() - begun)

    async with Redis.from_url(config.redis_url) as mine, Redis.from_url(config.redis_url) as other:
        lines = [Line(SharedPacer(mine), pace), Line(SharedPacer(other), pace)]
        await asyncio.gather(*(one(lines[n % 2]) for n in range(120)))
    print(f"\n80 a second, two processes: {119 / clocks[-1]:.1f} a second were let through")
    assert clocks[-1] >= 119 / 80, "never more than the vendor takes"
    assert clocks[79] >= 79 / 80


async def test_two_processes_count_a_pair_together(config: Settings) -> None:
    key = secrets.token_hex(6)
    async with Redis.from_url(config.redis_url) as mine, Redis.from_url(config.redis_url) as other:
        limiters = [SharedLimiter(mine), SharedLimiter(other)]
        taken = [(await limiters[n % 2].take(PAIR, key)).allowed for n in range(60)]
        wait = (await limiters[0].take(PAIR, key)).retry_after_s
    # While it is asked for six seconds or more, one more may have become free.
    assert taken[:44] == [True] * 44
    assert sum(taken) <= 45
    assert 0 < wait <= 6


async def test_the_most_urgent_is_next_though_it_came_last(config: Settings) -> None:
    told: list[str] = []
    async with Redis.from_url(config.redis_url) as redis:
        line = Line(SharedPacer(redis), a_pace())
        bulk = [asyncio.create_task(in_line(line, BULK, f"bulk {n}", told)) for n in range(5)]
        await asyncio.sleep(0)
        reply = asyncio.create_task(in_line(line, REPLY, "reply", told))
        await asyncio.gather(*bulk, reply)
    assert "reply" in told[:2]
    assert [name for name in told if name != "reply"] == [f"bulk {n}" for n in range(5)]


async def test_a_pause_holds_every_process_and_whoever_waits_long_is_sent_away(
    config: Settings,
) -> None:
    pace, free = a_pace(), a_pace()
    async with Redis.from_url(config.redis_url) as mine, Redis.from_url(config.redis_url) as other:
        await SharedPacer(mine).hold(pace.pauses[1], 30)
        await SharedPacer(other).hold(pace.pauses[1], 1)
        with pytest.raises(TurnLater) as later:
            await Line(SharedPacer(other), pace).turn(REPLY)
        assert 25 < later.value.seconds <= 30, "a shorter pause shortens none"
        await Line(SharedPacer(other), free).turn(REPLY)


async def test_who_gave_up_takes_nobodys_turn(config: Settings) -> None:
    told: list[str] = []
    async with Redis.from_url(config.redis_url) as redis:
        line = Line(SharedPacer(redis), a_pace())
        first, second = (asyncio.create_task(in_line(line, BULK, str(n), told)) for n in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait_for(second, 5)
    assert told == ["1"]


async def test_without_redis_this_process_keeps_the_pace_alone() -> None:
    nowhere = Redis.from_url("redis://127.0.0.1:1/0")
    pacer, pace = SharedPacer(nowhere), a_pace(0.02)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    line = Line(pacer, pace)
    for _ in range(6):
        await line.turn(REPLY)
    assert loop.time() - begun >= 0.1
    await pacer.hold(pace.pauses[0], 20)
    with pytest.raises(TurnLater):
        await line.turn(REPLY)
    await nowhere.aclose()
