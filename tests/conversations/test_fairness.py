"""Replies first and fair shares: two thousand bulk sends of one tenant keep nobody waiting."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from app.conversations.inbox.models import Conversation, Message
from app.conversations.sending.rules import BULK
from app.conversations.sending.service import SEND
from app.core.clock import now
from app.core.ids import new_id
from app.kernel.contacts.models import Contact
from app.kernel.work import Runtime
from tests.factories.conversations import Chat, at_sandbox, make_chat, make_number
from tests.factories.sending import owe, text, workers
from tests.factories.tenants import World
from tests.sandbox.server import SandboxServer, until

BACKLOG = 2000


@pytest.fixture
async def here(world: World, runtime: Runtime, sandbox: SandboxServer) -> Runtime:
    async with runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")
    return at_sandbox(runtime, sandbox.url)


async def backlog(world: World, count: int, **fields: object) -> None:
    """So many bulk messages, each to somebody else, queued as the service queues them."""
    number_id, at = await make_number(world, **fields), now()
    people = [new_id() for _ in range(count)]
    threads = [new_id() for _ in range(count)]
    async with world.work() as work:
        work.session.add_all(
            Contact(id=person, name="Cliente", phone=f"+55119{n:08d}")
            for n, person in enumerate(people)
        )
        await work.session.flush()
        work.session.add_all(
            Conversation(id=thread, contact_id=person, number_id=number_id, last_inbound_at=at)
            for thread, person in zip(threads, people, strict=True)
        )
        await work.session.flush()
        for thread, person in zip(threads, people, strict=True):
            message = Message(
                id=new_id(), conversation_id=thread, number_id=number_id, contact_id=person,
                direction="out", author="campaign", kind="text", text="Novidades",
                content={"body": "Novidades"}, status="queued", provider_at=at,
            )  # fmt: skip
            work.session.add(message)
            work.enqueue(SEND, {"message_id": str(message.id)}, priority=BULK)


async def leaves_after(chat: Chat, sandbox: SandboxServer, words: str) -> float:
    """Seconds from the commit of a reply until the vendor has it."""
    await owe(chat, text(words))
    begun = time.monotonic()

    async def there() -> bool:
        found = await sandbox.requests(vendor="whatsapp", limit="500")
        return any(r["body"]["text"]["body"] == words for r in found)

    await until(there, 20)
    return time.monotonic() - begun


@pytest.mark.timeout(120)
async def test_a_reply_leaves_within_a_second_of_two_thousand_bulk_sends(
    world: World, stranger: World, here: Runtime, sandbox: SandboxServer
) -> None:
    await backlog(world, BACKLOG)
    theirs = await make_chat(stranger)
    ours = await make_chat(world)
    async with workers(here):
        await asyncio.sleep(2)  # the flood is in full swing
        took = [await leaves_after(theirs, sandbox, f"outra loja {n}") for n in range(3)]
        own = [await leaves_after(ours, sandbox, f"a mesma loja {n}") for n in range(3)]
        sent = len(await sandbox.requests(vendor="whatsapp", limit="5000")) - 6
    worst, mine = max(took), max(own)
    print(
        f"\n{BACKLOG} bulk sends queued ({sent} gone): another tenant's reply left after "
        f"{worst:.2f} s at most, the same tenant's after {mine:.2f} s"
    )
    assert 0 < sent < BACKLOG, "they still wait"
    assert worst < 1
    assert mine < 2


async def accepted(runtime: Runtime) -> int:
    async with runtime.database.system_driver() as driver:
        found = "SELECT count(*) FROM messages WHERE status = 'accepted' AND author = 'campaign'"
        return int(await driver.fetchval(found))


@pytest.mark.timeout(120)
async def test_one_worker_sends_a_numbers_flood_at_nearly_the_numbers_pace(
    world: World, here: Runtime, sandbox: SandboxServer
) -> None:
    await sandbox.put("whatsapp", per_second=80)
    before, count = await accepted(here), 480
    await backlog(world, count)

    async def at_least(wanted: int) -> bool:
        return await accepted(here) - before >= wanted

    async with workers(here):
        await until(lambda: at_least(100), 30)  # connected, and the line is full
        begun, first = time.monotonic(), await accepted(here)
        await until(lambda: at_least(count - 50), 60)
        took, gone = time.monotonic() - begun, await accepted(here) - first
        await until(lambda: at_least(count), 30)
    found = await sandbox.requests(vendor="whatsapp", limit="5000")
    verdicts = Counter(r["verdict"] for r in found)
    people = Counter(r["body"]["to"] for r in found if r["verdict"] == "accepted")
    print(f"\none worker, one number: {gone / took:.0f} a second, {verdicts['refused']} x 130429")
    assert len(people) == count
    assert set(people.values()) == {1}, "nobody got anything twice"
    assert gone / took > 25, "60 and more, if nobody else needs the machine"


@pytest.mark.timeout(120)
async def test_two_tenants_floods_of_one_worker_get_equal_shares(
    world: World, stranger: World, here: Runtime, sandbox: SandboxServer
) -> None:
    """The second one comes when the first has all places and all of its line."""
    gone = """
        SELECT count(*) FILTER (WHERE tenant_id = $1), count(*) FILTER (WHERE tenant_id = $2)
        FROM messages WHERE status = 'accepted' AND author = 'campaign'"""

    async def both() -> tuple[int, int]:
        async with here.database.system_driver() as driver:
            [(ours, theirs)] = await driver.fetch(gone, world.tenant.id, stranger.tenant.id)
        return int(ours), int(theirs)

    async def theirs_at_least(wanted: int) -> bool:
        return (await both())[1] >= wanted

    await backlog(world, 500)
    async with workers(here):
        await asyncio.sleep(1)
        await backlog(stranger, 300)
        await until(lambda: theirs_at_least(20), 20)
        before = await both()
        await until(lambda: theirs_at_least(120), 30)
        ours, theirs = (a - b for a, b in zip(await both(), before, strict=True))
    print(f"\nfloods of two tenants, one worker: {ours} and {theirs} in the same time")
    assert ours + before[0] < 500, "both still had some"
    assert min(ours, theirs) >= 0.8 * (ours + theirs) / 2


async def test_a_coexistent_number_keeps_to_twenty_a_second(
    world: World, here: Runtime, sandbox: SandboxServer
) -> None:
    await sandbox.put("whatsapp", per_second=20, pair_limit=45)
    count = 60
    await backlog(world, count, is_coexistent=True)

    async def gone() -> bool:
        verdicts = Counter(r["verdict"] for r in await sandbox.requests(limit="500"))
        return verdicts["accepted"] == count

    async with workers(here, 2):
        begun = time.monotonic()
        await until(gone, 30)
    took = time.monotonic() - begun
    refused = len([r for r in await sandbox.requests(limit="500") if r["verdict"] == "refused"])
    print(f"\n20 a second, two workers: {count / took:.1f} a second, {refused} x 130429")
    assert took > count / 20 - 1
    assert refused <= count // 20, "what is late by chance may meet the next"


async def test_a_conversations_words_keep_their_order_among_workers(
    world: World, here: Runtime, sandbox: SandboxServer
) -> None:
    chats = [await make_chat(world, name=name) for name in ("Ana", "Bia")]
    for n in range(6):
        for chat in chats:
            await owe(chat, text(f"{chat.phone} {n}"))

    async def gone() -> bool:
        return len(await sandbox.requests(vendor="whatsapp", limit="100")) == 12

    async with workers(here, 3):
        await until(gone, 30)
    found = [r["body"]["text"]["body"] for r in await sandbox.requests(limit="100")][::-1]
    for chat in chats:
        mine = [words for words in found if words.startswith(chat.phone)]
        assert mine == [f"{chat.phone} {n}" for n in range(6)]
