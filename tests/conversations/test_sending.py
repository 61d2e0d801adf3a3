"""Owing a message, sending it once, and knowing how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update

from app.conversations.inbox.models import Conversation, Message, MessageAttempt
from app.conversations.numbers.models import WhatsAppNumber
from app.conversations.sending import jobs
from app.conversations.sending.dispatch import Dispatch
from app.conversations.sending.rules import WINDOW, is_open
from app.core.clock import now
from app.kernel.consents.service import ConsentService
from app.kernel.jobs.service import Handler, Worker
from app.kernel.work import Runtime
from tests.conversations.inbound.line import drain, make_line
from tests.factories.commerce import key
from tests.factories.conversations import (
    Chat,
    at_sandbox,
    incoming,
    make_chat,
    make_number,
    make_template,
)
from tests.factories.tenants import World
from tests.sandbox.server import SandboxServer, until

TEXT = {"type": "text", "text": "Sua pizza já está no forno."}
SETTLED = {"accepted", "failed", "unknown", "cancelled"}


@pytest.fixture
async def chat(world: World) -> Chat:
    async with world.runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")
    return await make_chat(world)


@pytest.fixture
def here(runtime: Runtime, sandbox: SandboxServer) -> Runtime:
    return at_sandbox(runtime, sandbox.url)


@asynccontextmanager
async def working(runtime: Runtime) -> AsyncIterator[None]:
    handlers: dict[str, Handler] = {jobs.SEND: jobs.send, jobs.MARK_READ: jobs.mark_read}
    worker = Worker(runtime, handlers)
    await worker.start()
    try:
        yield
    finally:
        await worker.stop()


async def send(owner: httpx.AsyncClient, chat: Chat, body: dict[str, Any] = TEXT) -> UUID:
    url = f"/api/v1/conversations/{chat.id}/messages"
    answer = await owner.post(url, json=body, headers=key())
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["id"])


async def settled(chat: Chat) -> list[Message]:
    async def done() -> bool:
        return {m.status for m in await chat.messages() if m.direction == "out"} <= SETTLED

    await until(done, 15)
    return [m for m in await chat.messages() if m.direction == "out"]


async def test_a_message_is_owed_with_its_job_and_sent_with_its_attempt(
    chat: Chat, owner: httpx.AsyncClient, here: Runtime, sandbox: SandboxServer
) -> None:
    await send(owner, chat)
    [message] = await chat.messages()
    assert (message.status, message.author, message.kind) == ("queued", "user", "text")
    assert message.user_id == chat.world.owner.id
    assert await sandbox.requests() == [], "nothing leaves inside the request"
    assert (await chat.row()).first_reply_at is not None
    async with working(here):
        [message] = await settled(chat)
    [request] = await sandbox.requests(vendor="whatsapp")
    [attempt] = await chat.attempts()
    assert (message.status, attempt.state) == ("accepted", "accepted")
    assert message.wamid == attempt.wamid == request["answer"]["messages"][0]["id"]
    assert request["body"]["biz_opaque_callback_data"] == str(attempt.id)
    assert request["to"] == chat.phone.lstrip("+")
    assert request["body"]["text"] == {"body": TEXT["text"], "preview_url": False}


async def test_every_kind_goes_out_in_the_vendors_shape(
    chat: Chat, owner: httpx.AsyncClient, here: Runtime, sandbox: SandboxServer
) -> None:
    asked = await incoming(chat, "Qual o endereço?")
    answering = {"reply_to_id": str(asked.id)}
    bodies: list[dict[str, Any]] = [
        {"type": "image", "media_id": "1013859600285441", "caption": "Cardápio"},
        {"type": "location", "latitude": -23.5, "longitude": -46.6, "name": "Loja"} | answering,
        {"type": "reaction", "message_id": str(asked.id), "emoji": "👍"},
        {"type": "buttons", "text": "Confirma?", "buttons": [{"id": "s", "title": "Sim"}]},
        {"type": "list", "text": "Escolha", "button": "Ver",
         "sections": [{"rows": [{"id": "p", "title": "Pizza"}]}]},
    ]  # fmt: skip
    for body in bodies:
        await send(owner, chat, body)
    async with working(here):
        assert {m.status for m in await settled(chat)} == {"accepted"}
    sent = [r["body"] for r in reversed(await sandbox.requests(vendor="whatsapp"))]
    assert [b["type"] for b in sent] == [
        "image", "location", "reaction", "interactive", "interactive",
    ], "in the order in which they were said"  # fmt: skip
    assert sent[1]["context"] == {"message_id": asked.wamid}
    assert sent[2]["reaction"] == {"message_id": asked.wamid, "emoji": "👍"}
    assert "context" not in sent[2]
    assert sent[3]["interactive"]["action"]["buttons"][0]["reply"]["title"] == "Sim"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (TEXT | {"text": "x" * 4097}, 422),
        ({"type": "audio", "media_id": "1", "caption": "não"}, 422),
        ({"type": "reaction", "message_id": "019a7f5e-8c00-7a3b-9f10-2b7d4c1e9a55"}, 409),
        ({"type": "template", "name": "nenhum", "language": "pt_BR"}, 409),
    ],
)
async def test_what_cannot_be_sent_is_refused_here(
    chat: Chat, owner: httpx.AsyncClient, body: dict[str, Any], status: int
) -> None:
    url = f"/api/v1/conversations/{chat.id}/messages"
    assert (await owner.post(url, json=body, headers=key())).status_code == status
    assert await chat.messages() == []


def test_the_window_closes_to_the_second() -> None:
    last = now()
    assert is_open(last, last + WINDOW - timedelta(seconds=1))
    assert not is_open(last, last + WINDOW)
    assert not is_open(None, last)


@pytest.mark.parametrize("wrote", [None, timedelta(hours=24)])
async def test_outside_the_window_free_words_are_refused_with_what_may_be_sent(
    world: World, owner: httpx.AsyncClient, here: Runtime, sandbox: SandboxServer,
    wrote: timedelta | None,
) -> None:  # fmt: skip
    chat = await make_chat(world, wrote=wrote)
    await make_template(world, "pedido_pronto")
    await make_template(world, "em_analise", status="pending")
    url = f"/api/v1/conversations/{chat.id}/messages"
    answer = await owner.post(url, json=TEXT, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (409, "conversation-window-closed")
    assert [t["name"] for t in answer.json()["templates"]] == ["pedido_pronto"]
    assert await chat.messages() == []
    await send(owner, chat, {"type": "template", "name": "pedido_pronto", "language": "pt_BR"})
    async with working(here):
        assert [m.status for m in await settled(chat)] == ["accepted"]
    [request] = await sandbox.requests(vendor="whatsapp")
    assert request["body"]["type"] == "template"


@pytest.mark.parametrize(("left_s", "status"), [(5, 202), (0, 409)])
async def test_the_window_is_open_to_its_last_second(
    world: World, owner: httpx.AsyncClient, sandbox: SandboxServer, left_s: int, status: int
) -> None:
    chat = await make_chat(world, wrote=WINDOW - timedelta(seconds=left_s))
    url = f"/api/v1/conversations/{chat.id}/messages"
    assert (await owner.post(url, json=TEXT, headers=key())).status_code == status
    assert len(await chat.messages()) == (1 if status == 202 else 0)
    assert await sandbox.requests() == []


async def test_a_window_that_closed_meanwhile_stops_the_send(
    chat: Chat, owner: httpx.AsyncClient, here: Runtime, sandbox: SandboxServer
) -> None:
    await send(owner, chat)
    async with chat.world.work() as work:
        await work.session.execute(
            update(Conversation).values(last_inbound_at=now() - WINDOW - timedelta(seconds=1))
        )
    async with working(here):
        [message] = await settled(chat)
    assert (message.status, message.error_code) == ("failed", "window-closed")
    assert await sandbox.requests() == []


async def test_stop_stops_the_next_send_even_one_that_waits(
    chat: Chat, owner: httpx.AsyncClient, here: Runtime, sandbox: SandboxServer
) -> None:
    await make_template(chat.world, "promocao", category="marketing")
    template = {"type": "template", "name": "promocao", "language": "pt_BR"}
    async with chat.world.work() as work:
        await ConsentService(work).heed(chat.contact_id, "whatsapp", "quero receber")
    await send(owner, chat, template)
    async with chat.world.work() as work:
        await ConsentService(work).heed(chat.contact_id, "whatsapp", "PARAR")
    url = f"/api/v1/conversations/{chat.id}/messages"
    answer = await owner.post(url, json=template, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (409, "consent-missing")
    async with working(here):
        [message] = await settled(chat)
    assert (message.status, message.error_code) == ("failed", "opted-out")
    assert await sandbox.requests() == []


async def test_a_twin_of_the_request_sends_once(
    chat: Chat, owner: httpx.AsyncClient, here: Runtime, sandbox: SandboxServer
) -> None:
    url, once = f"/api/v1/conversations/{chat.id}/messages", key()
    answers = await asyncio.gather(*(owner.post(url, json=TEXT, headers=once) for _ in range(4)))
    assert {a.json()["id"] for a in answers} == {str(m.id) for m in await chat.messages()}
    async with working(here):
        await settled(chat)
    assert len(await sandbox.requests(vendor="whatsapp")) == 1


async def test_the_pair_limit_delays_that_pair_alone(
    chat: Chat, owner: httpx.AsyncClient, here: Runtime, sandbox: SandboxServer
) -> None:
    other = await make_chat(chat.world, number_id=chat.number_id, name="Bia Lima")
    await sandbox.put("whatsapp/knobs", error={"code": "131056", "times": 1})
    await send(owner, chat)

    async def refused() -> bool:
        return (await chat.row()).sends_resume_at is not None

    async with working(here):
        await until(refused, 10)
        await send(owner, chat, TEXT | {"text": "e mais uma"})
        await send(owner, other)
        assert [m.status for m in await settled(other)] == ["accepted"]
        assert {m.status for m in await chat.messages()} == {"queued"}, "still waits"
        resumes = (await chat.row()).sends_resume_at
        assert resumes is not None
        assert timedelta(seconds=1) < resumes - now() <= timedelta(seconds=6.1)
        assert [m.status for m in await settled(chat)] == ["accepted", "accepted"]
    assert [a.state for a in await chat.attempts()].count("refused") == 1


async def test_a_number_taken_for_spam_rests_its_campaigns_and_goes_on_replying(
    chat: Chat, owner: httpx.AsyncClient, here: Runtime, sandbox: SandboxServer
) -> None:
    await make_number(chat.world)
    await sandbox.put("whatsapp/knobs", error={"code": "131048", "times": 1})
    await send(owner, chat)
    async with working(here):
        [refused] = await settled(chat)
        assert (refused.status, refused.error_code) == ("failed", "131048")
        await send(owner, chat)
        assert [m.status for m in await settled(chat)] == ["failed", "accepted"]
    async with chat.world.work() as work:
        rows = (await work.session.scalars(select(WhatsAppNumber))).all()
    assert {n.id for n in rows if n.campaigns_stopped_at} == {chat.number_id}
    assert all(n.is_active for n in rows)


async def test_an_unknown_outcome_is_not_repeated_and_settled_by_its_status(
    chat: Chat, owner: httpx.AsyncClient, here: Runtime, sandbox: SandboxServer
) -> None:
    await sandbox.put("whatsapp/knobs", drop_answer=1)
    await send(owner, chat)
    async with working(here):
        [message] = await settled(chat)
        assert message.status == "unknown"
        await asyncio.sleep(1.2)
    assert len(await sandbox.requests(vendor="whatsapp")) == 1
    [attempt] = await chat.attempts()
    async with chat.world.work() as work:
        found = await Dispatch(work).settle(attempt.id, "wamid.late")
    async with chat.world.work() as work:
        await Dispatch(work).settle(attempt.id, "wamid.late")
    assert found is not None
    [message] = await chat.messages()
    assert (message.status, message.wamid) == ("accepted", "wamid.late")


async def test_an_unknown_outcome_is_resolved_by_the_signed_webhook_of_its_status(
    world: World, owner: httpx.AsyncClient, anonymous: httpx.AsyncClient,
    here: Runtime, sandbox: SandboxServer,
) -> None:  # fmt: skip
    line = await make_line(world)
    chat = await make_chat(world, number_id=line.id)
    await sandbox.put("whatsapp/knobs", drop_answer=1)
    await send(owner, chat)
    async with working(here):
        assert [m.status for m in await settled(chat)] == ["unknown"]
    [request] = await sandbox.requests(vendor="whatsapp")
    [attempt] = await chat.attempts()
    told = {"biz_opaque_callback_data": request["body"]["biz_opaque_callback_data"]}
    assert told == {"biz_opaque_callback_data": str(attempt.id)}
    for word in ("delivered", "sent"):
        notice = line.status("wamid.late", word, int(now().timestamp()), **told)
        await line.deliver(anonymous, line.change(statuses=[notice]))
        await drain(world)
    [message] = await chat.messages()
    assert (message.status, message.wamid) == ("delivered", "wamid.late")
    assert message.sent_at is not None
    assert [a.state for a in await chat.attempts()] == ["accepted"]
    async with working(here):
        await asyncio.sleep(1.2)
    assert len(await sandbox.requests(vendor="whatsapp")) == 1


async def test_what_stays_unknown_for_an_hour_is_for_a_person(
    chat: Chat, owner: httpx.AsyncClient, here: Runtime, sandbox: SandboxServer
) -> None:
    await sandbox.put("whatsapp/knobs", drop_answer=2)
    first, second = await send(owner, chat), await send(owner, chat)
    async with working(here):
        await settled(chat)
    assert await jobs.mark_undecided(chat.world.runtime) == 0
    async with chat.world.work() as work:
        await work.session.execute(
            update(MessageAttempt).values(finished_at=now() - timedelta(minutes=61))
        )
    assert await jobs.mark_undecided(chat.world.runtime) == 2
    assert await jobs.mark_undecided(chat.world.runtime) == 0, "asked once"
    assert (await owner.post(f"/api/v1/messages/{first}/resends", headers=key())).is_success
    assert (await owner.post(f"/api/v1/messages/{second}/surrenders", headers=key())).is_success
    again = await owner.post(f"/api/v1/messages/{second}/resends", headers=key())
    assert (again.status_code, again.json()["code"]) == (409, "message-not-undecided")
    async with working(here):
        assert [m.status for m in await settled(chat)] == ["accepted", "failed"]
    assert len(await sandbox.requests(vendor="whatsapp")) == 3


async def test_a_waiting_message_can_be_taken_back(
    chat: Chat, owner: httpx.AsyncClient, here: Runtime, sandbox: SandboxServer
) -> None:
    message_id = await send(owner, chat)
    url = f"/api/v1/messages/{message_id}/cancellations"
    assert (await owner.post(url, headers=key())).json()["status"] == "cancelled"
    assert (await owner.post(url, headers=key())).json()["code"] == "message-not-cancellable"
    await send(owner, chat)
    async with working(here):
        assert [m.status for m in await settled(chat)] == ["cancelled", "accepted"]
    assert len(await sandbox.requests(vendor="whatsapp")) == 1


async def test_nothing_is_sent_in_a_closed_conversation_or_by_a_stranger(
    chat: Chat, owner: httpx.AsyncClient, outsider: httpx.AsyncClient
) -> None:
    url = f"/api/v1/conversations/{chat.id}/messages"
    assert (await outsider.post(url, json=TEXT, headers=key())).status_code == 404
    closed = {"version": 1, "status": "closed"}
    assert (await owner.patch(f"/api/v1/conversations/{chat.id}", json=closed)).is_success
    answer = await owner.post(url, json=TEXT, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (409, "conversation-not-live")
    assert await chat.messages() == []
