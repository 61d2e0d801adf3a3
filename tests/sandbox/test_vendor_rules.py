"""The played vendors refuse what the real ones refuse, in their words."""

from __future__ import annotations

import pytest

from tests.sandbox.server import Json, SandboxServer

GOOD: dict[str, Json] = {
    "messaging_product": "whatsapp",
    "recipient_type": "individual",
    "to": "5511987654321",
    "type": "text",
    "text": {"body": "Olá"},
}
BUTTON = {"type": "reply", "reply": {"id": "1", "title": "Sim"}}


def buttons(*found: Json) -> dict[str, Json]:
    action = {"buttons": list(found)}
    inner = {"type": "button", "body": {"text": "Confirma?"}, "action": action}
    return {"type": "interactive", "interactive": inner}


def cents(value: int) -> dict[str, Json]:
    return {"value": value, "offset": 100}


def order(**changes: Json) -> dict[str, Json]:
    """An order to be paid, whose sums agree."""
    items = [{"retailer_id": "CAL", "name": "Pizza", "amount": cents(4990), "quantity": 2}]
    bought = {"status": "pending", "items": items, "subtotal": cents(9980), "tax": cents(0),
              "shipping": cents(700), "discount": cents(500)}  # fmt: skip
    pix = {"type": "pix_dynamic_code", "pix_dynamic_code": {"code": "000201"}}
    parameters = {"reference_id": "abc-1", "type": "physical-goods", "currency": "BRL",
                  "payment_settings": [pix], "total_amount": cents(10180),
                  "order": bought}  # fmt: skip
    action = {"name": "review_and_pay", "parameters": parameters | changes}
    inner = {"type": "order_details", "body": {"text": "Seu pedido"}, "action": action}
    return {"type": "interactive", "interactive": inner}


def status(name: str) -> dict[str, Json]:
    parameters = {"reference_id": "abc-1", "order": {"status": name}}
    action = {"name": "review_order", "parameters": parameters}
    inner = {"type": "order_status", "body": {"text": "Saiu"}, "action": action}
    return {"type": "interactive", "interactive": inner}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (order(reference_id="x" * 36), 131009),
        (order(total_amount=cents(10181)), 131009),
        (order(total_amount={"value": 10180, "offset": 1}), 131009),
        (order(currency=""), 131008),
        (order(order={"status": "pending", "items": [], "subtotal": cents(0)}), 131008),
        (status("in_the_oven"), 131009),
        ({"messaging_product": "telegram"}, 100),
        ({"to": ""}, 100),
        ({"to": 5511987654321}, 131009),
        ({"to": "ana"}, 131009),
        ({"type": "poll"}, 100),
        ({"text": {}}, 131008),
        ({"text": {"body": "x" * 4097}}, 100),
        ({"text": {"body": "x", "preview_url": "yes"}}, 131009),
        ({"type": "image", "image": {"caption": "x"}}, 131008),
        ({"type": "template", "template": {"name": "x"}}, 131008),
        ({"type": "template", "template": {"name": "x", "language": {"code": "pt_BR"},
                                           "components": [{"type": "foot"}]}}, 132012),
        ({"type": "reaction", "reaction": {"emoji": "👍"}}, 131008),
        ({"biz_opaque_callback_data": "x" * 513}, 100),
        (buttons(*[BUTTON] * 4), 131009),
        (buttons({"reply": {"id": "1", "title": "x" * 21}}), 131009),
    ],
)  # fmt: skip
async def test_whatsapp_refuses(change: dict[str, Json], code: int, sandbox: SandboxServer) -> None:
    url = f"{sandbox.url}/graph/v23.0/109876543210987/messages"
    headers = {"authorization": "Bearer EAAGtoken"}
    accepted = await sandbox.http.post(url, json=GOOD, headers=headers)
    refused = await sandbox.http.post(url, json=GOOD | change, headers=headers)
    error = refused.json()["error"]
    assert accepted.status_code == 200
    assert refused.status_code == 400
    assert (error["code"], error["type"]) == (code, "OAuthException")
    assert error["fbtrace_id"]
    newest = (await sandbox.requests())[0]
    assert (newest["verdict"], newest["callbacks"]) == ("refused", [])


async def test_orders_and_their_status_are_shown_as_people_read_them(
    sandbox: SandboxServer,
) -> None:
    url = f"{sandbox.url}/graph/v23.0/109876543210987/messages"
    headers = {"authorization": "Bearer EAAGtoken"}
    for body in (order(), status("shipped")):
        answer = await sandbox.http.post(url, json=GOOD | body, headers=headers)
        assert answer.status_code == 200, answer.text
    typed = {"from": "5511987654321", "type": "order", "order": {"product_items": [
        {"product_retailer_id": "CAL", "quantity": 2},
        {"product_retailer_id": "GUA", "quantity": 1},
    ]}}  # fmt: skip
    reply = {"type": "button_reply", "button_reply": {"id": "1", "title": "Retirar"}}
    for body in (typed, {"from": "5511987654321", "type": "interactive", "interactive": reply}):
        await sandbox.http.post(f"{sandbox.url}/_sandbox/whatsapp/messages", json=body)
    previews = [r["preview"] for r in await sandbox.requests(vendor="whatsapp")]
    assert previews == ["Retirar", "2 x CAL\n1 x GUA", "Saiu", "Seu pedido\nPIX: 000201"]


