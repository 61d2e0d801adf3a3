"""The shared inbox: found, changed once at a time, handed over, snoozed, searched, heard live."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from app.contracts.conversations import ServiceLate
from app.conversations.inbox import jobs
from app.conversations.inbox.models import Conversation
from app.conversations.inbox.repository import ConversationRepository
from app.conversations.inbox.service import InboxService
from app.core.clock import now
from app.kernel.audit.models import AuditEntry
from app.main import Largo
from tests.factories.commerce import key
from tests.factories.conversations import Chat, incoming, make_chat, make_contact, make_number
from tests.factories.tenants import World
from tests.kernel.event_listener import listening

PATH = "/api/v1/conversations"


@pytest.fixture
async def chat(world: World) -> Chat:
    return await make_chat(world, unread_count=2, labels=["entrega"])


async def found(owner: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await owner.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_filters_find_what_they_say(
    chat: Chat, world: World, owner: httpx.AsyncClient, outsider: httpx.AsyncClient
) -> None:
    other = await make_chat(world, name="José Conceição", assignee_id=world.owner.id)
    both = [str(other.id), str(chat.id)]
    assert await found(owner) == both
    for query, expected in (
        ({"query": "conceicao"}, both[:1]),
        ({"is_unread": True}, both[1:]),
        ({"label": "entrega"}, both[1:]),
        ({"assignee_id": world.owner.id}, both[:1]),
        ({"is_unassigned": True}, both[1:]),
        ({"number_id": chat.number_id}, both[1:]),
        ({"contact_id": other.contact_id}, both[:1]),
        ({"status": ["closed", "pending"]}, []),
        ({"is_snoozed": True}, []),
    ):
        assert await found(owner, **query) == expected, query
    assert await found(outsider) == []
    page = (await owner.get(PATH, params={"limit": 1})).json()
    assert [i["contact_name"] for i in page["items"]] == ["José Conceição"]
    rest = await found(owner, limit=1, cursor=page["next_cursor"])
    assert rest == both[1:]


async def test_a_timeline_is_ordered_by_the_vendors_clock_and_read_both_ways(
    chat: Chat, owner: httpx.AsyncClient, outsider: httpx.AsyncClient
) -> None:
    base = now()
    for second in (3, 1, 2, 2, 5, 4):
        await incoming(chat, f"às {second}", base + timedelta(seconds=second))
    url = f"{PATH}/{chat.id}/messages"
    last = (await owner.get(url, params={"limit": 3})).json()
    assert [m["text"] for m in last["items"]] == ["às 3", "às 4", "às 5"]
    before = (await owner.get(url, params={"limit": 9, "before": last["before"]})).json()
    assert [m["text"] for m in before["items"]] == ["às 1", "às 2", "às 2"]
    assert before["before"] is None
    ids = [m["id"] for m in before["items"]]
    assert ids[1] < ids[2], "within a second by arrival"
    after = (await owner.get(url, params={"after": before["after"]})).json()
    assert after["items"] == last["items"]
    assert (await outsider.get(url)).status_code == 404


async def test_starting_finds_the_one_that_is_going_even_at_once(
    world: World, owner: httpx.AsyncClient
) -> None:
    number_id = await make_number(world)
    contact_id, _ = await make_contact(world)
    body = {"contact_id": str(contact_id), "number_id": str(number_id)}
    answers = await asyncio.gather(*(owner.post(PATH, json=body, headers=key()) for _ in range(6)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["id"] for a in answers}) == 1
    async with world.work() as work:
        assert await work.session.scalar(select(func.count()).select_from(Conversation)) == 1
        told = select(func.count()).where(AuditEntry.action == "conversations.opened")
        assert await work.session.scalar(told) == 1


async def test_one_of_two_changes_at_once_is_refused(chat: Chat, owner: httpx.AsyncClient) -> None:
    url = f"{PATH}/{chat.id}"
    answers = await asyncio.gather(
        *(owner.patch(url, json={"version": 1, "priority": p}) for p in ("high", "urgent"))
    )
    assert sorted(a.status_code for a in answers) == [200, 409]
    [lost] = [a.json() for a in answers if a.status_code == 409]
    assert (lost["code"], lost["version"]) == ("conversation-version-conflict", 2)
    await make_chat(chat.world, number_id=chat.number_id)
    closed = await owner.patch(url, json={"version": 2, "status": "closed"})
    assert closed.json()["closed_at"] is not None
    body = {"contact_id": str(chat.contact_id), "number_id": str(chat.number_id)}
    assert (await owner.post(PATH, json=body, headers=key())).json()["id"] != str(chat.id)
    again = await owner.patch(url, json={"version": 3, "status": "open"})
    assert (again.status_code, again.json()["code"]) == (409, "conversation-live-already")
    assert (await chat.row()).status == "closed"


async def test_a_transfer_carries_its_note_and_tells_whom_it_names(
    app: Largo, chat: Chat, world: World, owner: httpx.AsyncClient
) -> None:
    agent = await world.member("agent")
    async with listening(app, agent.token) as listener:
        await listener.until(lambda: bool(listener.of("hello")))
        body = {"assignee_id": str(agent.id), "note": "Pede nota fiscal."}
        answer = await owner.post(f"{PATH}/{chat.id}/assignments", json=body, headers=key())
        assert answer.status_code == 200, answer.text
        assert answer.json()["assignee_id"] == str(agent.id)
        await listener.until(lambda: bool(listener.of("conversations.mentioned")))
        await listener.until(lambda: bool(listener.of("conversations.assigned")))
    [note] = (await owner.get(f"{PATH}/{chat.id}/notes")).json()["items"]
    assert (note["text"], note["mentions"]) == ("Pede nota fiscal.", [str(agent.id)])
    nobody = {"assignee_id": str(chat.id)}
    url = f"{PATH}/{chat.id}/assignments"
    assert (await owner.post(url, json=nobody, headers=key())).status_code == 404
    assert (await chat.row()).assignee_id == agent.id


async def test_what_is_snoozed_wakes_once(chat: Chat, owner: httpx.AsyncClient) -> None:
    until = now() + timedelta(hours=2)
    url = f"{PATH}/{chat.id}/snooze"
    past = await owner.put(url, json={"until": (now() - timedelta(hours=1)).isoformat()})
    assert past.status_code == 422
    assert (await owner.put(url, json={"until": until.isoformat()})).is_success
    assert await found(owner, is_snoozed=True) == [str(chat.id)]

    async def wake() -> bool:
        async with chat.world.work() as work:
            return await InboxService(work).wake(chat.id, until)

    assert sorted(await asyncio.gather(*(wake() for _ in range(5)))) == [False] * 4 + [True]
    assert (await chat.row()).snoozed_until is None


async def test_reading_counts_to_nothing(chat: Chat, owner: httpx.AsyncClient) -> None:
    await incoming(chat, "Oi")
    answer = await owner.post(f"{PATH}/{chat.id}/reads", json={}, headers=key())
    assert answer.json()["unread_count"] == 0
    async with chat.world.runtime.database.system_driver() as driver:
        queued = await driver.fetchval(
            "SELECT count(*) FROM pgqueuer WHERE entrypoint = $1 "
            "AND convert_from(payload, 'UTF8') LIKE '%' || $2 || '%'",
            "conversations.sending.mark_read",
            str(chat.world.tenant.id),
        )
    assert queued == 1


async def test_a_clock_that_ran_out_is_told_once(chat: Chat, owner: httpx.AsyncClient) -> None:
    setting = {"strategy": "manual", "first_reply_minutes": 10, "resolution_minutes": 30}
    assert (await owner.put("/api/v1/assignment-settings", json=setting)).is_success
    async with chat.world.work() as work:
        row = await work.session.get(Conversation, chat.id)
        assert row is not None
        row.waiting_since = now() - timedelta(minutes=11)
        await work.session.flush()
        await InboxService(work).opened(chat.id)
    assert await jobs.tell_late(chat.world.runtime) >= 1
    await jobs.tell_late(chat.world.runtime)
    async with chat.world.work() as work:
        told = await work.session.scalars(
            select(AuditEntry.facts).where(AuditEntry.action == ServiceLate.name)
        )
        assert [fact["clock"] for fact in told] == ["first_reply"]
    assert (await owner.get(f"{PATH}/{chat.id}")).json()["is_late"] is True


async def test_messages_are_searched_without_accents_and_by_nobody_else(
    chat: Chat, owner: httpx.AsyncClient, outsider: httpx.AsyncClient
) -> None:
    wanted = await incoming(chat, "Tem pão de açúcar sem lactose?")
    await incoming(chat, "Obrigada!")

    async def search(client: httpx.AsyncClient, query: str) -> list[str]:
        answer = await client.get("/api/v1/messages", params={"query": query})
        return [item["id"] for item in answer.json()["items"]]

    assert await search(owner, "ACUCAR pao") == [str(wanted.id)]
    assert await search(owner, "100%") == []
    assert await search(outsider, "acucar") == []


async def test_canned_replies_are_filled_for_a_contact(
    chat: Chat, owner: httpx.AsyncClient
) -> None:
    url = "/api/v1/canned-replies"
    body = {"shortcut": "oi", "text": "Oi, {{contact_first_name}}! Aqui é {{ agent_name }}. {{x}}"}
    made = (await owner.post(url, json=body, headers=key())).json()
    twin = await owner.post(url, json=body, headers=key())
    assert (twin.status_code, twin.json()["code"]) == (409, "canned-shortcut-taken")
    one = f"{url}/{made['id']}"
    answer = await owner.get(f"{one}/rendering", params={"conversation_id": str(chat.id)})
    assert answer.json() == {"text": "Oi, Ana! Aqui é Owner. {{x}}"}
    assert (await owner.put(one, json=body | {"text": "Olá!"})).json()["text"] == "Olá!"
    assert (await owner.delete(one)).status_code == 204
    assert (await owner.delete(one)).status_code == 404


async def test_who_was_away_misses_nothing_and_hears_nothing_twice(
    app: Largo, chat: Chat, owner: httpx.AsyncClient
) -> None:
    url, version = f"{PATH}/{chat.id}", 0

    async def change(times: int) -> None:
        nonlocal version
        for _ in range(times):
            version += 1
            body = {"version": version, "labels": [f"passo-{version}"]}
            assert (await owner.patch(url, json=body)).is_success

    name = "conversations.changed"
    async with listening(app, chat.world.owner.token) as listener:
        await listener.until(lambda: bool(listener.of("hello")))
        await change(3)
        await listener.until(lambda: len(listener.of(name)) == 3)
        seen = [f.id for f in listener.of(name)]
    await change(20)
    async with listening(app, chat.world.owner.token, last_event_id=str(seen[-1])) as listener:
        await listener.until(lambda: len(listener.of(name)) >= 20)
        await change(2)
        await listener.until(lambda: len(listener.of(name)) >= 22)
        seen += [f.id for f in listener.of(name)]
    assert len(seen) == len(set(seen)) == 25


async def test_one_connection_opens_many_conversations(world: World) -> None:
    """In Postgres's general plan, used from the sixth time on, parameters have no value."""
    number_id = await make_number(world)
    people = [(await make_contact(world, f"Pessoa {n}"))[0] for n in range(12)]
    async with world.work() as work:
        inbox = ConversationRepository(work.session)
        made = [await inbox.open(person, number_id, None) for person in people]
        again = [await inbox.open(person, number_id, None) for person in people]
    assert [is_new for _, is_new in made] == [True] * 12
    assert again == [(id, False) for id, _ in made]


