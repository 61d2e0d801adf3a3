"""The whole Cloud API against the played one: media, templates, numbers, limits, addresses."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from app.contracts.gateways.messaging import (
    GatewayOutcomeUnknown,
    GatewayRefused,
    GatewayUnavailable,
    Refusal,
)
from app.contracts.gateways.whatsapp import OUTBOUND, WhatsAppAccount, WhatsAppGateway
from app.core.guard import Guard
from app.integrations.whatsapp.cloud import CloudApi
from app.integrations.whatsapp.graph import Graph
from tests.sandbox.server import SandboxServer

Json = Any
SHOP = WhatsAppAccount("EAAGsecretTokenOfTheShop", "109876543210987", "200000000000001")
ANA = "5511987654321"
HELLO = OUTBOUND.validate_python({"type": "text", "text": {"body": "Olá"}})
BODY: Json = {"type": "BODY", "text": "Oi {{1}}", "example": {"body_text": [["Ana"]]}}


@pytest.fixture
def api(sandbox: SandboxServer, http: httpx.AsyncClient) -> WhatsAppGateway:
    return CloudApi(Graph(http, Guard(), f"{sandbox.url}/graph", "v23.0"))


def definition(name: str) -> dict[str, Json]:
    return {"name": name, "language": "pt_BR", "category": "UTILITY", "components": [BODY]}


async def test_a_medium_goes_up_comes_down_and_is_forgotten(api: WhatsAppGateway) -> None:
    content = b"\xff\xd8\xff" + b"pizza" * 4000
    media_id = await api.upload(SHOP, name="pizza.jpg", media_type="image/jpeg", content=content)
    info = await api.media(SHOP, media_id)
    assert (info.media_type, info.size) == ("image/jpeg", len(content))
    async with api.download(SHOP, info.url, most=len(content)) as pieces:
        assert b"".join([piece async for piece in pieces]) == content
    await api.delete_media(SHOP, media_id)
    with pytest.raises(GatewayRefused):
        await api.media(SHOP, media_id)


async def test_a_download_stops_at_its_cap(api: WhatsAppGateway) -> None:
    media_id = await api.upload(SHOP, name="a.ogg", media_type="audio/ogg", content=b"x" * 100_000)
    info = await api.media(SHOP, media_id)
    with pytest.raises(GatewayRefused) as caught:
        async with api.download(SHOP, info.url, most=99_999) as pieces:
            [piece async for piece in pieces]
    assert caught.value.code == "too-large"


async def test_an_expired_address_is_refused(api: WhatsAppGateway, sandbox: SandboxServer) -> None:
    media_id = await api.upload(SHOP, name="a.ogg", media_type="audio/ogg", content=b"x")
    await sandbox.put("whatsapp", media_url_s=0)
    info = await api.media(SHOP, media_id)
    with pytest.raises(GatewayRefused) as caught:
        async with api.download(SHOP, info.url, most=10) as pieces:
            [piece async for piece in pieces]
    assert caught.value.code == "http-404"
    await sandbox.put("whatsapp", media_url_s=300)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/media",
        "http://lookaside.fbsbx.com/media",
        "https://fbsbx.com.evil.example/x",
        "https://lookaside.fbsbx.com:8443/x",
        "nonsense://[",
    ],
)
async def test_the_token_goes_to_the_vendors_hosts_alone(url: str, api: WhatsAppGateway) -> None:
    with pytest.raises(GatewayRefused) as caught:
        async with api.download(SHOP, url, most=10):
            pytest.fail("it was dialled")
    assert caught.value.code == "foreign-host"


async def test_an_address_of_a_tenants_own_is_dialled_through_the_guard(
    api: WhatsAppGateway, sandbox: SandboxServer, http: httpx.AsyncClient
) -> None:
    own = WhatsAppAccount(SHOP.token, SHOP.phone_number_id, base_url=f"{sandbox.url}/graph")
    with pytest.raises(GatewayRefused) as caught:
        await api.send(own, ANA, HELLO, reference="r")
    assert caught.value.code == "url-refused"
    assert await sandbox.requests(vendor="whatsapp") == []
    guard = Guard(allow_http=True, allowed=["127.0.0.0/8"])
    allowed = CloudApi(Graph(http, guard, "https://unused.example", "v1.0"))
    mine = WhatsAppAccount(SHOP.token, "1234", base_url=f"{sandbox.url}/graph", version="v24.0")
    sent = await allowed.send(mine, ANA, HELLO, reference="r")
    assert guard.client() is guard.client(), "one for the process: connections are kept"
    await guard.aclose()
    assert sent.id.startswith("wamid.")
    [entry] = await sandbox.requests(vendor="whatsapp")
    assert entry["path"] == "/graph/v24.0/1234/messages"


async def test_templates_are_made_paged_edited_and_deleted(
    api: WhatsAppGateway, sandbox: SandboxServer
) -> None:
    await sandbox.put("whatsapp", review="hold")
    account = WhatsAppAccount(SHOP.token, SHOP.phone_number_id, "300000000000077")
    made = [await api.create_template(account, definition(f"modelo_{n}")) for n in range(105)]
    assert {(status, category) for _, status, category in made} == {("pending", "utility")}
    pages = [page async for page in api.templates(account)]
    assert [len(page) for page in pages] == [100, 5]
    assert [t.id for page in pages for t in page] == [vendor_id for vendor_id, *_ in made]
    first = made[0][0]
    await api.edit_template(
        account, first, {"category": "MARKETING", "components": [{"type": "BODY", "text": "Oi"}]}
    )
    await api.delete_template(account, "modelo_1", made[1][0])
    left = [t async for page in api.templates(account) for t in page]
    assert (left[0].category, left[0].components[0]["text"]) == ("marketing", "Oi")
    assert made[1][0] not in {t.id for t in left}
    with pytest.raises(GatewayRefused):
        await api.create_template(account, definition("modelo_2"))
    await sandbox.put("whatsapp", review="approve")


async def test_a_number_tells_its_quality_and_limit(
    api: WhatsAppGateway, sandbox: SandboxServer
) -> None:
    await sandbox.put("whatsapp", quality="YELLOW", limit_tier="TIER_UNLIMITED")
    found = await api.number(SHOP)
    assert (found.quality, found.status, found.per_second) == ("yellow", "connected", 80)
    assert found.tells_limit
    assert found.messaging_limit is None
    await sandbox.put("whatsapp", quality="GREEN", limit_tier="TIER_2K")
    [listed] = await api.numbers(SHOP)
    assert (listed.quality, listed.messaging_limit) == ("green", 2000)
    await api.register(SHOP, "123456")
    await api.block(SHOP, ANA)
    await api.block(SHOP, ANA, blocked=False)


@pytest.mark.parametrize(
    ("config", "code", "action"),
    [
        ({"pair_limit": 2}, "131056", Refusal.RETRY_PAIR),
        ({"per_second": 2}, "130429", Refusal.RETRY),
    ],
)
async def test_the_vendors_paces_are_kept(
    config: dict[str, int],
    code: str,
    action: Refusal,
    api: WhatsAppGateway,
    sandbox: SandboxServer,
) -> None:
    number = WhatsAppAccount(SHOP.token, f"55{code}")
    await sandbox.put("whatsapp", **config)
    try:
        await api.send(number, ANA, HELLO, reference="1")
        await api.send(number, ANA, HELLO, reference="2")
        with pytest.raises(GatewayRefused) as caught:
            await api.send(number, ANA, HELLO, reference="3")
        assert (caught.value.code, caught.value.action) == (code, action)
    finally:
        await sandbox.put("whatsapp", pair_limit=0, per_second=0)


async def test_free_words_need_a_word_of_the_person_first(
    api: WhatsAppGateway, sandbox: SandboxServer, http: httpx.AsyncClient
) -> None:
    person = "5521999990000"
    await sandbox.put("whatsapp", window=True, unreachable=["5521900000000"])
    try:
        with pytest.raises(GatewayRefused) as caught:
            await api.send(SHOP, person, HELLO, reference="1")
        assert caught.value.code == "131047"
        typed = {"from": person, "text": "Oi", "phone_number_id": SHOP.phone_number_id}
        answer = await http.post(f"{sandbox.url}/_sandbox/whatsapp/messages", json=typed)
        assert answer.status_code == 202
        assert (await api.send(SHOP, person, HELLO, reference="2")).id
        with pytest.raises(GatewayRefused) as caught:
            await api.send(SHOP, "5521900000000", HELLO, reference="3")
        assert caught.value.code == "131026"
    finally:
        await sandbox.put("whatsapp", window=False, unreachable=[])


async def test_a_look_that_fails_is_to_be_repeated_and_a_change_is_unknown(
    api: WhatsAppGateway, sandbox: SandboxServer
) -> None:
    await sandbox.put("whatsapp/knobs", error={"code": "http-502"})
    with pytest.raises(GatewayUnavailable):
        await api.number(SHOP)
    with pytest.raises(GatewayOutcomeUnknown):
        await api.create_template(SHOP, definition("talvez"))


def button(count: int, title: str = "Sim") -> Json:
    buttons = [{"type": "reply", "reply": {"id": str(n), "title": title}} for n in range(count)]
    return {"type": "button", "body": {"text": "Confirma?"}, "action": {"buttons": buttons}}


def listed(rows: int, sections: int = 1) -> Json:
    made = [
        {"rows": [{"id": f"{s}-{n}", "title": f"Opção {n}"} for n in range(rows)]}
        for s in range(sections)
    ]
    return {
        "type": "list",
        "body": {"text": "Escolha"},
        "action": {"button": "Ver", "sections": made},
    }


@pytest.mark.parametrize(
    "content",
    [
        {"type": "text", "text": {"body": "x" * 4097}},
        {"type": "text", "text": {"body": ""}},
        {"type": "text", "text": {"body": "x"}, "txt": 1},
        {"type": "image", "image": {"id": "1", "link": "https://a.example/b.jpg"}},
        {"type": "image", "image": {}},
        {"type": "sticker", "sticker": {"id": "1", "caption": "x"}},
        {"type": "location", "location": {"latitude": 91, "longitude": 0}},
        {"type": "interactive", "interactive": button(4)},
        {"type": "interactive", "interactive": button(1, "x" * 21)},
        {"type": "interactive", "interactive": listed(11)},
        {"type": "interactive", "interactive": listed(2, 2)},
        {"type": "video", "text": {"body": "x"}},
        {"type": "hologram"},
        {
            "type": "template",
            "template": {
                "name": "oi",
                "language": {"code": "pt_BR"},
                "components": [{"type": "button", "parameters": []}],
            },
        },
    ],
)
def test_what_the_vendor_would_refuse_is_refused_here(content: Json) -> None:
    with pytest.raises(ValidationError):
        OUTBOUND.validate_python(content)
