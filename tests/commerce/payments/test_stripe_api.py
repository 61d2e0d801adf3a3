"""Cards through the shop's own Stripe account: intents, signed events with bad manners, refunds."""

from __future__ import annotations

import json
import time

import httpx
import pytest
from sqlalchemy import select

from app.commerce.payments import jobs
from app.kernel.inbox.models import InboxMessage
from app.kernel.inbox.rules import signed
from app.kernel.jobs.service import RetryLater
from tests.commerce.payments.cashier import ADMIN, WHSEC, Cashier, Event
from tests.factories.commerce import key
from tests.sandbox.server import until


async def paid(cashier: Cashier) -> tuple[dict[str, str], str]:
    """An order paid by card, and its intent."""
    order = await cashier.order("stripe")
    intent = await cashier.intent_id(order)
    await cashier.deliver(*await cashier.live(intent, "succeed"))
    return order, intent


async def test_one_intent_per_payment_however_often_it_is_asked(cashier: Cashier) -> None:
    order = await cashier.order("stripe")
    first, again = [await cashier.intent(order) for _ in range(2)]
    assert first == again
    assert first["publishable_key"] == "pk_test_loja12345"
    intent = await cashier.at_stripe(first["client_secret"].partition("_secret_")[0])
    assert (intent["amount"], intent["currency"]) == (4990, "brl")
    assert intent["metadata"]["payment_id"] == first["payment_id"]
    made = [
        r
        for r in await cashier.sandbox.requests(vendor="stripe", limit="500")
        if r["path"].endswith("/payment_intents")
        and r["body"].get("metadata[payment_id]") == first["payment_id"]
    ]
    assert len(made) == 1


async def test_an_intent_needs_an_open_card_payment_and_an_account(cashier: Cashier) -> None:
    pix = await cashier.order("pix")
    assert (await cashier.intent(pix, status=409))["code"] == "payment-not-open"
    order = await cashier.order("stripe")
    wrong = await cashier.shopper.post(
        f"/api/v1/orders/{order['id']}/payment-intent", params={"token": "x" * 43}
    )
    assert wrong.status_code == 404
    await cashier.sandbox.put("stripe/knobs", error={"code": "402", "times": 1})
    assert (await cashier.intent(order, status=502))["code"] == "card-provider-failed"
    assert (await cashier.payment(order))["provider_ref"] is None
    assert (await cashier.cancel(order)).status_code == 200
    assert (await cashier.intent(order, status=409))["code"] == "payment-not-open"
    other = await cashier.order("stripe")
    connections = (await cashier.owner.get("/api/v1/connections")).json()
    [row] = connections["items"] if isinstance(connections, dict) else connections
    gone = await cashier.owner.delete(f"/api/v1/connections/{row['id']}")
    assert gone.status_code == 204
    assert (await cashier.intent(other, status=409))["code"] == "card-payments-not-configured"


async def test_a_paid_intent_pays_the_order_once(cashier: Cashier) -> None:
    order = await cashier.order("stripe")
    intent = await cashier.intent_id(order)
    [event] = await cashier.live(intent, "succeed")
    assert (await cashier.payment(order))["status"] == "pending", "nobody was told yet"
    await cashier.deliver(event, event, {**event, "id": f"{event['id']}b"})
    payment = await cashier.payment(order)
    assert (payment["status"], payment["received_cents"], payment["flag"]) == ("paid", 4990, None)
    assert await cashier.told("commerce.payment_paid") == 1
    by_hand = await cashier.received(order, 100)
    assert by_hand.json()["code"] == "provider-confirms"


async def test_a_declined_card_may_be_followed_by_a_good_one_in_any_order(
    cashier: Cashier,
) -> None:
    order = await cashier.order("stripe")
    intent = await cashier.intent_id(order)
    declined = await cashier.live(intent, "decline")
    await cashier.deliver(*declined)
    payment = await cashier.payment(order)
    assert (payment["status"], payment["error"]) == ("failed", "Your card was declined.")
    assert await cashier.told("commerce.payment_failed") == 1
    assert (await cashier.intent(order))["client_secret"].startswith(intent)
    succeeded = await cashier.live(intent, "succeed")
    await cashier.deliver(*succeeded, {**declined[0], "id": "evt_late_news"})
    assert (await cashier.payment(order))["status"] == "paid"
    assert await cashier.told("commerce.payment_failed") == 1


