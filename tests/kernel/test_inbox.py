"""The inbox's own promises: stored before answered, processed once, whatever is killed."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from app.core.clock import now
from app.core.problems import TooLarge
from app.kernel.inbox.jobs import PROCESS, process
from app.kernel.inbox.models import InboxMessage, InboxReceipt
from app.kernel.inbox.service import receive, sweep
from app.kernel.jobs.service import MAX_DELIVERIES, JobContext
from app.kernel.work import Actor, Runtime, unit_of_work
from tests.factories.tenants import World
from tests.kernel.inbox_runner import Mortal, with_mortal
from tests.kernel.queue_probe import ROOT, effects
from tests.sandbox.server import until


def notice(world: World, marker: Path, die: str = "never") -> bytes:
    told = {"tenant": str(world.tenant.id), "marker": str(marker), "die": die}
    return json.dumps(told | {"id": f"evt-{secrets.token_hex(8)}"}).encode()


async def chunks(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), 50):
        yield body[at : at + 50]


async def stored(runtime: Runtime, body: bytes) -> InboxMessage:
    async with runtime.database.system_session() as session:
        wanted = json.loads(body)["id"]
        found = await session.scalars(select(InboxMessage).where(InboxMessage.event_id == wanted))
        return found.one()


@pytest.mark.parametrize("point", ["before", "inside", "after"])
async def test_a_worker_killed_anywhere_leaves_one_effect(
    world: World, runtime: Runtime, environment: dict[str, str], tmp_path: Path, point: str
) -> None:
    """SIGKILL between store and processing, inside the effect's transaction, and right after it."""
    marker = tmp_path / "died"
    body = notice(world, marker, point)
    mortal = with_mortal(runtime)
    assert await receive(mortal, Mortal(), {}, chunks(body))
    assert (await stored(runtime, body)).state == "pending"

    async def died(process: subprocess.Popen[bytes]) -> None:
        await until(lambda: process.poll() is not None, 30)

    def runner() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.kernel.inbox_runner"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    first = runner()
    try:
        await died(first)
    finally:
        first.kill()
    assert first.wait() == -signal.SIGKILL
    assert marker.exists()
    assert len(await effects(world)) == (1 if point == "after" else 0)
    second = runner()
    try:

        async def done() -> bool:
            return (await stored(runtime, body)).state == "done"

        await until(done, 40)
    finally:
        second.kill()
        second.wait()
    assert [e["event_id"] for e in await effects(world)] == [json.loads(body)["id"]]
    assert (await stored(runtime, body)).attempts == 2


async def test_a_notice_is_stored_with_its_exact_bytes_or_not_at_all(
    world: World, runtime: Runtime, tmp_path: Path
) -> None:
    body = notice(world, tmp_path / "m") + b"  \n"
    answers = await asyncio.gather(
        *(receive(runtime, Mortal(), {}, chunks(body)) for _ in range(10))
    )
    assert sorted(answers) == [False] * 9 + [True]
    assert (await stored(runtime, body)).body == body
    big = body + b" " * Mortal.max_bytes
    with pytest.raises(TooLarge):
        await receive(runtime, Mortal(), {}, chunks(big))

    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("a declared length is refused before a byte is read")
        yield b""

    with pytest.raises(TooLarge):
        await receive(runtime, Mortal(), {"content-length": "10001"}, never())


async def test_a_notice_that_kills_every_worker_shows_as_dead(
    world: World, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, mortal = notice(world, tmp_path / "m"), with_mortal(runtime)
    await receive(mortal, Mortal(), {}, chunks(body))
    kept = await stored(runtime, body)

    def job(delivery: int) -> JobContext:
        works = lambda: unit_of_work(mortal, world.tenant, Actor("job", "tests"))  # noqa: E731
        payload = {"message_id": str(kept.id)}
        return JobContext(mortal, works, world.tenant.id, payload, delivery)

    with monkeypatch.context() as patch:

        async def torn(*_: object) -> None:
            raise asyncio.CancelledError

        patch.setattr(Mortal, "handle", torn)
        with pytest.raises(asyncio.CancelledError):
            await process(job(MAX_DELIVERIES))
    kept = await stored(runtime, body)
    assert (kept.state, kept.last_error) == ("dead", "it ended the worker each time")
    await process(job(1))
    kept = await stored(runtime, body)
    assert (kept.state, kept.last_error, kept.attempts) == ("done", None, 2)
    await process(job(1))
    assert len(await effects(world)) == 1


async def test_old_notices_are_forgotten_and_waiting_ones_kept(
    world: World, runtime: Runtime, tmp_path: Path
) -> None:
    bodies = [notice(world, tmp_path / "m") for _ in range(4)]
    for body in bodies:
        await receive(runtime, Mortal(), {}, chunks(body))
    ids = [(await stored(runtime, body)).id for body in bodies]
    ages = [("done", 31), ("done", 29), ("pending", 31), ("dead", 91)]
    async with runtime.database.system_session(world.tenant.id) as session:
        for id_, (state, days) in zip(ids, ages, strict=True):
            values = {"state": state, "created_at": now() - timedelta(days=days)}
            await session.execute(
                update(InboxMessage).where(InboxMessage.id == id_).values(**values)
            )
            session.add(InboxReceipt(id=id_))
        await session.commit()
    runtime.caches.pop("inbox.sweep_at", None)
    assert await sweep(runtime) >= 2
    assert await sweep(runtime) == 0, "once an hour"
    async with runtime.database.system_session() as session:
        left = await session.scalars(select(InboxMessage.id).where(InboxMessage.id.in_(ids)))
        receipts = await session.scalars(select(InboxReceipt.id).where(InboxReceipt.id.in_(ids)))
        assert set(left) == set(receipts) == {ids[1], ids[2]}
    assert PROCESS == "kernel.inbox.process"
