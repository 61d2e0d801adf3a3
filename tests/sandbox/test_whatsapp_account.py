"""The sandbox's WhatsApp beyond sends: people who write, reviews of templates, notices lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.server import APP_SECRET, Receiver, SandboxServer, until

HEADERS = {"authorization": "Bearer EAAGtoken"}
BODY = {"type": "BODY", "text": "Oi"}


def change(receiver: Receiver, at: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(receiver.deliveries[at][0])["entry"][0]["changes"][0]
    return found


async def test_a_person_who_types_is_delivered_signed(
    sandbox: SandboxServer, receiver: Receiver
) -> None:
    await sandbox.put("whatsapp/knobs", duplicates=2)
    answer = await sandbox.http.post(
        f"{sandbox.url}/_sandbox/whatsapp/messages",
        json={"from": "5511987654321", "name": "Ana", "text": "Olá!", "phone_number_id": "123456"},
    )
    assert answer.status_code == 202
    await until(lambda: len(receiver.deliveries) == 2)
    assert receiver.forged(APP_SECRET) == []
    value = change(receiver)["value"]
    assert value["metadata"]["phone_number_id"] == "123456"
    assert value["contacts"] == [{"profile": {"name": "Ana"}, "wa_id": "5511987654321"}]
    [message] = value["messages"]
    assert (message["type"], message["text"]) == ("text", {"body": "Olá!"})
    assert receiver.deliveries[0] == receiver.deliveries[1]
    [entry] = await sandbox.requests(vendor="whatsapp")
    assert (entry["method"], entry["verdict"], entry["preview"]) == ("TYPED", "typed", "Olá!")


@pytest.mark.parametrize(("review", "event"), [("approve", "APPROVED"), ("reject", "REJECTED")])
async def test_a_template_is_reviewed_as_the_knob_says(
    review: str, event: str, sandbox: SandboxServer, receiver: Receiver
) -> None:
    await sandbox.put("whatsapp", review=review, review_ms=1)
    url = f"{sandbox.url}/graph/v23.0/40000000000{len(review)}/message_templates"
    body = {"name": "oi", "language": "pt_BR", "category": "UTILITY", "components": [BODY]}
    answer = await sandbox.http.post(url, json=body, headers=HEADERS)
    assert answer.json()["status"] == "PENDING"
    await until(lambda: len(receiver.deliveries) == 1)
    assert receiver.forged(APP_SECRET) == []
    told = change(receiver)
    assert told["field"] == "message_template_status_update"
    assert (told["value"]["event"], told["value"]["message_template_name"]) == (event, "oi")
    [listed] = (await sandbox.http.get(url, headers=HEADERS)).json()["data"]
    assert (listed["status"], listed["id"]) == (event, answer.json()["id"])
    await sandbox.put("whatsapp", review="approve", review_ms=100)


async def test_a_notice_can_be_lost(sandbox: SandboxServer, receiver: Receiver) -> None:
    await sandbox.put("whatsapp/knobs", lose=1, status_delay_ms=0)
    sent = await sandbox.http.post(
        f"{sandbox.url}/graph/v23.0/109876543210987/messages",
        json={
            "messaging_product": "whatsapp",
            "to": "5511987654321",
            "type": "text",
            "text": {"body": "Oi"},
        },
        headers=HEADERS,
    )
    assert sent.status_code == 200
    await until(lambda: len(receiver.deliveries) == 2)
    assert receiver.statuses() == ["delivered", "read"]


async def test_the_page_lets_one_type_as_a_customer(sandbox: SandboxServer) -> None:
    page = (await sandbox.http.get(sandbox.url)).text
    assert 'id="typing"' in page
    assert "Escreva como cliente" in page
    assert "@@" not in page
