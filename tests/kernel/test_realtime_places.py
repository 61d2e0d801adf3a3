"""The caps on live streams hold over all processes, and a killed one keeps no place."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from uuid import uuid4

import httpx

from app.core.redis import Bus
from app.core.settings import Settings
from app.kernel.realtime.places import Place, Places
from app.kernel.realtime.service import PER_USER
from app.main import Largo, create_app
from tests.conftest import serving
from tests.factories.tenants import World
from tests.factories.valkey import Valkey
from tests.kernel.event_listener import EVENTS, listening
from tests.sandbox.server import until

LEASE_S = 0.6


async def test_the_cap_of_a_member_holds_over_two_processes(
    app: Largo, config: Settings, world: World, owner: httpx.AsyncClient
) -> None:
    async with serving(create_app(config)) as other, AsyncExitStack() as stack:
        token = world.owner.token
        open_ones = [
            await stack.enter_async_context(listening(app if n % 2 else other, token))
            for n in range(PER_USER)
        ]
        refused = await owner.get(EVENTS)
        assert (refused.status_code, refused.json()["code"]) == (429, "too-many-streams")
        await open_ones[0].leave()  # of the other process

        async def is_free() -> bool:
            async with listening(app, token) as again:
                return again.status == 200

        await until(is_free)


async def test_whom_nobody_renews_keeps_no_place(config: Settings) -> None:
    first, second = Bus(config.redis_url), Bus(config.redis_url)
    killed, living = (Places(bus.redis, 2, 3, LEASE_S) for bus in (first, second))
    tenant, member, colleague = uuid4(), uuid4(), uuid4()
    held: list[Place] = [(tenant, member, "a"), (tenant, colleague, "b")]
    assert await killed.claim(held[0])
    assert await living.claim(held[1])
    assert await living.claim((tenant, member, "c"))
    assert not await living.claim((tenant, member, "d")), "two of the member"
    assert not await living.claim((tenant, colleague, "e")), "three of the tenant"
    assert await living.claim((uuid4(), member, "f")), "another tenant's are its own"
    # What is refused takes no place; what is renewed keeps it; the killed one's is free in time.
    ends = time.monotonic() + LEASE_S * 1.5
    while time.monotonic() < ends:
        await living.renew([held[1], (tenant, member, "c")])
        await asyncio.sleep(0.05)
    assert await living.claim((tenant, member, "d"))
    assert not await living.claim((tenant, colleague, "e"))
    living.give_back(held[1])

    async def is_free() -> bool:
        return await living.claim((tenant, colleague, "e"))

    await until(is_free)
    for bus in (first, second):
        await bus.stop()


async def test_without_redis_streams_open_and_with_it_again_they_are_counted(
    valkey: Valkey,
) -> None:
    bus = Bus(valkey.url)
    places = Places(bus.redis, 1, 1, LEASE_S)
    tenant, member = uuid4(), uuid4()
    assert await places.claim((tenant, member, "a"))
    assert not await places.claim((tenant, member, "b"))
    valkey.stop()
    assert await places.claim((tenant, member, "b"))
    await places.renew([(tenant, member, "b")])
    await valkey.start()
    await asyncio.sleep(LEASE_S / 3)
    await places.renew([(tenant, member, "b")])  # Redis had forgotten it
    assert not await places.claim((tenant, member, "c"))
    await bus.stop()
