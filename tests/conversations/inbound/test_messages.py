"""What becomes of each kind of item: the row, the thread, the person, the ledger."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from app.conversations.inbox.models import MessageMedia
from app.kernel.consents.models import ConsentEntry
from app.kernel.consents.service import ConsentService
from app.kernel.contacts.models import Contact, ContactIdentity
from tests.conversations.inbound.line import Line, deliveries, drain, envelope, post
from tests.conversations.inbound.test_webhook import SAMPLES
from tests.kernel.queue_probe import effects

KINDS: list[tuple[str, dict[str, Any], str]] = [
    ("image", {"image": {"id": "1", "mime_type": "image/jpeg", "caption": "O bolo"}}, "O bolo"),
    ("image", {"image": {"id": "2", "mime_type": "image/jpeg"}}, "Imagem"),
    ("video", {"video": {"id": "3", "mime_type": "video/mp4"}}, "Vídeo"),
    ("sticker", {"sticker": {"id": "4", "mime_type": "image/webp", "animated": True}}, "Figurinha"),
    ("audio", {"audio": {"id": "5", "mime_type": "audio/ogg", "voice": True}}, "Mensagem de voz"),
    ("document", {"document": {"id": "6", "filename": "orçamento.pdf"}}, "orçamento.pdf"),
    ("location", {"location": {"latitude": -23.5, "longitude": -46.6}}, "Localização"),
    ("contacts", {"contacts": [{"phones": [{"phone": "+5511"}]}]}, "Contato"),
    ("interactive", {"interactive": {"type": "nfm_reply", "nfm_reply": {"body": "Enviado"}}},
     "Enviado"),
    ("interactive", {"errors": [{"code": 1}]}, "Resposta"),
    ("button", {"button": {"payload": "sim", "text": "Confirmo"}}, "Confirmo"),
    ("order", {"order": {"catalog_id": "9", "product_items": [{"quantity": 2}]}},
     "Pedido com 1 item"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "text"), KINDS)
async def test_every_kind_is_kept_with_its_content_and_unknown_fields(
    line: Line, anonymous: httpx.AsyncClient, kind: str, fields: dict[str, Any], text: str
) -> None:
    sent = line.message(kind, **fields, novidade={"a": [1]})
    await line.tell(anonymous, sent)
    found = await line.stored(sent["id"])
    assert (found.kind, found.text, found.status) == (kind, text, "received")
    assert (found.direction, found.author) == ("in", "contact")
    assert found.content | fields | {"novidade": {"a": [1]}} == found.content
    assert found.provider_at.timestamp() == int(sent["timestamp"])
    async with line.world.work() as work:
        media = (await work.session.scalars(select(MessageMedia))).all()
    part = fields.get(kind)
    assert len(media) == (1 if isinstance(part, dict) and "id" in part else 0)


async def test_what_is_not_known_is_kept_raw_and_stops_nothing(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    odd = line.message("hologram", hologram={"depth": 3, "nul": "a\x00b"})
    nameless = {"type": "text", "id": "wamid.nobody", "text": {"body": "quem?"}}
    worse: list[Any] = [None, 7, {"id": 5}, {}, nameless, line.message("reaction", reaction=None)]
    plain = line.message()
    await line.tell(anonymous, odd, *worse, plain)
    found = await line.stored(odd["id"])
    assert (found.kind, found.text) == ("unsupported", "Mensagem não suportada")
    assert found.content["hologram"] == {"depth": 3, "nul": "ab"}
    assert (await line.stored(plain["id"])).kind == "text"
    assert len(await effects(line.world, "whatsapp.item_unreadable")) == 5
    assert [row.state for row in await deliveries(line.world)] == ["done"]


async def test_a_thread_follows_its_messages(line: Line, anonymous: httpx.AsyncClient) -> None:
    first, second = line.message(), line.message(text={"body": "Tem pão de queijo?"})
    await line.tell(anonymous, second)
    await line.tell(anonymous, first, second)
    [thread] = await line.conversations()
    assert [m.wamid for m in await line.messages()] == [first["id"], second["id"]]
    assert thread.last_message_text == "Tem pão de queijo?"
    assert (thread.unread_count, thread.status) == (2, "open")
    assert thread.last_inbound_at is not None
    assert thread.waiting_since is not None
    assert thread.last_inbound_at.timestamp() == int(second["timestamp"])
    assert thread.waiting_since.timestamp() == int(first["timestamp"])
    async with line.world.work() as work:
        person = (await work.session.scalars(select(Contact))).one()
        assert (person.name, person.phone) == ("Maria da Silva", f"+{line.person}")
    assert len(await effects(line.world, "conversations.opened")) == 1
    assert len(await effects(line.world, "conversations.message_received")) == 2


async def test_changes_of_a_message_apply_before_or_after_it(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    target = line.message(text={"body": "Amanhã as 10"})
    edit = line.message(
        "edit",
        edit={
            "original_message_id": target["id"],
            "message": {"type": "text", "text": {"body": "Amanhã às 11"}},
        },
    )
    reaction = line.message("reaction", reaction={"message_id": target["id"], "emoji": "👍"})
    foreign = line.message("revoke", revoke={"original_message_id": target["id"]})
    foreign |= {"to": foreign.pop("from"), "from": "551130000000"}
    await line.tell(anonymous, edit)
    await line.tell(anonymous, reaction, target)
    await line.deliver(anonymous, line.change("smb_message_echoes", message_echoes=[foreign]))
    await drain(line.world)
    found = await line.stored(target["id"])
    assert (found.text, found.reactions) == ("Amanhã às 11", {"contact": "👍"})
    assert found.edited_at is not None
    assert found.revoked_at is None, "the business cannot revoke what its customer wrote"
    assert found.content["edited"]["text"] == {"body": "Amanhã às 11"}
    [thread] = await line.conversations()
    assert (thread.last_message_text, thread.unread_count) == ("Amanhã às 11", 1)
    taken = line.message("reaction", reaction={"message_id": target["id"]})
    gone = line.message("revoke", revoke={"original_message_id": target["id"]})
    await line.tell(anonymous, gone, taken)
    found = await line.stored(target["id"])
    assert found.reactions == {}
    assert found.revoked_at is not None
    assert (await line.conversations())[0].last_message_text == "Mensagem apagada"


async def test_an_answer_from_the_phone_is_ours_and_pauses_the_bot(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    asked = line.message()
    await line.tell(anonymous, asked)
    echo = line.message(text={"body": "Abrimos às 18h"})
    echo |= {"to": echo["from"], "from": "551130000000"}
    await line.deliver(
        anonymous,
        line.change("smb_message_echoes", message_echoes=[echo]),
        line.change(statuses=[line.status(echo["id"], "delivered")]),
    )
    await drain(line.world)
    found = await line.stored(echo["id"])
    assert (found.direction, found.author, found.status) == ("out", "phone_app", "delivered")
    [thread] = await line.conversations()
    assert thread.bot_paused_at is not None
    assert thread.waiting_since is None
    assert thread.unread_count == 1
    assert thread.bot_paused_at.timestamp() == int(echo["timestamp"])


async def test_a_stop_word_counts_as_of_when_it_was_sent(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    stop, start = line.message(text={"body": "PARAR!"}), None
    start = line.message("button", button={"payload": "x", "text": "Quero receber"})
    order = line.message(text={"body": "pode parar na esquina?"})
    for message in (start, stop, stop, order):  # the earlier word comes last
        await line.tell(anonymous, message)
    async with line.world.work() as work:
        entries = (await work.session.scalars(select(ConsentEntry))).all()
        assert {(e.source, e.is_opt_in, e.evidence) for e in entries} == {
            ("stop_word", False, stop["id"]),
            ("button", True, start["id"]),
        }
        person = entries[0].contact_id
        assert (await ConsentService(work).may_send(person, "whatsapp", "marketing")).is_allowed
    preference = {"wa_id": line.person, "category": "marketing_messages", "value": "stop"}
    at = line.next_second()
    for _ in range(2):
        await line.deliver(
            anonymous,
            line.change("user_preferences", user_preferences=[preference | {"timestamp": at}]),
            {"field": f"again_{_}", "value": {}},
        )
    await drain(line.world)
    async with line.world.work() as work:
        told = select(func.count()).where(ConsentEntry.source == "provider_preference")
        assert await work.session.scalar(told) == 1
        said = await ConsentService(work).may_send(person, "whatsapp", "marketing")
        assert not said.is_allowed


async def test_who_changes_number_is_one_person_with_one_thread(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    old, new = line.person, "5511988887777"
    await line.tell(anonymous, line.message(text={"body": "do número velho"}))
    line.person = new
    await line.deliver(anonymous, line.change(messages=[line.message()]))
    await drain(line.world)
    assert len(await line.conversations()) == 2
    line.person = old
    told = {"body": "mudou", "type": "user_changed_number", "wa_id": new}
    moved = line.message("system", system=told)
    value = line.value(messages=[moved]) | {"contacts": []}
    await line.deliver(anonymous, {"field": "messages", "value": value})
    await drain(line.world)
    [thread] = await line.conversations()
    assert {m.conversation_id for m in await line.messages()} == {thread.id}
    assert [m.kind for m in await line.messages()] == ["text", "text", "system"]
    async with line.world.work() as work:
        people = (await work.session.scalars(select(Contact))).all()
        [root] = [p for p in people if p.merged_into_id is None]
        assert root.phone == f"+{new}"
        held = select(ContactIdentity.value).where(ContactIdentity.contact_id == root.id)
        assert set(await work.session.scalars(held)) == {old, new}


async def test_somebody_without_a_number_is_somebody(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    bsuid = "BR.1349871234567890"
    message = line.message(from_user_id=bsuid)
    del message["from"]
    value = line.value(messages=[message])
    value["contacts"] = [{"profile": {"name": "Ana"}, "user_id": bsuid}]
    await line.deliver(anonymous, {"field": "messages", "value": value})
    await drain(line.world)
    async with line.world.work() as work:
        person = (await work.session.scalars(select(Contact))).one()
        assert (person.name, person.phone) == ("Ana", None)
    both = line.message(from_user_id=bsuid)
    await line.tell(anonymous, both)
    assert len(await line.conversations()) == 1


async def test_an_item_that_fails_takes_no_other_along(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    """The contacts' table refuses this name; everything else of the delivery is applied."""
    good, bad = line.message(), line.message()
    bad["id"] = "wamid.bad"
    async with line.world.runtime.database.system_driver() as driver:
        await driver.execute(
            "ALTER TABLE messages ADD CONSTRAINT tests_refuse CHECK (wamid <> 'wamid.bad')"
        )
    try:
        await line.deliver(anonymous, line.change(messages=[bad, good]))
        with pytest.raises(Exception, match="tests_refuse"):
            await drain(line.world, tries=1)
        assert [m.wamid for m in await line.messages()] == [good["id"]]
        [row] = await deliveries(line.world)
        assert (row.state, row.attempts) == ("pending", 1)
        assert "tests_refuse" in (row.last_error or "")
    finally:
        async with line.world.runtime.database.system_driver() as driver:
            await driver.execute("ALTER TABLE messages DROP CONSTRAINT tests_refuse")
    await drain(line.world)
    assert len(await line.messages()) == 2
    assert (await deliveries(line.world))[0].state == "done"
    assert len(await effects(line.world, "conversations.message_received")) == 2