@pytest.mark.parametrize(
    ("step", "status", "flag", "received"),
    [("short", "pending", "short", 4890), ("over", "paid", "over", 5090),
     ("foreign", "pending", "currency", 0)],
)  # fmt: skip
async def test_another_amount_or_currency_is_flagged(
    cashier: Cashier, step: str, status: str, flag: str, received: int
) -> None:
    order = await cashier.order("stripe")
    events = await cashier.live(await cashier.intent_id(order), step)
    await cashier.deliver(*events)
    payment = await cashier.payment(order)
    assert (payment["status"], payment["flag"]) == (status, flag)
    assert payment["received_cents"] == received
    assert await cashier.told("commerce.payment_flagged") == 1


async def test_only_the_shops_own_secret_signs(
    cashier: Cashier, outsider: httpx.AsyncClient
) -> None:
    order = await cashier.order("stripe")
    [event] = await cashier.live(await cashier.intent_id(order), "succeed")
    assert (await cashier.post(event, "whsec_of_somebody")).status_code == 401
    body = json.dumps(event).encode()
    header = {"stripe-signature": signed(WHSEC, int(time.time()), body)}
    slug = cashier.world.tenant.slug
    for path, content, headers, status in (
        (slug, body + b" ", header, 401),
        (slug, body, {}, 401),
        (slug, body, {"stripe-signature": signed(WHSEC, int(time.time()) - 600, body)}, 401),
        ("nobody-here", body, header, 401),
        (outsider.headers["x-tenant"], body, header, 401),
    ):
        answer = await cashier.shopper.post(
            f"/api/v1/webhooks/stripe/{path}", content=content, headers=headers
        )
        assert answer.status_code == status, (path, answer.text)
    live: Event = {**event, "livemode": True}
    assert (await cashier.post(live)).json()["code"] == "webhook-wrong-mode"
    assert await cashier.work_off() == 0
    assert (await cashier.payment(order))["status"] == "pending"


async def test_news_of_an_unknown_payment_are_kept_and_tried_again(cashier: Cashier) -> None:
    answer = await cashier.sandbox.http.post(
        f"{cashier.sandbox.url}/stripe/v1/payment_intents",
        data={
            "amount": "500",
            "currency": "brl",
            "metadata[payment_id]": "0199a000-0000-7000-8000-000000000000",
        },
        headers={"authorization": "Bearer sk_test_loja12345"},
    )
    [event] = await cashier.live(answer.json()["id"], "succeed")
    assert (await cashier.post(event)).status_code == 200
    with pytest.raises(Exception, match="payment 0199a000"):
        await cashier.work_off()
    async with cashier.app.runtime.database.system_session() as session:
        found = select(InboxMessage).where(
            InboxMessage.event_id == f"{cashier.world.tenant.id.hex}:{event['id']}"
        )
        row = (await session.execute(found)).scalar_one()
    assert (row.state, row.attempts) == ("pending", 1)
    assert "payment 0199a000" in (row.last_error or "")


async def test_an_intent_of_another_business_is_none_of_ours(cashier: Cashier) -> None:
    answer = await cashier.sandbox.http.post(
        f"{cashier.sandbox.url}/stripe/v1/payment_intents",
        data={"amount": "500", "currency": "brl"},
        headers={"authorization": "Bearer sk_test_loja12345"},
    )
    await cashier.deliver(*await cashier.live(answer.json()["id"], "succeed"))
    assert await cashier.rows() == (0, 0)


async def test_stripe_delivers_doubled_and_reversed_by_itself(
    cashier: Cashier, sandbox_url: str
) -> None:
    """The sandbox signs and sends; a receiver in front hands the bytes on, untouched."""
    order = await cashier.order("stripe")
    intent = await cashier.intent_id(order)
    await cashier.sandbox.put("stripe/knobs", duplicates=3, reorder=True, status_delay_ms=1)
    from_sandbox = "http://127.0.0.1:9/never"
    account = {"webhook_url": from_sandbox, "webhook_secret": WHSEC}
    await cashier.sandbox.put("stripe", accounts={"sk_test_loja12345": account}, attempts=1)
    await cashier.live(intent, "succeed")

    async def sent() -> bool:
        found = await cashier.sandbox.requests(vendor="stripe", limit="20")
        return any(len(r["callbacks"]) == 3 for r in found)

    await until(sent)
    for request in await cashier.sandbox.requests(vendor="stripe", limit="20"):
        for callback in request["callbacks"]:
            if callback["url"] != from_sandbox:
                continue
            answer = await cashier.shopper.post(
                f"/api/v1/webhooks/stripe/{cashier.world.tenant.slug}",
                content=callback["body"].encode(),
                headers={"stripe-signature": callback["signature"]},
            )
            assert answer.status_code == 200, answer.text
    await cashier.work_off()
    assert (await cashier.payment(order))["status"] == "paid"
    assert await cashier.told("commerce.payment_paid") == 1


