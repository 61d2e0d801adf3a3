"""Workers killed while they carry notices: everybody is told, nobody is told twice."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter

import pytest

from app.kernel.work import Runtime
from tests.conftest import ROOT
from tests.factories.notices import (
    all_told,
    browser,
    connect_bot,
    notices,
    order_placed,
    outcomes,
    vendors,
    waiting,
)
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf, client_of
from tests.sandbox.server import SandboxServer, http, sandbox, sandbox_url, until

__all__ = ["client_of", "http", "sandbox", "sandbox_url"]

PEOPLE, EVENTS, KILLS = 5, 6, 3
NOTICES = "/api/v1/user/notices"
CARRIERS = ("webpush", "telegram", "smtp")
CONCURRENCY = 10


def start(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.kernel.notice_runner"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


async def people(world: World, sandbox: SandboxServer, client_of: ClientOf) -> None:
    """Each with two devices, a chat and letters."""
    await connect_bot(world)
    members = [world.owner] + [await world.member("agent") for _ in range(PEOPLE - 1)]
    for number, member in enumerate(members):
        client = await client_of(world, member)
        for _ in range(2):
            made = await client.post(f"{NOTICES}/devices", json=await browser(sandbox))
            assert made.status_code == 201
        await client.put(f"{NOTICES}/telegram", json={"chat_id": f"{100 + number}"})
        choice = {"kinds": {"commerce.order_placed": {"email": True}}}
        assert (await client.put(f"{NOTICES}/preferences", json=choice)).is_success


async def arrived(sandbox: SandboxServer) -> Counter[tuple[str, ...]]:
    """What each carrier got for whom, and how often."""
    found: Counter[tuple[str, ...]] = Counter()
    for request in await sandbox.requests(vendor="webpush", limit="500"):
        found["push", request["to"], json.loads(request["preview"])["title"]] += 1
    for request in await sandbox.requests(vendor="telegram", limit="500"):
        found["telegram", request["to"], request["preview"].partition("\n")[0]] += 1
    for request in await sandbox.requests(vendor="smtp", limit="500"):
        found["email", request["to"], request["body"]["subject"]] += 1
    return found


@pytest.mark.timeout(420)
async def test_everybody_is_told_once_while_workers_are_killed(
    world: World, runtime: Runtime, environment: dict[str, str], sandbox: SandboxServer,
    client_of: ClientOf,
) -> None:  # fmt: skip
    await people(world, sandbox, client_of)
    for carrier in CARRIERS:
        await sandbox.put(f"{carrier}/knobs", latency_ms=60)
    settings = {name.upper(): str(value) for name, value in (await vendors(sandbox)).items()}
    for number in range(EVENTS):
        async with world.work() as work:
            work.publish(order_placed(number))
    total = PEOPLE * EVENTS * 4
    for kill in range(KILLS):
        worker = start(environment | settings)
        try:
            # Low enough to be reached whatever was cut before it left.
            goal = (kill + 1) * total // (KILLS + 3)

            async def enough(goal: int = goal) -> bool:
                seen = [await sandbox.requests(vendor=c, limit="500") for c in CARRIERS]
                return sum(map(len, seen)) >= goal

            await until(enough, 90)
        finally:
            worker.kill()
            await asyncio.to_thread(worker.wait, 10)
        assert await waiting(world) > 0, "killed in the middle"
    worker = start(environment | settings)
    try:
        await all_told(world, 90)
    finally:
        worker.kill()
        await asyncio.to_thread(worker.wait, 10)

    given = Counter((notice.user_id, notice.title) for notice in await notices(world))
    assert len(given) == PEOPLE * EVENTS
    assert set(given.values()) == {1}
    ledger = await outcomes(world)
    ways = Counter(channel for channel, _, _ in ledger)
    assert ways == {
        "push": 2 * PEOPLE * EVENTS, "telegram": PEOPLE * EVENTS, "email": PEOPLE * EVENTS,
    }  # fmt: skip
    ends = Counter(state for _, state, _ in ledger)
    assert set(ends) <= {"sent", "unknown"}
    assert ends["unknown"] <= KILLS * CONCURRENCY, "only what was under way when one died"
    # Other tests of this process may have left a notice of their own behind.
    got = {k: n for k, n in (await arrived(sandbox)).items() if "Novo pedido" in k[2]}
    assert set(got.values()) == {1}, "nobody was told twice"
    assert ends["sent"] <= len(got) <= total
    print(f"{total} deliveries, {KILLS} kills: {dict(ends)}, arrived {len(got)}")
