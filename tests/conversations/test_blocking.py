"""Who is blocked here is blocked at the vendor, and let back in; what it refuses is noted."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import select

from app.conversations.inbox import jobs
from app.kernel.audit.models import AuditEntry
from app.kernel.contacts.models import ContactIdentity
from app.kernel.jobs.service import Handler
from app.kernel.merging.service import MergeService
from app.kernel.work import Runtime
from tests.factories.conversations import Chat, at_sandbox, make_chat
from tests.factories.tenants import World
from tests.kernel.queue_probe import working
from tests.sandbox.server import SandboxServer, until

HANDLERS: dict[str, Handler] = {jobs.FOLLOW_BLOCK: jobs.follow_block}


@pytest.fixture
async def chat(world: World) -> Chat:
    return await make_chat(world)


@pytest.fixture
def here(runtime: Runtime, sandbox: SandboxServer) -> Runtime:
    return at_sandbox(runtime, sandbox.url)


async def block(owner: httpx.AsyncClient, chat: Chat, is_blocked: bool) -> None:
    url = f"/api/v1/contacts/{chat.contact_id}"
    answer = await owner.patch(url, json={"is_blocked": is_blocked})
    assert answer.status_code == 200, answer.text


async def asked(sandbox: SandboxServer) -> list[dict[str, Any]]:
    """Calls of the edge, the oldest first."""
    found = await sandbox.requests(vendor="whatsapp", limit="100")
    return [r for r in reversed(found) if str(r["path"]).endswith("/block_users")]


async def test_a_block_and_its_end_reach_the_vendor_on_every_number(
    chat: Chat, here: Runtime, owner: httpx.AsyncClient, sandbox: SandboxServer
) -> None:
    await make_chat(chat.world)  # Somebody else's, on another number.

    async def calls(count: int) -> list[dict[str, Any]]:
        async def done() -> bool:
            return len(await asked(sandbox)) >= count

        await until(done, 15)
        return await asked(sandbox)

    async with working(here, HANDLERS):
        await block(owner, chat, True)
        await calls(1)
        await block(owner, chat, True)
        await block(owner, chat, False)
        found = await calls(2)
    assert [r["method"] for r in found] == ["POST", "DELETE"], "the same again asks nothing"
    people = [{"user": chat.phone.removeprefix("+")}]
    assert [r["body"]["block_users"] for r in found] == [people, people]


async def test_what_the_vendor_refuses_is_noted_and_the_block_stands_here(
    chat: Chat, here: Runtime, owner: httpx.AsyncClient, sandbox: SandboxServer, world: World
) -> None:
    await sandbox.put("whatsapp/knobs", error={"code": "131009", "times": 1})
    noted = select(AuditEntry.facts).where(AuditEntry.action == "contact.block_refused")

    async def facts() -> list[Any]:
        async with world.work() as work:
            return list(await work.session.scalars(noted))

    async def done() -> bool:
        return bool(await facts())

    async with working(here, HANDLERS):
        await block(owner, chat, True)
        await until(done, 15)
    [found] = await facts()
    assert (found["number_id"], found["code"]) == (str(chat.number_id), "131009")
    contact = (await owner.get(f"/api/v1/contacts/{chat.contact_id}")).json()
    assert contact["is_blocked"] is True


async def test_a_merge_with_somebody_blocked_blocks_both_and_undone_frees_one(
    chat: Chat, here: Runtime, owner: httpx.AsyncClient, sandbox: SandboxServer, world: World
) -> None:
    blocked = await make_chat(world, number_id=chat.number_id)
    await _written_as(world, chat, blocked)

    async def calls(count: int) -> list[tuple[str, str]]:
        async def done() -> bool:
            return len(await asked(sandbox)) >= count

        await until(done, 15)
        found = await asked(sandbox)
        return [(r["method"], u["user"]) for r in found for u in r["body"]["block_users"]]

    ours, theirs = (c.phone.removeprefix("+") for c in (chat, blocked))
    async with working(here, HANDLERS):
        await block(owner, blocked, True)
        assert await calls(1) == [("POST", theirs)]
        async with world.work() as work:
            merge = await MergeService(work).merge(chat.contact_id, blocked.contact_id, "twins")
        assert sorted((await calls(3))[1:]) == sorted([("POST", ours), ("POST", theirs)])
        async with world.work() as work:
            await MergeService(work).undo(chat.contact_id, merge.id)
        assert (await calls(4))[3:] == [("DELETE", ours)]


async def _written_as(world: World, *chats: Chat) -> None:
    """The vendor knows each by the number they wrote from."""
    async with world.work() as work:
        for one in chats:
            work.session.add(
                ContactIdentity(
                    contact_id=one.contact_id, kind="wa_id", value=one.phone.removeprefix("+")
                )
            )
