"""The sandbox's PaymentIntents and refunds: what it refuses, and whose events go where."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.factories.receiver import receiving
from tests.sandbox.server import SandboxServer, until
from tests.sandbox.test_stripe import KEY, SECRET, call

INTENT = {"amount": "4990", "currency": "brl", "metadata[payment_id]": "p1"}
SHOP = {"authorization": "Bearer sk_test_umaloja1234"}


@pytest.fixture(autouse=True)
async def quiet(sandbox: SandboxServer) -> None:
    await sandbox.put("stripe/knobs")
    await sandbox.put("stripe", webhook_url="", accounts={}, slow_refunds=False)


async def live(sandbox: SandboxServer, id_: str, step: str) -> Any:
    return (await sandbox.http.post(f"{sandbox.url}/stripe/life/{id_}/{step}")).json()


async def test_an_intent_lives_as_at_stripe(sandbox: SandboxServer) -> None:
    _, intent = await call(sandbox, "payment_intents", INTENT)
    path = f"payment_intents/{intent['id']}"
    assert (intent["status"], intent["amount_received"]) == ("requires_payment_method", 0)
    assert intent["client_secret"].startswith(f"{intent['id']}_secret_")
    assert "sandbox_key" not in json.dumps(intent)
    assert (await call(sandbox, path, {"amount": "5000"}))[1]["amount"] == 5000
    await live(sandbox, intent["id"], "decline")
    declined = (await call(sandbox, path))[1]
    assert declined["last_payment_error"]["code"] == "card_declined"
    assert (await call(sandbox, "refunds", {"payment_intent": intent["id"]}))[0] == 400
    await live(sandbox, intent["id"], "succeed")
    assert (await call(sandbox, path))[1]["amount_received"] == 5000
    for refused in ({"amount": "100"}, {}):
        where = path if refused else f"{path}/cancel"
        status, body = await call(sandbox, where, refused)
        assert (status, body["error"]["code"]) == (400, "payment_intent_unexpected_state")


async def test_refunds_end_where_the_money_ends(sandbox: SandboxServer) -> None:
    _, intent = await call(sandbox, "payment_intents", INTENT)
    await live(sandbox, intent["id"], "succeed")
    part = {"payment_intent": intent["id"], "amount": "1000"}
    key = {"idempotency-key": f"r-{intent['id']}"}
    first = await call(sandbox, "refunds", part, **key)
    assert await call(sandbox, "refunds", part, **key) == first
    assert (await call(sandbox, "refunds", part | {"amount": "3991"}))[0] == 400
    _, rest = await call(sandbox, "refunds", {"payment_intent": intent["id"]})
    assert rest["amount"] == 3990
    assert (await call(sandbox, f"refunds/{rest['id']}"))[1]["status"] == "succeeded"


async def test_parameters_are_checked(sandbox: SandboxServer) -> None:
    for fields, code in (
        (INTENT | {"amount": "49"}, "amount_too_small"),
        (INTENT | {"amount": "4.9"}, "parameter_invalid_integer"),
        (INTENT | {"typo": "1"}, "parameter_unknown"),
        ({"amount": "4990"}, "parameter_missing"),
    ):
        status, body = await call(sandbox, "payment_intents", fields)
        assert (status, body["error"]["code"]) == (400, code)


async def test_a_shops_events_go_to_the_shop(sandbox: SandboxServer) -> None:
    async with receiving() as platform, receiving() as shop:
        account = {"webhook_url": shop.url, "webhook_secret": "whsec_da_loja"}
        await sandbox.put("stripe/knobs", status_delay_ms=1)
        await sandbox.put(
            "stripe",
            webhook_url=platform.url,
            webhook_secret=SECRET,
            accounts={"sk_test_umaloja1234": account},
        )
        await call(sandbox, "payment_intents", INTENT, **SHOP)
        await call(sandbox, "payment_intents", INTENT, **KEY)
        await until(lambda: len(shop.got) == len(platform.got) == 1)
        [event] = [json.loads(got.body) for got in shop.got]
        assert event["type"] == "payment_intent.created"
        assert "sandbox_key" not in event
        signatures = {got.headers["stripe-signature"] for got in (*shop.got, *platform.got)}
        assert len(signatures) == 2
        await sandbox.put("stripe", webhook_url="", accounts={})
