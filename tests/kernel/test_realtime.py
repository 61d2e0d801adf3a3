"""The live stream: complete, resumable, capped, and holding nothing while it waits."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from uuid import UUID

import httpx
import pytest
from sqlalchemy.pool import QueuePool

from app.contracts.commerce import CatalogChanged
from app.core.ids import new_id
from app.core.settings import Settings
from app.kernel.realtime.service import PER_USER
from app.main import Largo, create_app
from tests.conftest import ROOT, serving
from tests.factories.tenants import World
from tests.kernel.event_listener import EVENTS, Listener, listening

CHANGED = "commerce.catalog_changed"


async def _tell(world: World, count: int = 1) -> list[str]:
    """Commit that many events, each in a Work of its own; their item ids."""
    ids = [new_id() for _ in range(count)]
    for item_id in ids:
        await _commit(world, item_id)
    return [str(i) for i in ids]


async def _commit(world: World, item_id: UUID, linger_s: float = 0) -> None:
    async with world.work() as work:
        work.publish(
            CatalogChanged(kind="product", change="updated", item_id=item_id, item_name="Massa")
        )
        if linger_s:
            await work.raw()
            await asyncio.sleep(linger_s)


def _items(listener: Listener) -> list[str]:
    return [f.data["item_id"] for f in listener.of(CHANGED)]


def _checked_out(app: Largo) -> int:
    database = app.runtime.database
    pools = [e.pool for e in (database.tenant_engine, database.system_engine)]
    assert all(isinstance(p, QueuePool) for p in pools)
    return sum(p.checkedout() for p in pools if isinstance(p, QueuePool))


async def test_events_arrive_with_their_ids(app: Largo, world: World) -> None:
    async with listening(app, world.owner.token) as listener:
        await listener.until(lambda: bool(listener.of("hello")))
        assert listener.status == 200
        assert listener.headers["content-type"].startswith("text/event-stream")
        assert listener.headers["x-accel-buffering"] == "no"
        assert "no-cache" in listener.headers["cache-control"]
        told = await _tell(world, 3)
        await listener.until(lambda: len(listener.of(CHANGED)) == 3)
        assert _items(listener) == told
        ids = [f.id or 0 for f in listener.of(CHANGED)]
        assert ids == sorted(set(ids))


async def test_other_tenants_and_other_topics_are_silent(
    app: Largo, world: World, stranger: World
) -> None:
    async with (
        listening(app, world.owner.token, topics="catalog") as mine,
        listening(app, world.owner.token, topics="orders") as orders,
        listening(app, stranger.owner.token) as theirs,
    ):
        for listener in (mine, orders, theirs):
            await listener.until(lambda heard=listener: bool(heard.of("hello")))  # type: ignore[misc]
        await _tell(world, 2)
        await mine.until(lambda: len(mine.of(CHANGED)) == 2)
        await asyncio.sleep(0.2)
        assert orders.of(CHANGED) == []
        assert theirs.of(CHANGED) == []


@pytest.mark.parametrize("way", ["header", "query"])
async def test_resume_brings_what_was_missed_and_nothing_else(
    app: Largo, world: World, way: str
) -> None:
    async with listening(app, world.owner.token) as listener:
        await listener.until(lambda: bool(listener.of("hello")))
        await _tell(world, 2)
        await listener.until(lambda: len(listener.of(CHANGED)) == 2)
        cursor = listener.of(CHANGED)[-1].id
    missed = await _tell(world, 250)
    again = (
        listening(app, world.owner.token, last_event_id=str(cursor))
        if way == "header"
        else listening(app, world.owner.token, after=cursor)
    )
    async with again as listener:
        await listener.until(lambda: len(listener.of(CHANGED)) == 250)
        fresh = await _tell(world, 1)
        await listener.until(lambda: len(listener.of(CHANGED)) == 251)
        assert _items(listener) == missed + fresh
        assert listener.of("resync") == []


async def test_cursor_from_the_future_asks_to_start_over(app: Largo, world: World) -> None:
    await _tell(world, 2)
    async with listening(app, world.owner.token, last_event_id=str(2**40)) as listener:
        await listener.until(lambda: bool(listener.of("hello")))
        assert [f.event for f in listener.frames] == ["resync", "hello"]
        assert listener.of(CHANGED) == []
        told = await _tell(world, 1)
        await listener.until(lambda: bool(listener.of(CHANGED)))
        assert _items(listener) == told


async def test_racing_commits_are_neither_missed_nor_doubled(app: Largo, world: World) -> None:
    """Writers overlap and linger; the reader comes and goes, resuming by its last id."""
    dice = random.Random(7)
    told = [new_id() for _ in range(120)]
    gate = asyncio.Semaphore(8)

    async def write(item_id: UUID) -> None:
        async with gate:
            await _commit(world, item_id, dice.choice((0, 0.002, 0.02)))

    heard: list[tuple[int, str]] = []
    writers = asyncio.gather(*(write(i) for i in told))
    cursor = 0
    async with asyncio.timeout(60):
        while len(heard) < len(told):
            async with listening(app, world.owner.token, after=cursor) as listener:
                enough = dice.randrange(1, 30)
                with contextlib.suppress(TimeoutError):
                    await listener.until(lambda n=enough: len(_items(listener)) >= n, 0.5)  # type: ignore[misc]
                got = [(f.id or 0, f.data["item_id"]) for f in listener.of(CHANGED)]
            heard += got
            cursor = got[-1][0] if got else cursor
            assert len(heard) <= len(told), "something came twice"
    await writers
    assert sorted(item for _, item in heard) == sorted(map(str, told))
    numbers = [number for number, _ in heard]
    assert numbers == sorted(set(numbers))


async def test_caps_answer_429_and_leaving_frees_the_place(
    app: Largo, world: World, owner: httpx.AsyncClient
) -> None:
    async with AsyncExitStack() as stack:
        open_ones = [
            await stack.enter_async_context(listening(app, world.owner.token))
            for _ in range(PER_USER)
        ]
        refused = await owner.get(EVENTS)
        assert (refused.status_code, refused.json()["code"]) == (429, "too-many-streams")
        assert int(refused.headers["retry-after"]) >= 1
        colleague = await world.member("agent")
        async with listening(app, colleague.token) as theirs:
            assert theirs.status == 200
        await open_ones[0].leave()
        async with listening(app, world.owner.token) as again:
            assert again.status == 200
    streams = app.api.state.streams
    assert streams.by_user[world.owner.id] == 0
    assert streams.by_tenant[world.tenant.id] == 0


async def test_needs_a_session(shopper: httpx.AsyncClient) -> None:
    assert (await shopper.get(EVENTS)).status_code == 401


async def test_ended_session_ends_the_stream(
    app: Largo, world: World, owner: httpx.AsyncClient
) -> None:
    async with listening(app, world.owner.token) as listener:
        await listener.until(lambda: bool(listener.of("hello")))
        assert (await owner.post("/api/v1/auth/logout")).status_code == 204
        begun = time.monotonic()
        await listener.ended(4)
        assert time.monotonic() - begun < 2.5
        assert listener.frames[-1].event == "reconnect"
    async with listening(app, world.owner.token) as refused:
        assert refused.status == 401


async def test_open_streams_hold_no_connection(
    app: Largo, world: World, owner: httpx.AsyncClient
) -> None:
    wanted = app.runtime.settings.database_pool_size + 5
    members = [await world.member("agent") for _ in range(-(-wanted // PER_USER))]
    async with AsyncExitStack() as stack:
        open_ones = [
            await stack.enter_async_context(listening(app, members[i // PER_USER].token))
            for i in range(wanted)
        ]
        for listener in open_ones:
            await listener.until(lambda one=listener: bool(one.of("hello")))  # type: ignore[misc]
        await asyncio.sleep(0.2)
        assert _checked_out(app) == 0
        assert (await owner.get("/api/v1/admin/users")).status_code == 200
        told = await _tell(world, 1)
        for listener in open_ones:
            await listener.until(lambda one=listener: bool(one.of(CHANGED)))  # type: ignore[misc]
            assert _items(listener) == told
        await asyncio.sleep(0.2)
        assert _checked_out(app) == 0


async def test_drain_tells_clients_to_come_back(config: Settings, world: World) -> None:
    async with serving(create_app(config)) as app, listening(app, world.owner.token) as listener:
        await listener.until(lambda: bool(listener.of("hello")))
        app.api.state.streams.draining.set()
        await listener.ended(1)
        assert listener.frames[-1].event == "reconnect"


@pytest.fixture
def server(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A real server process on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "app.main:app", "--port", str(port)]
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [*command, "--log-level", "warning"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


async def test_sigterm_is_quick_with_open_streams(
    server: tuple[subprocess.Popen[bytes], str], world: World
) -> None:
    process, base = server
    headers = {"Authorization": f"Bearer {world.owner.token}"}
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=10) as client:
        async with asyncio.timeout(20):
            while True:
                try:
                    await client.get("/health")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
        async with client.stream("GET", EVENTS) as answer:
            chunks = answer.aiter_bytes()
            assert b"event: hello" in await anext(chunks)
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            rest = b"".join([chunk async for chunk in chunks])
            assert b"event: reconnect" in rest
    await asyncio.to_thread(process.wait, 10)
    assert time.monotonic() - begun < 3
