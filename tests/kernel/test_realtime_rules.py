"""What a stream refuses, forgets and never holds: grants, sessions, old cursors, the stalled."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.contracts.commerce import CatalogChanged
from app.contracts.events import Event
from app.core.ids import new_id
from app.core.settings import Settings
from app.kernel.realtime.rules import RETENTION, TOPICS, hears, is_lost
from app.kernel.realtime.service import PER_USER, Pace
from app.kernel.retention import prune
from app.main import Largo, create_app
from tests.conftest import serving
from tests.factories.tenants import World
from tests.faults.server import ServerProcess
from tests.kernel.event_listener import EVENTS, listening

CHANGED = "commerce.catalog_changed"


async def _tell(world: World) -> str:
    item_id = new_id()
    async with world.work() as work:
        work.publish(
            CatalogChanged(kind="product", change="updated", item_id=item_id, item_name="Massa")
        )
    return str(item_id)


def _events(kind: type[Event]) -> list[type[Event]]:
    return [kind, *(found for sub in kind.__subclasses__() for found in _events(sub))]


def test_every_topic_of_an_event_names_who_may_hear_it(app: Largo) -> None:
    told = {kind.topic for kind in _events(Event) if kind.topic is not None}
    assert told <= TOPICS.keys(), "a topic without a grant is heard by nobody"


@pytest.mark.parametrize(
    ("cursor", "oldest", "head", "pruned", "lost"),
    [
        (7, 5, 9, True, False),
        (5, 5, 9, True, False),
        (4, 5, 9, False, True),
        (10, 5, 9, False, True),
        (0, 5, 9, False, False),
        (0, 5, 9, True, True),
        (0, 0, 0, True, False),
    ],
)
def test_which_cursors_are_lost(
    cursor: int, oldest: int, head: int, *, pruned: bool, lost: bool
) -> None:
    assert is_lost(cursor, oldest, head, may_be_pruned=pruned) is lost


def test_private_topic_is_heard_by_its_member_alone() -> None:
    me, other = new_id(), new_id()
    mine = frozenset({"notices", "team"})
    assert hears(f"notices:{me}", me, mine)
    assert hears("team", me, mine)
    assert not hears(f"notices:{me}", other, mine)
    assert not hears("notices:", me, mine), "a row of nobody's"
    assert not hears(f"notices:{me}", me, frozenset({"team"})), "not asked for"
    assert not hears(f"billing:{me}", me, mine), "private does not mean allowed"


async def test_member_hears_only_what_the_grants_open(app: Largo, world: World) -> None:
    viewer = await world.member("viewer")
    bare = await world.member("agent")  # agents may read the catalogue, not the stock
    async with listening(app, viewer.token) as all_topics:
        await all_topics.until(lambda: bool(all_topics.of("hello")))
        await _tell(world)
        await all_topics.until(lambda: bool(all_topics.of(CHANGED)))
    async with listening(app, bare.token, topics="inventory") as refused:
        assert refused.status == 403
        assert b"action-not-allowed" in refused.body
    async with listening(app, bare.token, topics="gossip") as unknown:
        assert unknown.status == 422
    streams = app.api.state.streams
    assert streams.by_user[bare.id] == 0, "a refusal takes no place"


async def test_module_taken_away_silences_the_stream(app: Largo, world: World) -> None:
    async with listening(app, world.owner.token) as listener:
        await listener.until(lambda: bool(listener.of("hello")))
        async with app.runtime.database.system_driver() as driver:
            await driver.execute("UPDATE tenants SET modules = '{}' WHERE id = $1", world.tenant.id)
        await app.runtime.bus.ring("tenants", str(world.tenant.id))
        await asyncio.sleep(1)
        await _tell(world)
        await asyncio.sleep(0.3)
        assert listener.of(CHANGED) == []


async def test_pruned_cursor_asks_to_start_over(app: Largo, world: World) -> None:
    for _ in range(4):
        await _tell(world)
    async with app.runtime.database.system_driver() as driver:
        numbers = [
            r["seq"]
            for r in await driver.fetch(
                "SELECT seq FROM stream_events WHERE tenant_id = $1 ORDER BY seq", world.tenant.id
            )
        ]
        await driver.execute(
            "UPDATE stream_events SET created_at = now() - $3::interval "
            "WHERE tenant_id = $1 AND seq < $2",
            world.tenant.id, numbers[2], RETENTION + timedelta(minutes=1),
        )  # fmt: skip
    deleted = await prune(app.runtime)
    assert deleted["stream_events"] >= 2
    async with listening(app, world.owner.token, last_event_id=str(numbers[0])) as late:
        await late.until(lambda: bool(late.of("hello")))
        assert [f.event for f in late.frames] == ["resync", "hello"]
        assert late.of("hello")[0].data["cursor"] == numbers[3]
    async with listening(app, world.owner.token, last_event_id=str(numbers[2])) as kept:
        await kept.until(lambda: bool(kept.of(CHANGED)))
        assert [f.id for f in kept.of(CHANGED)] == [numbers[3]]
        assert kept.of("resync") == []


async def test_newest_event_of_a_tenant_is_never_pruned(app: Largo, world: World) -> None:
    await _tell(world)
    async with app.runtime.database.system_driver() as driver:
        await driver.execute(
            "UPDATE stream_events SET created_at = now() - interval '9 days' WHERE tenant_id = $1",
            world.tenant.id,
        )
        await prune(app.runtime)
        left = await driver.fetchval(
            "SELECT count(*) FROM stream_events WHERE tenant_id = $1", world.tenant.id
        )
    assert left == 1


async def test_open_streams_hold_no_session_in_postgres(app: Largo, world: World) -> None:
    members = [await world.member("agent") for _ in range(3)]
    async with AsyncExitStack() as stack:
        for member in members:
            for _ in range(PER_USER):
                listener = await stack.enter_async_context(listening(app, member.token))
                await listener.until(lambda one=listener: bool(one.of("hello")))  # type: ignore[misc]
        seen = []
        async with app.runtime.database.system_driver() as driver:
            for _ in range(20):
                await asyncio.sleep(0.05)
                seen.append(
                    await driver.fetchval(
                        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                        "AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
                    )
                )
        assert seen == [0] * 20


async def test_heartbeat_moves_the_cursor_past_the_unheard(config: Settings, world: World) -> None:
    async with serving(create_app(config)) as app:
        app.api.state.streams.pace = Pace(ping=0.2)
        async with listening(app, world.owner.token, topics="orders") as listener:
            await listener.until(lambda: bool(listener.of("hello")))
            await _tell(world)
            before = listener.of("hello")[0].id or 0
            await listener.until(lambda: (listener.quiet_id or 0) > before)
            assert listener.of(CHANGED) == []


async def test_stalled_client_is_let_go(config: Settings, world: World) -> None:
    """It never takes a byte after the head: nobody else waits for it, and its place is freed."""
    async with serving(create_app(config)) as app:
        streams = app.api.state.streams
        streams.pace = Pace(send_timeout=0.3)
        stalled = asyncio.Event()

        async with listening(app, world.owner.token) as listener:

            async def never(message: Any) -> None:
                stalled.set()
                await asyncio.Event().wait()

            await listener.until(lambda: bool(listener.of("hello")))
            listener.stall = never
            await _tell(world)
            await asyncio.wait_for(stalled.wait(), 3)
            await listener.ended(2)
        assert streams.by_user[world.owner.id] == 0


@pytest.mark.parametrize("bell", [True, False], ids=["rung", "bell lost"])
async def test_revoked_session_dies_within_a_second_in_another_process(
    app: Largo, second_process: ServerProcess, world: World, owner: httpx.AsyncClient, bell: bool
) -> None:
    headers = {"Authorization": f"Bearer {world.owner.token}"}
    async with (
        httpx.AsyncClient(base_url=second_process.url, headers=headers, timeout=10) as client,
        client.stream("GET", EVENTS) as answer,
    ):
        chunks = answer.aiter_bytes()
        assert b"event: hello" in await anext(chunks)
        if bell:
            assert (await owner.post("/api/v1/auth/logout")).status_code == 204
        else:
            async with app.runtime.database.system_driver() as driver:
                await driver.execute(
                    "UPDATE user_sessions SET revoked_at = now() WHERE tenant_id = $1",
                    world.tenant.id,
                )
        begun = time.monotonic()
        rest = b"".join([chunk async for chunk in chunks])
        took = time.monotonic() - begun
        assert b"event: reconnect" in rest
        assert took < 1
        assert (await client.get("/api/v1/auth/me")).status_code == 401
