"""What the inbox tells elsewhere: mentions as notices, a contact's story, the figures of views."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.core.clock import now
from app.core.ids import new_id
from app.kernel.users.service import UserService
from app.kernel.work import Runtime
from tests.factories.commerce import key
from tests.factories.conversations import Chat, incoming, make_chat
from tests.factories.notices import HANDLERS, all_told, notices
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf, client_of
from tests.kernel.queue_probe import working

__all__ = ["client_of"]

PATH = "/api/v1/conversations"
NOTICES = "/api/v1/user/notices"


@pytest.fixture
async def chat(world: World) -> Chat:
    return await make_chat(world)


async def story(client: httpx.AsyncClient, chat: Chat, **query: Any) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/contacts/{chat.contact_id}/timeline", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_who_is_mentioned_is_told_by_a_notice_and_nobody_else(
    chat: Chat, world: World, runtime: Runtime, owner: httpx.AsyncClient, client_of: ClientOf
) -> None:
    named, other = await world.member("agent"), await world.member("agent")
    url = f"{PATH}/{chat.id}/notes"
    names = [str(named.id), str(named.id), str(world.owner.id), str(new_id())]
    async with working(runtime, HANDLERS):
        for mentions in (names, [], [str(world.owner.id)]):
            body = {"text": "Segredo da casa", "mentions": mentions}
            assert (await owner.post(url, json=body, headers=key())).status_code == 201
        await all_told(world)
    [told] = await notices(world)
    assert (told.user_id, told.kind) == (named.id, "conversations.noted")
    assert "Segredo" not in told.title + told.body, "a locked screen shows it to everybody"
    mine, theirs = await client_of(world, named), await client_of(world, other)
    [shown] = (await mine.get(NOTICES)).json()["items"]
    assert shown["link"] == f"/conversations/{chat.id}"
    assert (await theirs.get(NOTICES)).json()["items"] == []
    assert (await mine.get(f"{PATH}/counts")).json()["mentions"] == 1
    assert (await theirs.get(f"{PATH}/counts")).json()["mentions"] == 0


async def test_a_transfer_with_a_note_is_told_to_whom_it_goes(
    chat: Chat, world: World, runtime: Runtime, owner: httpx.AsyncClient
) -> None:
    agent = await world.member("agent")
    body = {"assignee_id": str(agent.id), "note": "Pede nota fiscal."}
    async with working(runtime, HANDLERS):
        url = f"{PATH}/{chat.id}/assignments"
        assert (await owner.post(url, json=body, headers=key())).is_success
        await all_told(world)
    assert [notice.user_id for notice in await notices(world)] == [agent.id]


async def test_a_contacts_story_holds_messages_and_who_had_them(
    chat: Chat, world: World, owner: httpx.AsyncClient, outsider: httpx.AsyncClient
) -> None:
    agent = await world.member("agent")
    async with world.work() as work:
        name = (await UserService(work).get(agent.id)).name
    url = f"{PATH}/{chat.id}/assignments"
    for who in (str(agent.id), None):
        body = {"assignee_id": who}
        assert (await owner.post(url, json=body, headers=key())).is_success
    soon = now() + timedelta(minutes=1)
    for at, text in enumerate(("Oi", "Quero\n  duas", "a" * 300)):
        await incoming(chat, text, soon + timedelta(seconds=at))
    whole = (await story(owner, chat))["items"]
    assert [(e["kind"], e["text"]) for e in whole] == [
        ("message.in", "a" * 200),
        ("message.in", "Quero duas"),
        ("message.in", "Oi"),
        ("conversation.assigned", "Conversa sem responsável"),
        ("conversation.assigned", f"Conversa atribuída a {name}"),
        ("conversation.opened", "Conversa iniciada"),
    ]
    assert {e["resource_id"] for e in whole} == {str(chat.id)}
    paged: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await story(owner, chat, limit=1, **({"cursor": cursor} if cursor else {}))
        paged, cursor = paged + page["items"], page["next_cursor"]
    assert paged == whole
    path = f"/api/v1/contacts/{chat.contact_id}/timeline"
    assert (await outsider.get(path)).status_code == 404


async def test_who_may_not_read_messages_reads_none_in_a_story(
    chat: Chat, owner: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    await incoming(chat, "Meu CPF é segredo")
    path = f"/api/v1/contacts/{chat.contact_id}"
    assert (await owner.post(f"{path}/notes", json={"text": "Ligou"})).status_code == 201
    for scopes, kinds in (
        (["conversations.contacts:read"], {"note"}),
        (
            ["conversations.contacts:read", "conversations.messages:read"],
            {"note", "message.in", "conversation.opened"},
        ),
    ):
        made = await owner.post("/api/v1/admin/api-keys", json={"name": "CRM", "scopes": scopes})
        headers = {"X-Api-Key": made.json()["key"]}
        answer = await anonymous.get(f"{path}/timeline", headers=headers)
        assert answer.status_code == 200, answer.text
        assert {e["kind"] for e in answer.json()["items"]} == kinds


async def test_counts_are_what_the_lists_of_the_same_views_hold(
    world: World, owner: httpx.AsyncClient, outsider: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
) -> None:  # fmt: skip
    first = await make_chat(world, unread_count=2)
    number: dict[str, Any] = {"number_id": first.number_id}
    past = now() - timedelta(minutes=1)
    await make_chat(world, assignee_id=world.owner.id, first_reply_due_at=past, **number)
    await make_chat(world, resolution_due_at=past, unread_count=1, status="pending", **number)
    await make_chat(world, first_reply_due_at=past, first_reply_at=past, **number)
    asleep = await make_chat(world, snoozed_until=now() + timedelta(hours=1), **number)
    await make_chat(world, unread_count=9, status="closed", **number)
    note = {"text": "Vejo amanhã", "mentions": [str(world.owner.id)]}
    for _ in range(2):
        url = f"{PATH}/{asleep.id}/notes"
        assert (await owner.post(url, json=note, headers=key())).status_code == 201
    counted, empty = await asyncio.gather(
        owner.get(f"{PATH}/counts"), outsider.get(f"{PATH}/counts")
    )
    assert counted.json() == {
        "all": 4, "mine": 1, "unassigned": 3, "unread": 2, "late": 2, "snoozed": 1, "mentions": 1,
    }  # fmt: skip
    assert set(empty.json().values()) == {0}
    live: dict[str, Any] = {"status": ["open", "pending"]}
    awake = live | {"is_snoozed": False}
    for view, query in (
        ("all", awake),
        ("mine", awake | {"assignee_id": world.owner.id}),
        ("unassigned", awake | {"is_unassigned": True}),
        ("unread", awake | {"is_unread": True}),
        ("snoozed", live | {"is_snoozed": True}),
        ("mentions", live | {"mentions_me": True}),
    ):
        listed = (await owner.get(PATH, params=query)).json()["items"]
        assert len(listed) == counted.json()[view], view
    key_made = await owner.post(
        "/api/v1/admin/api-keys", json={"name": "BI", "scopes": ["conversations.messages:read"]}
    )
    headers = {"X-Api-Key": key_made.json()["key"]}
    by_key = (await anonymous.get(f"{PATH}/counts", headers=headers)).json()
    assert (by_key["mine"], by_key["mentions"], by_key["all"]) == (0, 0, 4)
