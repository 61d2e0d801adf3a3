"""What people and programs send that nobody meant: refused at the door, never by a worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select, update

from app.conversations.templates.models import MessageTemplate
from app.core.clock import now
from app.kernel.work import Runtime
from tests.conversations.inbound.line import drain, make_line
from tests.conversations.test_sending import send, settled, working
from tests.factories.commerce import key
from tests.factories.conversations import Chat, at_sandbox, incoming, make_chat, make_template
from tests.factories.tenants import World
from tests.sandbox.server import SandboxServer


@pytest.fixture
async def chat(world: World) -> Chat:
    async with world.runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")
    return await make_chat(world)


@pytest.fixture
def here(runtime: Runtime, sandbox: SandboxServer) -> Runtime:
    return at_sandbox(runtime, sandbox.url)


ONE = {"id": "p", "title": "Pizza"}
BUTTONS: dict[str, Any] = {"type": "buttons", "text": "Confirma?"}
LIST: dict[str, Any] = {"type": "list", "text": "Escolha", "button": "Ver"}
PLACE: dict[str, Any] = {"type": "location", "latitude": -23.5, "longitude": -46.6}


@pytest.mark.parametrize(
    "body",
    [
        BUTTONS | {"buttons": [{"id": "s", "title": "Sim"}, {"id": "s", "title": "Não"}]},
        LIST | {"sections": [{"rows": [ONE, ONE]}]},
        LIST | {"sections": [{"rows": [ONE | {"description": ""}]}]},
        PLACE | {"name": ""},
        PLACE | {"address": "  "},
    ],
)
async def test_what_the_vendor_would_refuse_is_refused_before_it_is_owed(
    chat: Chat, owner: httpx.AsyncClient, here: Runtime, body: dict[str, Any]
) -> None:
    url = f"/api/v1/conversations/{chat.id}/messages"
    answer = await owner.post(url, json=body, headers=key())
    if answer.status_code == 202:  # then it can be sent
        async with working(here):
            assert [m.status for m in await settled(chat)] == ["accepted"]
    else:
        assert answer.status_code == 422
        assert await chat.messages() == []


async def test_a_reply_that_failed_or_was_taken_back_answered_nobody(
    chat: Chat, owner: httpx.AsyncClient, here: Runtime, sandbox: SandboxServer
) -> None:
    await incoming(chat, "Alguém aí?")
    async with chat.world.work() as work:
        row = await work.session.get(type(await chat.row()), chat.id)
        assert row is not None
        row.waiting_since = now()
    message_id = await send(owner, chat)
    assert (await chat.row()).waiting_since is None
    await owner.post(f"/api/v1/messages/{message_id}/cancellations", headers=key())
    assert (await chat.row()).waiting_since is not None
    await sandbox.put("whatsapp/knobs", error={"code": "131026", "times": 1})
    await send(owner, chat)
    assert (await chat.row()).waiting_since is None
    async with working(here):
        assert [m.status for m in await settled(chat)] == ["cancelled", "failed"]
    assert (await chat.row()).waiting_since is not None


async def test_what_was_given_up_and_arrived_after_all_answered_somebody(
    world: World, owner: httpx.AsyncClient, anonymous: httpx.AsyncClient, here: Runtime,
    sandbox: SandboxServer,
) -> None:  # fmt: skip
    line = await make_line(world)
    chat = await make_chat(world, number_id=line.id)
    await incoming(chat, "Alguém aí?", now() - timedelta(minutes=1))
    await sandbox.put("whatsapp/knobs", drop_answer=1)
    message_id = await send(owner, chat)
    async with working(here):
        assert [m.status for m in await settled(chat)] == ["unknown"]
    assert (await owner.post(f"/api/v1/messages/{message_id}/surrenders", headers=key())).is_success
    assert (await chat.row()).waiting_since is not None
    [attempt] = await chat.attempts()
    notice = line.status(
        "wamid.late", "delivered", int(now().timestamp()), biz_opaque_callback_data=str(attempt.id)
    )
    await line.deliver(anonymous, line.change(statuses=[notice]))
    await drain(world)
    [message] = [m for m in await chat.messages() if m.direction == "out"]
    assert (message.status, message.wamid) == ("delivered", "wamid.late")
    assert (message.failed_at, message.error_code) == (None, None)
    assert (await chat.row()).waiting_since is None


async def test_a_template_with_values_that_do_not_fit_is_refused_here(
    chat: Chat, owner: httpx.AsyncClient
) -> None:
    words = [{"type": "BODY", "text": "Oi {{1}}"}]
    await make_template(chat.world, "pedido_saiu", components=words)
    url = f"/api/v1/conversations/{chat.id}/messages"
    body: dict[str, Any] = {"type": "template", "name": "pedido_saiu", "language": "pt_BR"}
    answer = await owner.post(url, json=body, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (422, "template-parameters-invalid")
    assert await chat.messages() == []
    values = [{"type": "body", "parameters": [{"type": "text", "text": "Ana"}]}]
    good = await owner.post(url, json=body | {"components": values}, headers=key())
    assert good.status_code == 202


COMPONENTS: list[Any] = [
    [{"type": "BODY", "text": "Oi {{1}}", "example": {"body_text": 7}}],
    [{"type": "BODY", "text": "Oi {{1}}", "example": {"body_text": {"a": 1}}}],
    [{"type": "BODY", "text": "Oi {{1}}", "example": {"body_text": [[]]}}],
    [{"type": "BODY", "text": ["Oi"]}],
    [{"type": 5}, {"type": "BODY", "text": None}],
    [{"type": "BODY", "text": "Oi"}, {"type": "CAROUSEL", "cards": ["x"]}],
    [{"type": "BODY", "text": "Oi"}, {"type": "CAROUSEL", "cards": 5}],
    [{"type": "BODY", "text": "Oi"}, {"type": "CAROUSEL", "cards": [{"components": "x"}]}],
    [{"type": "BODY", "text": "Oi"}, {"type": "BUTTONS", "buttons": [{"type": [], "url": 5}]}],
    [{"type": "BODY", "text": "Oi"}, {"type": "BUTTONS", "buttons": ["x"]}],
    [{"type": "BODY", "text": "Oi"}, {"type": "HEADER", "format": "IMAGE", "example": []}],
    [{"type": "BODY", "text": "Oi"}, {"type": "LIMITED_TIME_OFFER", "limited_time_offer": 5}],
]


@pytest.mark.parametrize("format_", ["positional", "named"])
async def test_template_components_of_no_shape_are_no_error_of_ours(
    chat: Chat, owner: httpx.AsyncClient, format_: str
) -> None:
    for n, components in enumerate(COMPONENTS):
        body = {
            "number_id": str(chat.number_id), "name": f"estranho_{n}", "category": "utility",
            "parameter_format": format_, "components": components,
        }  # fmt: skip
        answer = await owner.post("/api/v1/whatsapp/templates", json=body, headers=key())
        assert answer.status_code != 500, (components, answer.text)
    await make_template(chat.world, "estranho")
    async with chat.world.work() as work:
        row = (await work.session.scalars(select(MessageTemplate).limit(1))).one()
    for components in COMPONENTS:
        async with chat.world.work() as work:
            await work.session.execute(
                update(MessageTemplate)
                .where(MessageTemplate.id == row.id)
                .values(components=components, parameter_format=format_)
            )
        url = f"/api/v1/whatsapp/templates/{row.id}/preview"
        answer = await owner.post(url, json={}, headers=key())
        assert answer.status_code == 200, (components, answer.text)


ODD = ["%", "_", "\\", "'", '"', "😀", "%00", "a%00b", "%ED%A0%80", "(", "{", "́", "🇧🇷%", "--", ";"]
PLACES = [
    "conversations?query=", "conversations?label=", "messages?query=aa", "contacts?query=",
    "contacts?attribute=", "contacts?attribute=x:", "conversations?cursor=", "contacts?cursor=",
    "whatsapp/templates?name=", "whatsapp/templates?language=", "conversations?status=",
    "contacts?stage=", "admin/whatsapp/deliveries?state=", "canned-replies?cursor=",
    "contacts/export?query=",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
async def test_odd_words_in_lists_are_no_error_of_ours(
    chat: Chat, owner: httpx.AsyncClient, place: str
) -> None:
    for odd in ODD:
        word = odd if odd.startswith(("%0", "%E", "a%")) else quote(odd)
        answer = await owner.get(f"/api/v1/{place}{word}")
        assert answer.status_code < 500, (place, odd, answer.text)


EDGES = ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "9999-12-31T23:59:59Z"]


@pytest.mark.parametrize("edge", EDGES)
async def test_instants_at_the_edge_of_time_are_no_error_of_ours(
    chat: Chat, owner: httpx.AsyncClient, edge: str
) -> None:
    url = f"/api/v1/conversations/{chat.id}"
    params = {"seen_after": edge}
    cursor = {"cursor": f"{edge}~{uuid4()}"}
    said = {"channel": "whatsapp", "category": "marketing", "is_opt_in": True, "source": "paper"}
    answers = [
        await owner.get("/api/v1/contacts", params=params),
        await owner.get("/api/v1/contacts", params={"seen_before": edge}),
        await owner.get("/api/v1/conversations", params=cursor),
        await owner.get(f"{url}/messages", params={"before": cursor["cursor"]}),
        await owner.get(f"{url}/messages", params={"after": cursor["cursor"]}),
        await owner.get(f"/api/v1/contacts/{chat.contact_id}/timeline", params=cursor),
        await owner.post(
            f"/api/v1/contacts/{chat.contact_id}/consents",
            json=said | {"decided_at": edge}, headers=key(),
        ),
        await owner.put(f"{url}/snooze", json={"until": edge}),
    ]  # fmt: skip
    assert [a.status_code for a in answers if a.status_code >= 500] == [], [
        (str(a.request.url), a.text) for a in answers if a.status_code >= 500
    ]
