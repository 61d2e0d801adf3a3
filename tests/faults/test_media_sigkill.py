"""Killed at named points of a download: the file is there once, and no bytes without a row."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from app.conversations.inbox.models import MessageMedia
from app.core.clock import now
from app.kernel.files.jobs import clean, erase
from app.kernel.files.models import StoredFile
from app.kernel.jobs.service import JobContext
from tests.conftest import ROOT
from tests.conversations.media.vendor import PDF, VOICE, Vendor
from tests.factories.conversations import at_sandbox, make_chat
from tests.factories.tenants import World
from tests.sandbox.server import SandboxServer, http, sandbox, sandbox_url

__all__ = ["http", "sandbox", "sandbox_url"]
START_S = 90


def start(environment: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own program, no shell
        [sys.executable, "-m", "tests.faults.media_runner", *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.timeout(240)
@pytest.mark.parametrize("point", ["reading", "stored", "kept"])
async def test_a_download_that_is_killed_leaves_one_file_and_nothing_else(
    world: World, environment: dict[str, str], sandbox: SandboxServer, tmp_path: Path, point: str
) -> None:
    async with world.runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")
    vendor = Vendor(await make_chat(world), sandbox, at_sandbox(world.runtime, sandbox.url))
    voice = await vendor.brings("audio", VOICE, "audio/ogg")
    menu = await vendor.brings("document", PDF, "application/pdf")
    await sandbox.put("whatsapp", media_slow_ms=20)
    wire = environment | {
        "WHATSAPP_GRAPH_BASE_URL": f"{sandbox.url}/graph",
        "MEDIA_ROOT": str(tmp_path / "media"),
    }
    words = (point, str(tmp_path / "died"))
    worker = start(wire, *words)
    try:
        assert await asyncio.to_thread(worker.wait, START_S) == -9
    finally:
        worker.kill()
        await asyncio.to_thread(worker.wait, 10)
    assert {(await vendor.row(m)).state for m in (voice, menu)} <= {"pending", "ready"}
    assert "pending" in {(await vendor.row(m)).state for m in (voice, menu)}
    worker = start(wire, *words)
    try:
        for message_id in (voice, menu):
            assert (await vendor.settled(message_id, START_S)).state == "ready"
    finally:
        worker.kill()
        await asyncio.to_thread(worker.wait, 10)
    files = await vendor.files()
    assert sorted(file.size_bytes for file in files) == sorted([len(VOICE), len(PDF)])
    assert {file.state for file in files} == {"stored"}
    kept = {(await vendor.row(m)).stored_file_id for m in (voice, menu)}
    assert kept == {file.id for file in files}
    on_disk = {p.name for p in (tmp_path / "media").rglob("*") if p.is_file()}
    assert on_disk == {Path(file.key).name for file in files}, "no bytes without a row"
    await _cleaned(world, files)
    assert await vendor.files() == [], "and what the messages let go is removed"


async def _cleaned(world: World, files: list[StoredFile]) -> None:
    async with world.work() as work:
        past = now() - timedelta(days=9)
        await work.session.execute(update(StoredFile).values(touched_at=past))
    job = JobContext(world.runtime, world.work, world.tenant.id, {}, 1)
    await clean(job)
    async with world.work() as work:
        held = await work.session.get(StoredFile, files[0].id)
        assert held is not None
        assert held.state == "stored", "what a message holds is left alone"
        gone = update(MessageMedia).values(stored_file_id=None, state="expired")
        await work.session.execute(gone)
    await clean(job)
    ids = [str(file.id) for file in files]
    await erase(JobContext(world.runtime, world.work, world.tenant.id, {"file_ids": ids}, 1))