async def test_account_notices_are_told(line: Line, anonymous: httpx.AsyncClient) -> None:
    value = {"event": "APPROVED", "message_template_id": 1, "message_template_name": "boas_vindas"}
    await line.deliver(anonymous, {"field": "message_template_status_update", "value": value})
    await drain(line.world)
    [told] = await effects(line.world, "conversations.account_noticed")
    assert (told["waba_id"], told["value"]) == (line.waba_id, value)


async def test_every_case_of_the_vendors_examples_is_kept(
    line: Line, anonymous: httpx.AsyncClient
) -> None:
    path = SAMPLES / "meta_webhook_inbound.json"
    if not path.is_file():
        pytest.skip(f"no check data at {path}")
    cases = json.loads(path.read_text())["cases"]
    wanted: dict[str, dict[str, Any]] = {}
    for case in cases.values():
        for entry in case["entry"]:
            entry["id"] = line.waba_id
            for change in entry["changes"]:
                change["value"]["metadata"]["phone_number_id"] = line.phone_number_id
                for message in change["value"].get("messages", []):
                    message["id"] += str(len(wanted))  # some examples share one
                    wanted[message["id"]] = message
        body = envelope(*case["entry"])
        assert (await post(anonymous, body, line.secret)).status_code == 200
    await drain(line.world)
    assert len(wanted) >= 13
    for wamid, message in wanted.items():
        found = await line.stored(wamid)
        assert found.kind == message["type"]
        left = {k: v for k, v in message.items() if k not in ("id", "timestamp")}
        assert found.content == left
        assert found.text
        assert found.provider_at.timestamp() == int(message["timestamp"])
    assert {row.state for row in await deliveries(line.world)} == {"done"}
    assert len(await effects(line.world, "conversations.account_noticed")) == 3
