"""Killed while deliveries come in and are processed: each acknowledged one counts once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.conversations.inbound.intake import signed
from tests.conversations.inbound.line import URL, Line, deliveries, envelope, make_line
from tests.factories.tenants import World
from tests.faults.server import ServerProcess
from tests.kernel.queue_probe import ROOT, effects
from tests.sandbox.server import until

START_S = 60


def runner(environment: dict[str, str], point: str, marker: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own program, no shell
        [sys.executable, "-m", "tests.faults.delivery_runner", point, str(marker)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


async def processed(line: Line, environment: dict[str, str], wamids: set[str], tmp: Path) -> None:
    """A worker that lives ends what is left; then each message stands there once."""
    second = runner(environment, "never", tmp / "never")
    try:

        async def done() -> bool:
            rows = await deliveries(line.world)
            return bool(rows) and all(row.state == "done" for row in rows)

        await until(done, START_S)
    finally:
        second.kill()
        await asyncio.to_thread(second.wait, 10)
    found = [m.wamid for m in await line.messages()]
    assert len(found) == len(set(found))
    assert wamids <= set(found)
    told = await effects(line.world, "conversations.message_received")
    assert len(told) == len(found)
    assert (await line.conversations())[0].unread_count == len(found)


@pytest.mark.parametrize("point", ["taken", "applied", "committed"])
async def test_a_worker_killed_anywhere_applies_a_delivery_once(
    world: World, anonymous: httpx.AsyncClient, environment: dict[str, str], tmp_path: Path,
    point: str,
) -> None:  # fmt: skip
    line = await make_line(world)
    messages = [line.message() for _ in range(3)]
    await line.deliver(anonymous, line.change(messages=messages))
    first = runner(environment, point, tmp_path / "died")
    try:
        assert await asyncio.to_thread(first.wait, START_S) == -9
    finally:
        first.kill()
    assert len(await line.messages()) == (3 if point == "committed" else 0)
    await processed(line, environment, {m["id"] for m in messages}, tmp_path)


async def test_a_server_killed_under_load_loses_nothing_that_it_acknowledged(
    world: World, environment: dict[str, str], tmp_path: Path
) -> None:
    line = await make_line(world)
    server = ServerProcess(environment)
    await server.start()
    acknowledged: set[str] = set()

    async def send(client: httpx.AsyncClient) -> None:
        while True:
            message = line.message()
            body = envelope(line.entry(line.change(messages=[message])))
            headers = {"X-Hub-Signature-256": signed(line.secret, body)}
            answer = await client.post(f"{server.url}{URL}", content=body, headers=headers)
            if answer.status_code == 200:
                acknowledged.add(message["id"])

    async with httpx.AsyncClient(timeout=5) as client:
        senders = [asyncio.create_task(send(client)) for _ in range(6)]
        await until(lambda: len(acknowledged) >= 40, START_S)
        server.kill()
        await asyncio.gather(*senders, return_exceptions=True)
    assert len(acknowledged) >= 40
    await processed(line, environment, acknowledged, tmp_path)
