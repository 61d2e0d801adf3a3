"""The window of free words is of a person and a number, not of a conversation."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import httpx
import pytest

from app.conversations.sending.rules import WINDOW
from app.core.clock import now
from app.kernel.work import Runtime
from tests.conversations.test_sending import TEXT, send, settled, working
from tests.factories.commerce import key
from tests.factories.conversations import Chat, at_sandbox, make_chat
from tests.factories.tenants import World
from tests.sandbox.server import SandboxServer


@pytest.fixture
def here(runtime: Runtime, sandbox: SandboxServer) -> Runtime:
    return at_sandbox(runtime, sandbox.url)


async def next_thread(owner: httpx.AsyncClient, chat: Chat) -> Chat:
    """Close the conversation and open another with the same person."""
    closed = {"version": 1, "status": "closed"}
    assert (await owner.patch(f"/api/v1/conversations/{chat.id}", json=closed)).is_success
    body = {"contact_id": str(chat.contact_id), "number_id": str(chat.number_id)}
    started = await owner.post("/api/v1/conversations", json=body, headers=key())
    assert started.status_code == 201
    return replace(chat, id=UUID(started.json()["id"]))


async def test_it_stays_open_when_its_conversation_is_closed(
    world: World, owner: httpx.AsyncClient, here: Runtime, sandbox: SandboxServer
) -> None:
    first = await make_chat(world, wrote=timedelta(hours=1))
    chat = await next_thread(owner, first)
    assert chat.id != first.id
    shown = (await owner.get(f"/api/v1/conversations/{chat.id}")).json()
    closes = datetime.fromisoformat(shown["window_closes_at"])
    assert timedelta(hours=22.9) < closes - now() < timedelta(hours=23.1)
    await send(owner, chat)
    async with working(here):
        assert [m.status for m in await settled(chat)] == ["accepted"]


async def test_it_closes_in_the_next_conversation_too(
    world: World, owner: httpx.AsyncClient
) -> None:
    chat = await next_thread(owner, await make_chat(world, wrote=WINDOW))
    url = f"/api/v1/conversations/{chat.id}/messages"
    answer = await owner.post(url, json=TEXT, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (409, "conversation-window-closed")
    assert answer.json()["last_inbound_at"] is not None
