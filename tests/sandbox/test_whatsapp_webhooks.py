"""The sandbox's WhatsApp notices: signed over the exact bytes, repeated, reordered, retried."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.sandbox.server import APP_SECRET, Receiver, SandboxServer, until

PHONE = "109876543210987"
REFERENCE = "pedido/1042 são joão"


async def send(sandbox: SandboxServer, **changes: object) -> str:
    body: dict[str, object] = {
        "messaging_product": "whatsapp",
        "to": "5511987654321",
        "type": "text",
        "text": {"body": "Olá"},
        "biz_opaque_callback_data": REFERENCE,
    }
    answer = await sandbox.http.post(
        f"{sandbox.url}/graph/v23.0/{PHONE}/messages",
        json=body | changes,
        headers={"authorization": "Bearer EAAGtoken"},
    )
    assert answer.status_code == 200, answer.text
    wamid: str = answer.json()["messages"][0]["id"]
    return wamid


async def test_each_status_arrives_once_in_order_and_signed(
    sandbox: SandboxServer, receiver: Receiver
) -> None:
    wamid = await send(sandbox)
    await until(lambda: len(receiver.deliveries) == 3)
    assert receiver.statuses() == ["sent", "delivered", "read"]
    assert receiver.forged(APP_SECRET) == []
    assert len(receiver.forged("another secret of the app")) == 3
    for notice in receiver.notices():
        assert notice["id"] == wamid
        assert notice["recipient_id"] == "5511987654321"
        assert notice["biz_opaque_callback_data"] == REFERENCE
        assert notice["timestamp"].isdecimal()


async def test_the_bytes_are_escaped_as_the_vendor_escapes_them(
    sandbox: SandboxServer, receiver: Receiver
) -> None:
    """Whoever checks the signature over re-serialised JSON must fail here."""
    await send(sandbox)
    await until(lambda: len(receiver.deliveries) == 3)
    body, _ = receiver.deliveries[0]
    assert body.isascii()
    assert b"pedido\\/1042 s\\u00e3o jo\\u00e3o" in body
    receiver.deliveries = [
        (json.dumps(json.loads(raw), separators=(",", ":")).encode(), signature)
        for raw, signature in receiver.deliveries
    ]
    assert len(receiver.forged(APP_SECRET)) == 3


async def test_the_envelope_names_the_number_that_sent(
    sandbox: SandboxServer, receiver: Receiver
) -> None:
    await sandbox.put("whatsapp/knobs", statuses=["sent"], status_delay_ms=0)
    await send(sandbox)
    await until(lambda: len(receiver.deliveries) == 1)
    envelope = json.loads(receiver.deliveries[0][0])
    change = envelope["entry"][0]["changes"][0]
    assert envelope["object"] == "whatsapp_business_account"
    assert change["field"] == "messages"
    assert change["value"]["metadata"]["phone_number_id"] == PHONE


@pytest.mark.parametrize(
    ("knobs", "expected"),
    [
        ({"duplicates": 2}, ["sent", "sent", "delivered", "delivered", "read", "read"]),
        ({"reorder": True}, ["read", "delivered", "sent"]),
        ({"statuses": ["sent", "failed:131026"]}, ["sent", "failed"]),
        ({"statuses": []}, []),
        (
            {"reorder": True, "duplicates": 2, "statuses": ["sent", "read"]},
            ["read"] * 2 + ["sent"] * 2,
        ),
    ],
)
async def test_knobs_repeat_reorder_and_choose_the_statuses(
    knobs: dict[str, object], expected: list[str], sandbox: SandboxServer, receiver: Receiver
) -> None:
    await sandbox.put("whatsapp/knobs", status_delay_ms=1, **knobs)
    await send(sandbox)

    async def settled() -> bool:
        [entry] = await sandbox.requests(vendor="whatsapp")
        done = [c for c in entry["callbacks"] if c["state"] == "delivered"]
        return len(done) == len(expected)

    await until(settled)
    assert receiver.statuses() == expected
    assert receiver.forged(APP_SECRET) == []


async def test_a_failed_status_carries_the_vendors_error(
    sandbox: SandboxServer, receiver: Receiver
) -> None:
    await sandbox.put("whatsapp/knobs", statuses=["failed:131047"], status_delay_ms=0)
    await send(sandbox)
    await until(lambda: len(receiver.deliveries) == 1)
    [notice] = receiver.notices()
    assert notice["errors"][0]["code"] == 131047


async def test_batched_statuses_come_in_one_delivery(
    sandbox: SandboxServer, receiver: Receiver
) -> None:
    await sandbox.put("whatsapp/knobs", batch=True, status_delay_ms=0)
    await send(sandbox)
    await until(lambda: len(receiver.notices()) == 3)
    assert len(receiver.deliveries) == 1
    assert receiver.statuses() == ["sent", "delivered", "read"]


async def test_a_receiver_that_fails_is_tried_again(
    sandbox: SandboxServer, receiver: Receiver
) -> None:
    receiver.answers = [500, 503]
    await sandbox.put("whatsapp/knobs", statuses=["sent"], status_delay_ms=0)
    await send(sandbox)
    await until(lambda: len(receiver.deliveries) == 3)
    assert receiver.statuses() == ["sent"] * 3
    assert len({body for body, _ in receiver.deliveries}) == 1


async def test_a_receiver_that_keeps_failing_is_recorded_as_failed(
    sandbox: SandboxServer, receiver: Receiver
) -> None:
    receiver.answers = [500] * 9
    await sandbox.put("whatsapp/knobs", statuses=["sent"], status_delay_ms=0)
    await send(sandbox)

    async def given_up() -> bool:
        [entry] = await sandbox.requests(vendor="whatsapp")
        return [c["state"] for c in entry["callbacks"]] == ["failed"]

    await until(given_up)
    [entry] = await sandbox.requests(vendor="whatsapp")
    assert (entry["callbacks"][0]["attempts"], entry["callbacks"][0]["last"]) == (3, "HTTP 500")
    assert len(receiver.deliveries) == 3


async def test_a_cut_answer_is_still_followed_by_its_statuses(
    sandbox: SandboxServer, receiver: Receiver
) -> None:
    """The only way to settle an unknown outcome: the reference in the later notice."""
    await sandbox.put("whatsapp/knobs", drop_answer=1, statuses=["sent"], status_delay_ms=0)
    with pytest.raises(httpx.TransportError):
        await send(sandbox)
    await until(lambda: len(receiver.deliveries) == 1)
    assert receiver.notices()[0]["biz_opaque_callback_data"] == REFERENCE


async def test_only_accepted_messages_lose_their_answer(sandbox: SandboxServer) -> None:
    await sandbox.put("whatsapp/knobs", drop_answer=1)
    with pytest.raises(AssertionError, match="131008"):
        await send(sandbox, text={})
    with pytest.raises(httpx.TransportError):
        await send(sandbox)
    assert await send(sandbox)
    verdicts = [entry["verdict"] for entry in await sandbox.requests()]
    assert verdicts == ["accepted", "answer dropped", "refused"]


async def test_a_refused_message_is_never_notified(
    sandbox: SandboxServer, receiver: Receiver
) -> None:
    with pytest.raises(AssertionError, match="131008"):
        await send(sandbox, text={})
    await send(sandbox)
    await until(lambda: len(receiver.deliveries) == 3)
    accepted, refused = await sandbox.requests(vendor="whatsapp")
    assert len(accepted["callbacks"]) == 3
    assert refused["callbacks"] == []


async def test_clearing_also_stops_the_notices_on_their_way(
    sandbox: SandboxServer, receiver: Receiver
) -> None:
    await sandbox.put("whatsapp/knobs", statuses=["sent"], status_delay_ms=200)
    await send(sandbox)
    await sandbox.http.delete(f"{sandbox.url}/_sandbox/requests")
    await sandbox.put("whatsapp/knobs", statuses=["read"], status_delay_ms=300)
    await send(sandbox)
    await until(lambda: len(receiver.deliveries) == 1)
    assert receiver.statuses() == ["read"]