async def test_whatsapp_wants_a_token_a_version_and_json(sandbox: SandboxServer) -> None:
    post = sandbox.http.post
    good = f"{sandbox.url}/graph/v23.0/109876543210987/messages"
    bearer = {"authorization": "Bearer EAAGtoken"}
    missing = await post(good, json=GOOD)
    garbage = await post(good, content=b"{not json", headers=bearer)
    version = await post(good.replace("v23.0", "latest"), json=GOOD, headers=bearer)
    await sandbox.put("whatsapp", tokens=["EAAGother"])
    wrong = await post(good, json=GOOD, headers=bearer)
    assert [a.json()["error"]["code"] for a in (missing, garbage, version)] == [104, 100, 100]
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, 190)


async def test_whatsapp_answers_with_the_vendors_shape(sandbox: SandboxServer) -> None:
    url = f"{sandbox.url}/graph/v23.0/109876543210987/messages"
    headers = {"authorization": "Bearer EAAGtoken"}
    answer = await sandbox.http.post(url, json=GOOD | {"to": "+55 11 98765-4321"}, headers=headers)
    body = answer.json()
    wamid = body["messages"][0]["id"]
    assert wamid.startswith("wamid.HBgN")
    assert body == {
        "messaging_product": "whatsapp",
        "contacts": [{"input": "+55 11 98765-4321", "wa_id": "5511987654321"}],
        "messages": [{"id": wamid}],
    }
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}
    assert (await sandbox.http.post(url, json=read, headers=headers)).json() == {"success": True}


@pytest.mark.parametrize(
    ("fields", "description"),
    [
        ({"text": "Oi"}, "Bad Request: chat_id is empty"),
        ({"chat_id": "ana", "text": "Oi"}, "Bad Request: chat not found"),
        ({"chat_id": 42}, "Bad Request: message text is empty"),
        ({"chat_id": 42, "text": "  "}, "Bad Request: message text is empty"),
        ({"chat_id": 42, "text": "x" * 4097}, "Bad Request: message is too long"),
        ({"chat_id": 42, "text": "Oi", "parse_mode": "X"}, "Bad Request: unsupported parse_mode"),
    ],
)
async def test_telegram_refuses(
    fields: dict[str, Json], description: str, sandbox: SandboxServer
) -> None:
    url = f"{sandbox.url}/telegram/bot7001234567:AAHtoken/sendMessage"
    answer = await sandbox.http.post(url, json=fields)
    assert answer.status_code == 400
    assert answer.json() == {"ok": False, "error_code": 400, "description": description}


async def test_telegram_takes_json_forms_and_queries(sandbox: SandboxServer) -> None:
    url = f"{sandbox.url}/telegram/bot7001234567:AAHtoken/sendMessage"
    fields = {"chat_id": "42", "text": "Olá, João"}
    for answer in (
        await sandbox.http.post(url, json=fields),
        await sandbox.http.post(url, data=fields),
        await sandbox.http.get(url, params=fields),
    ):
        body = answer.json()
        assert body["ok"] is True
        assert (body["result"]["text"], body["result"]["chat"]["id"]) == ("Olá, João", 42)
        assert body["result"]["from"] == {
            "id": 7001234567,
            "is_bot": True,
            "first_name": "Largo",
            "username": "largo_7001234567_bot",
        }


async def test_telegram_knows_its_bots_and_methods(sandbox: SandboxServer) -> None:
    post, root = sandbox.http.post, f"{sandbox.url}/telegram"
    assert (await post(f"{root}/botnonsense/sendMessage")).json()["error_code"] == 404
    assert (await post(f"{root}/bot7001234567:AAHtoken/fly")).json()["error_code"] == 404
    assert (await post(f"{root}/bot7001234567:AAHtoken/getMe")).json()["result"]["is_bot"] is True
    await sandbox.put("telegram", tokens=["1:other"])
    assert (await post(f"{root}/bot7001234567:AAHtoken/getMe")).json()["error_code"] == 401


async def test_telegram_names_the_new_chat_of_an_upgraded_group(sandbox: SandboxServer) -> None:
    await sandbox.put("telegram/knobs", error={"code": "1400", "times": 1})
    url = f"{sandbox.url}/telegram/bot7001234567:AAHtoken/sendMessage"
    answer = await sandbox.http.post(url, json={"chat_id": -42, "text": "Oi"})
    assert answer.status_code == 400
    assert answer.json()["parameters"] == {"migrate_to_chat_id": -1001234567890}