async def test_refunds_in_parts_never_exceed_what_came_in(cashier: Cashier) -> None:
    order, _ = await paid(cashier)
    assert (await cashier.refund(order, 1000)).status_code == 200
    assert await cashier.refunds(order) == [(1000, "pending")]
    await cashier.work_off()
    assert await cashier.refunds(order) == [(1000, "done")]
    assert (await cashier.payment(order))["status"] == "paid"
    assert (await cashier.refund(order, 3991)).json()["refundable_cents"] == 3990
    assert (await cashier.refund(order)).status_code == 200
    await cashier.work_off()
    assert await cashier.refunds(order) == [(1000, "done"), (3990, "done")]
    assert (await cashier.payment(order))["status"] == "refunded"
    assert await cashier.told("commerce.refund_done") == 2
    assert (await cashier.refund(order, 1)).json()["code"] == "nothing-to-refund"


async def test_cancelling_a_paid_order_gives_its_money_back(cashier: Cashier) -> None:
    order, _ = await paid(cashier)
    stock = await cashier.stock()
    assert (await cashier.cancel(order)).status_code == 200
    assert await cashier.stock() == stock + 1
    await cashier.work_off()
    assert await cashier.refunds(order) == [(4990, "done")]
    assert (await cashier.payment(order))["status"] == "refunded"


async def test_a_refused_refund_tells_the_staff_and_can_be_tried_again(cashier: Cashier) -> None:
    order, _ = await paid(cashier)
    await cashier.refund(order, 1000)
    await cashier.sandbox.put("stripe/knobs", error={"code": "402", "times": 1})
    await cashier.work_off()
    [refund] = (await cashier.money(order))["refunds"]
    assert refund["status"] == "failed"
    assert refund["error"]
    assert await cashier.told("commerce.refund_failed") == 1
    path = f"{ADMIN}/payments/refunds/{refund['id']}"
    by_hand = await cashier.owner.post(f"{path}/settled", headers=key())
    assert by_hand.json()["code"] == "refund-not-manual"
    assert (await cashier.owner.post(f"{path}/retry", headers=key())).status_code == 200
    twice = await cashier.owner.post(f"{path}/retry", headers=key())
    assert twice.json()["code"] == "refund-not-retryable"
    await cashier.work_off()
    assert await cashier.refunds(order) == [(1000, "done")]


async def test_a_vendor_that_is_away_is_asked_again_with_the_same_key(cashier: Cashier) -> None:
    order, _ = await paid(cashier)
    await cashier.refund(order, 1000)
    refund_id = (await cashier.money(order))["refunds"][0]["id"]
    # The answer is lost on each of the library's own attempts: the money has moved.
    await cashier.sandbox.put("stripe/knobs", drop_answer=3)
    with pytest.raises(RetryLater):
        await cashier.work_off()
    assert await cashier.refunds(order) == [(1000, "pending")]
    await cashier.sandbox.put("stripe/knobs")
    await jobs.refund(cashier.job({"refund_id": refund_id}, delivery=2))
    assert await cashier.refunds(order) == [(1000, "done")]
    assert (await cashier.refund(order, 3990)).status_code == 200, "1000 went back, not 4000"
    await cashier.work_off()
    assert (await cashier.payment(order))["status"] == "refunded"


@pytest.mark.parametrize(("step", "status"), [("settle", "done"), ("bounce", "failed")])
async def test_a_slow_refund_ends_when_its_event_comes(
    cashier: Cashier, step: str, status: str
) -> None:
    order, _ = await paid(cashier)
    await cashier.sandbox.put("stripe", slow_refunds=True)
    await cashier.refund(order, 1000)
    await cashier.work_off()
    assert await cashier.refunds(order) == [(1000, "pending")]
    made = await cashier.sandbox.requests(vendor="stripe", limit="5")
    [remote] = [r["answer"]["id"] for r in made if r["path"].endswith("/refunds")]
    await cashier.deliver(*await cashier.live(remote, step))
    assert await cashier.refunds(order) == [(1000, status)]
    assert await cashier.told(f"commerce.refund_{status}") == 1
