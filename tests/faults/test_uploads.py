"""The server is killed between storing bytes and committing that they are there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import httpx
import pytest
from sqlalchemy import select

from app.core.clock import now
from app.kernel.files.models import StoredFile
from app.kernel.files.service import FileService
from app.kernel.usage.models import UsageCounter
from tests.factories.images import image
from tests.factories.tenants import World
from tests.faults.server import ServerProcess

FILES = "/api/v1/admin/files"


@pytest.fixture
async def server(environment: dict[str, str]) -> AsyncIterator[ServerProcess]:
    process = ServerProcess(environment)
    await process.start()
    yield process
    process.kill()


def _on_disk(world: World) -> list[str]:
    folder = world.runtime.settings.media_root / "t" / str(world.tenant.id)
    return sorted(p.name for p in folder.glob("*"))


async def _counted(world: World) -> tuple[list[str], int]:
    async with world.work() as work:
        states = (await work.session.scalars(select(StoredFile.state))).all()
        used = select(UsageCounter.used).where(UsageCounter.metric == "storage_bytes")
        return list(states), await work.session.scalar(used) or 0


async def _upload(server: ServerProcess, world: World) -> httpx.Response:
    headers = {"X-Tenant": world.tenant.slug, "Authorization": f"Bearer {world.owner.token}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=20) as client:
        return await client.post(FILES, files={"file": ("a.jpg", image("JPEG"), "image/jpeg")})


async def _killed_half_way(
    server: ServerProcess, world: World, environment: dict[str, str]
) -> None:
    """Stop an upload where its bytes are stored and not yet committed, and kill the server."""
    locker = await asyncpg.connect(environment["DATABASE_URL"])
    # The transaction that says "stored" writes an audit line: there it waits.
    barrier = locker.transaction()
    await barrier.start()
    await locker.execute("LOCK TABLE audit_entries IN SHARE ROW EXCLUSIVE MODE")
    sending = asyncio.create_task(_upload(server, world))
    for _ in range(400):
        # A side file is one still being written: it takes its name when it is whole.
        if len([name for name in _on_disk(world) if not name.startswith(".")]) == 4:
            break
        await asyncio.sleep(0.01)
    server.kill()
    with pytest.raises(httpx.HTTPError):
        await sending
    await barrier.rollback()
    await locker.close()
    assert len(_on_disk(world)) == 4
    states, used = await _counted(world)
    assert (states, used > 0) == (["uploading"], True), "half an upload, and it counts"


async def test_what_a_killed_server_left_is_completed_by_the_next_try(
    server: ServerProcess, world: World, environment: dict[str, str]
) -> None:
    await _killed_half_way(server, world, environment)
    _, used = await _counted(world)
    await server.start()
    async with world.work() as work:
        too_young = await FileService(work).collect(now() - timedelta(hours=1), 10)
    assert too_young == (0, 0)
    again = await _upload(server, world)
    assert again.status_code == 201, again.text
    assert await _counted(world) == (["stored"], used), "counted once"
    assert len(_on_disk(world)) == 4


async def test_what_a_killed_server_left_is_removed_by_the_loop(
    server: ServerProcess, world: World, environment: dict[str, str]
) -> None:
    await _killed_half_way(server, world, environment)
    async with world.work() as work:
        file = (await work.session.scalars(select(StoredFile))).one()
        file.touched_at = now() - timedelta(hours=2)
    async with world.runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")  # what other tests left for a worker to do
    worker = ServerProcess(environment, MEDIA_ORPHAN_HOURS="1", WORKER_IN_PROCESS="true")
    await worker.start()
    try:
        for _ in range(200):
            if await _counted(world) == ([], 0) and not _on_disk(world):
                break
            await asyncio.sleep(0.1)
    finally:
        worker.kill()
    assert await _counted(world) == ([], 0)
    assert _on_disk(world) == []
