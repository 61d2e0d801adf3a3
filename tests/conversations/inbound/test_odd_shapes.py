"""Deliveries of shapes that nobody promised: none stops a worker, none costs its company."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.core.clock import now
from tests.conversations.inbound.line import Line, deliveries, drain, envelope, post


@pytest.mark.parametrize("depth", [900, 5000, 200_000])
async def test_a_body_nested_deeper_than_it_can_be_read_is_no_error(
    line: Line, anonymous: httpx.AsyncClient, depth: int
) -> None:
    body = b'{"entry":' + b"[" * depth + b'"\\u0000"' + b"]" * depth + b"}"
    slug = line.world.tenant.slug
    assert (await post(anonymous, body, "outro", slug=slug)).status_code == 401
    assert (await post(anonymous, body, line.secret, slug=slug)).status_code == 200


async def test_what_a_message_nests_too_deep_costs_only_itself(
    line: Line, anonymous: httpx.AsyncClient, owner: httpx.AsyncClient
) -> None:
    sent, plain = line.message(novidade="FUNDO"), line.message()
    body = envelope(line.entry(line.change(messages=[sent, plain])))
    body = body.replace(b'"FUNDO"', b"[" * 300 + b"]" * 300)
    assert (await post(anonymous, body, line.secret)).status_code == 200
    await drain(line.world)
    assert (await line.stored(sent["id"])).text == "Oi, vocês abrem hoje?"
    assert (await line.stored(plain["id"])).kind == "text"
    [thread] = await line.conversations()
    assert (await owner.get(f"/api/v1/conversations/{thread.id}/messages")).status_code == 200


async def test_an_id_that_is_a_number_names_a_message_too(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    plain = line.message()
    await line.tell(anonymous, line.message(id=12345), plain)
    assert (await line.stored("12345")).kind == "text"
    assert (await line.stored(plain["id"])).kind == "text"
    assert [row.state for row in await deliveries(line.world)] == ["done"]


async def test_numbers_too_large_for_others_are_kept_beside_half_a_character(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    sent = line.message(text={"body": "METADE"}, novidade=[2**70])
    body = envelope(line.entry(line.change(messages=[sent | {"novidade": 0}])))
    body = body.replace(b"METADE", b"a\\ud83db").replace(b'"novidade":0', b'"novidade":%d' % 2**70)
    assert (await post(anonymous, body, line.secret)).status_code == 200
    await drain(line.world)
    assert (await line.stored(sent["id"])).text == "ab"


FAR = 253_402_300_799
"""The last second that a calendar has."""


async def test_an_instant_yet_to_come_is_the_one_at_which_it_arrived(
    line: Line, anonymous: httpx.AsyncClient, owner: httpx.AsyncClient
) -> None:
    image = line.message("image", FAR, image={"id": "1", "mime_type": "image/jpeg"})
    await line.tell(anonymous, image)
    await line.deliver(anonymous, line.change(statuses=[line.status("wamid.x", "sent", FAR)]))
    await drain(line.world)
    found = await line.stored(image["id"])
    assert now() - found.provider_at < timedelta(minutes=1)
    listed = await owner.get("/api/v1/conversations")
    assert listed.status_code == 200, listed.text
    assert len(listed.json()["items"]) == 1


async def test_a_change_of_what_nobody_knows_hides_no_other_conversation(
    line: Line, anonymous: httpx.AsyncClient, owner: httpx.AsyncClient
) -> None:
    await line.tell(anonymous, line.message())
    other = {"from": "5511988887777"}
    await line.tell(
        anonymous, line.message("reaction", reaction={"message_id": "wamid.never"}) | other
    )
    assert len(await line.conversations()) == 2
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = (await owner.get("/api/v1/conversations", params={"limit": 1} | cursor)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len(set(seen)) == len(seen) == 2


ODD: list[Any] = [
    {"text": None}, {"text": []}, {"text": {"body": 5}}, {"text": "oi"}, {"timestamp": None},
    {"timestamp": "amanhã"}, {"timestamp": -5}, {"timestamp": 1e300}, {"timestamp": {}},
    {"timestamp": "9" * 5000}, {"from": 5511}, {"from": ""}, {"from": " "}, {"from": "x" * 5000},
    {"from": None, "from_user_id": "BR.1"}, {"from_user_id": ["BR"]}, {"context": 1},
    {"context": {"id": 9}}, {"context": {"id": "x" * 9000}}, {"type": None}, {"type": 7},
    {"type": "image"}, {"type": "image", "image": []}, {"type": "image", "image": {"id": {}}},
    {"type": "image", "image": {"id": 5, "mime_type": 5, "sha256": [], "filename": 1}},
    {"type": "contacts", "contacts": {}}, {"type": "contacts", "contacts": [1, None, {"name": 1}]},
    {"type": "interactive", "interactive": []},
    {"type": "interactive", "interactive": {"button_reply": {"id": 5}}},
    {"type": "interactive", "interactive": {"button_reply": {"id": "cart:x:drop"}}},
    {"type": "order", "order": {"product_items": 7}}, {"type": "order", "order": "x"},
    {"type": "order", "order": {"product_items": [{"quantity": 1e300}]}},
    {"type": "system", "system": {"type": "user_changed_number"}},
    {"type": "system", "system": {"type": "user_changed_number", "wa_id": []}},
    {"type": "system", "system": {"type": "user_changed_user_id", "user_id": 5}},
    {"type": "edit", "edit": {"original_message_id": "w"}},
    {"type": "edit", "edit": {"original_message_id": "w", "message": {"type": "edit"}}},
    {"type": "edit", "edit": {"original_message_id": 5, "message": {"type": "text", "text": 5}}},
    {"type": "revoke", "revoke": {"original_message_id": "w"}}, {"type": "revoke"},
    {"type": "reaction", "reaction": {"message_id": "w", "emoji": 5}},
    {"errors": "x"}, {"errors": [None]}, {"group_id": "g"}, {"recipient_type": "group"},
    {"referral": 5}, {"id": "w" * 9000}, {"id": "com\u0000nul"},
    {"text": {"body": "x" * 2_000_000}},
    {"text": {"body": "\u0000"}}, {"k\u0000": {"\u0000": 1}},
]  # fmt: skip


async def test_every_odd_message_lets_its_company_through(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    for odd in ODD:
        plain = line.message()
        await line.tell(anonymous, line.message() | odd, plain)
        assert (await line.stored(plain["id"])).kind == "text", odd
    assert {row.state for row in await deliveries(line.world)} == {"done"}


ODD_STATUSES: list[Any] = [
    {"status": "holograph"}, {"status": "S" * 900}, {"status": "read\u0000"}, {"id": 5},
    {"status": None}, {"errors": "x"}, {"status": "failed", "errors": [None]},
    {"status": "failed", "errors": []}, {"status": "failed", "errors": {}},
    {"status": "failed", "errors": [{"code": {}, "title": [], "error_data": 5}]},
    {"status": "failed", "errors": [{"code": 131050}]}, {"recipient_id": 5}, {"timestamp": []},
    {"biz_opaque_callback_data": "x"}, {"biz_opaque_callback_data": 5},
    {"biz_opaque_callback_data": "019a7f5e-8c00-7a3b-9f10-2b7d4c1e9a55"}, {"pricing": 5},
]  # fmt: skip


async def test_every_odd_status_lets_its_company_through(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    echo = line.message() | {"to": line.person, "from": "551130000000"}
    await line.deliver(anonymous, line.change("smb_message_echoes", message_echoes=[echo]))
    for odd in ODD_STATUSES:
        await line.deliver(anonymous, line.change(statuses=[line.status(echo["id"], "sent") | odd]))
    await line.deliver(anonymous, line.change(statuses=[line.status(echo["id"], "read")]))
    await drain(line.world)
    assert (await line.stored(echo["id"])).status == "read"
    assert {row.state for row in await deliveries(line.world)} == {"done"}


ODD_VALUES: list[Any] = [
    5, None, [], "x", {}, {"metadata": 5}, {"metadata": {"phone_number_id": []}},
    {"messages": {}}, {"contacts": [5]}, {"contacts": "x", "messages": [None]},
]  # fmt: skip


async def test_every_odd_envelope_is_taken(line: Line, anonymous: httpx.AsyncClient) -> None:
    slug = line.world.tenant.slug
    for odd in ODD_VALUES:
        change = {"field": "messages", "value": odd}
        plain = line.message()
        entry = line.entry(change, line.change(messages=[plain]))
        for body in (envelope(entry, None, 5, {"changes": 5}, {"changes": [5]}),):  # type: ignore[arg-type]
            assert (await post(anonymous, body, line.secret, slug=slug)).status_code == 200
        await drain(line.world)
        assert (await line.stored(plain["id"])).kind == "text", odd
    assert {row.state for row in await deliveries(line.world)} == {"done"}
