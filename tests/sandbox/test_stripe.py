"""The sandbox as Stripe: what it refuses, and its events with every bad manner."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from tests.factories.receiver import Receiver, receiving
from tests.sandbox.server import SandboxServer, until

KEY = {"authorization": "Bearer sk_test_largo"}
SECRET = "whsec_da_caixa_de_areia"


async def call(
    sandbox: SandboxServer, path: str, fields: dict[str, str] | None = None, **headers: str
) -> tuple[int, Any]:
    url = f"{sandbox.url}/stripe/v1/{path}"
    if fields is None:
        answer = await sandbox.http.get(url, headers=KEY | headers)
    else:
        answer = await sandbox.http.post(url, data=fields, headers=KEY | headers)
    return answer.status_code, answer.json()


async def page(sandbox: SandboxServer) -> tuple[str, str]:
    """A customer and an open page."""
    _, customer = await call(sandbox, "customers", {"name": "Ana", "metadata[tenant_id]": "t"})
    _, session = await call(sandbox, "checkout/sessions", order(customer["id"]))
    return customer["id"], session["id"]


def order(customer: str, **fields: str) -> dict[str, str]:
    return {
        "mode": "subscription",
        "customer": customer,
        "line_items[0][price]": "price_largo_pro",
        "line_items[0][quantity]": "1",
        "subscription_data[metadata][tenant_id]": "t",
        "success_url": "https://a.example",
        **fields,
    }


@pytest.fixture
async def stripe(sandbox: SandboxServer) -> SandboxServer:
    await sandbox.put("stripe/knobs")
    await sandbox.put("stripe", webhook_url="", webhook_secret=SECRET, attempts=3, retry_delay_ms=5)
    return sandbox


async def paid(sandbox: SandboxServer, receiver: Receiver, count: int) -> list[str]:
    """Pay a page; the types of events in order of arrival."""
    await sandbox.put("stripe", webhook_url=receiver.url)
    _, session = await page(sandbox)
    answer = await sandbox.http.post(f"{sandbox.url}/stripe/life/{session}/pay", json={})
    assert answer.status_code == 200
    await until(lambda: len(receiver.got) >= count)
    for got in receiver.got:
        at, _, mac = got.headers["stripe-signature"].partition(",v1=")
        text = at.removeprefix("t=").encode() + b"." + got.body
        assert hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest() == mac
    return [json.loads(got.body)["type"] for got in receiver.got]


async def test_requests_are_checked_as_stripe_does(stripe: SandboxServer) -> None:
    customer, session = await page(stripe)
    for path, fields, status, code in (
        ("checkout/sessions", order("cus_none"), 400, "resource_missing"),
        ("checkout/sessions", order(customer, typo="1"), 400, "parameter_unknown"),
        ("checkout/sessions", order(customer, success_url=""), 400, "parameter_missing"),
        ("checkout/sessions", order(customer, success_url="x"), 400, "url_invalid"),
        ("checkout/sessions", order(customer) | {"line_items[0][price]": "p"}, 400, None),
        ("subscriptions/sub_none", None, 404, "resource_missing"),
        ("nowhere/x", None, 404, "url_invalid"),
    ):
        got, body = await call(stripe, path, fields)
        assert got == status, body
        assert code in (None, body["error"]["code"])
    assert (await call(stripe, "customers", {}, authorization="Bearer pk_test_x"))[0] == 401
    assert (await call(stripe, f"checkout/sessions/{session}/expire", {}))[1]["status"] == "expired"
    assert (await call(stripe, f"checkout/sessions/{session}/expire", {}))[0] == 400


async def test_a_key_answers_once(stripe: SandboxServer) -> None:
    key = {"idempotency-key": "k-1"}
    first = await call(stripe, "customers", {"name": "Ana"}, **key)
    assert await call(stripe, "customers", {"name": "Ana"}, **key) == first
    status, body = await call(stripe, "customers", {"name": "Eva"}, **key)
    assert (status, body["error"]["type"]) == (400, "idempotency_error")


async def test_events_are_signed_doubled_reordered_and_lost(stripe: SandboxServer) -> None:
    life = ["customer.subscription.created", "invoice.paid", "invoice.payment_succeeded"]
    life.append("checkout.session.completed")
    for knobs, wanted in (
        ({}, life),
        ({"duplicates": 2}, [type_ for type_ in life for _ in range(2)]),
        ({"reorder": True}, life[::-1]),
        ({"lose": 3}, life[3:]),
    ):
        await stripe.put("stripe/knobs", status_delay_ms=2, **knobs)
        async with receiving() as receiver:
            assert await paid(stripe, receiver, len(wanted)) == wanted


async def test_the_pages_are_pages(stripe: SandboxServer) -> None:
    customer, session = await page(stripe)
    shown = await stripe.http.get(f"{stripe.url}/stripe/pay/{session}")
    assert "R$ 149,00" in shown.text
    paid = await stripe.http.post(f"{stripe.url}/stripe/pay/{session}", data={"action": "pay"})
    assert (paid.status_code, paid.headers["location"]) == (303, "https://a.example")
    again = await stripe.http.get(f"{stripe.url}/stripe/pay/{session}")
    assert "complete" in again.text
    _, listed = await call(stripe, f"subscriptions?customer={customer}&status=all")
    [one] = listed["data"]
    assert (one["status"], one["metadata"]) == ("active", {"tenant_id": "t"})
    assert "sandbox_price" not in json.dumps(await call(stripe, f"checkout/sessions/{session}"))
