"""Killed at named points around a send: no message goes out twice, and we learn how it ended."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from app.conversations.inbox.models import Message
from app.conversations.sending.dispatch import Dispatch
from app.conversations.sending.schemas import TextMessage
from app.conversations.sending.service import Author, SendingService
from tests.conftest import ROOT
from tests.factories.conversations import Chat, make_chat
from tests.factories.tenants import World
from tests.sandbox.server import SandboxServer, http, sandbox, sandbox_url, until

__all__ = ["http", "sandbox", "sandbox_url"]
START_S = 90
"""A process of ours starts in five seconds, on a machine that has nothing else to do."""
MESSAGES = 6


def start(environment: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own program, no shell
        [sys.executable, "-m", "tests.faults.sending_runner", *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


async def owed(world: World) -> Chat:
    async with world.runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")
    chat = await make_chat(world)
    for number in range(MESSAGES):
        async with world.work() as work:
            body = TextMessage(type="text", text=f"mensagem {number}")
            await SendingService(work).queue(chat.id, body, Author("user"))
    return chat


@pytest.mark.timeout(240)
@pytest.mark.parametrize("point", ["taken", "answered", "written"])
async def test_no_message_is_sent_twice(
    world: World, environment: dict[str, str], sandbox: SandboxServer, tmp_path: Path, point: str
) -> None:
    chat = await owed(world)
    vendor = environment | {"WHATSAPP_GRAPH_BASE_URL": f"{sandbox.url}/graph"}
    words = (point, str(tmp_path / "died"))
    worker = start(vendor, *words)
    try:
        assert await asyncio.to_thread(worker.wait, START_S) == -9
    finally:
        worker.kill()
        await asyncio.to_thread(worker.wait, 10)
    worker = start(vendor, *words)

    async def done() -> bool:
        return {m.status for m in await chat.messages()} <= {"accepted", "unknown"}

    try:
        await until(done, START_S)
    finally:
        worker.kill()
        await asyncio.to_thread(worker.wait, 10)
    requests = await sandbox.requests(vendor="whatsapp", limit="500")
    references = [r["body"]["biz_opaque_callback_data"] for r in requests]
    texts = [r["body"]["text"]["body"] for r in requests]
    assert len(set(texts)) == len(texts), "nobody got anything twice"
    unknown = [m for m in await chat.messages() if m.status == "unknown"]
    assert len(unknown) == (0 if point == "written" else 1)
    assert len(texts) == MESSAGES - (1 if point == "taken" else 0)
    if point == "answered":
        [message] = await _settled_by_its_status(chat, requests, references)
        assert message.status == "accepted"


async def _settled_by_its_status(
    chat: Chat, requests: list[dict[str, object]], references: list[str]
) -> list[Message]:
    """The vendor names the attempt and its own id in every status; so do we here."""
    [attempt] = [a for a in await chat.attempts() if a.state == "unknown"]
    request = requests[references.index(str(attempt.id))]
    wamid = request["answer"]["messages"][0]["id"]  # type: ignore[index]
    async with chat.world.work() as work:
        await Dispatch(work).settle(attempt.id, wamid)
    return [m for m in await chat.messages() if m.wamid == wamid]