async def test_a_search_finds_also_whom_many_share_the_name_with(
    world: World, owner: httpx.AsyncClient
) -> None:
    first = await make_chat(world, name="Maria Aparecida")
    async with world.runtime.database.system_driver() as driver:
        await driver.execute(
            "INSERT INTO contacts (tenant_id, id, name) "
            "SELECT $1, gen_random_uuid(), 'Maria ' || n FROM generate_series(1, 600) n",
            world.tenant.id,
        )
    second = await make_chat(world, name="Maria das Dores")
    assert await found(owner, query="maria") == [str(second.id), str(first.id)]
    assert await found(owner, query="aparecida") == [str(first.id)]
    assert await found(owner, query=first.phone) == [str(first.id)]


async def test_opening_meets_somebody_who_closes(world: World) -> None:
    """Whoever found one going finds another, or makes it, when that one is closed meanwhile."""
    number_id, (contact_id, _) = await make_number(world), await make_contact(world)
    is_over = False

    async def close_again_and_again() -> None:
        while not is_over:
            async with world.work() as work:
                await work.session.execute(update(Conversation).values(status="closed"))

    async def begin() -> None:
        for _ in range(60):
            async with world.work() as work:
                await ConversationRepository(work.session).open(contact_id, number_id, None)

    closing = [asyncio.create_task(close_again_and_again()) for _ in range(2)]
    try:
        await asyncio.gather(*(begin() for _ in range(3)))
    finally:
        is_over = True
        await asyncio.gather(*closing)
    async with world.work() as work:
        live = await work.session.scalar(
            select(func.count()).where(Conversation.status.in_(("open", "pending")))
        )
    assert live is not None
    assert live <= 1
