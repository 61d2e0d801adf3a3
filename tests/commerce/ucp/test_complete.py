"""Completing: one order by the storefront's own checkout, at the total shown, or a reason."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import selectinload

from app.commerce.catalog.models import Product
from app.commerce.inventory.models import StockLevel
from app.commerce.orders.models import Order
from app.commerce.promotions.models import PromotionRedemption
from app.commerce.ucp.models import UcpSession
from app.kernel.contacts.models import Contact
from app.kernel.retention import prune
from tests.commerce.ucp.contract import check_session
from tests.commerce.ucp.platform import (
    BUYER,
    DELIVERY,
    PICKUP,
    SESSIONS,
    Platform,
    instrument,
    said,
    total,
    wanted,
)
from tests.factories.commerce import Shop
from tests.factories.tenants import World
from tests.kernel.queue_probe import system

READY: dict[str, Any] = {"buyer": BUYER, "fulfillment": PICKUP}


async def orders(world: World) -> list[Order]:
    async with world.work() as work:
        asked = select(Order).options(
            selectinload(Order.items), selectinload(Order.payments), selectinload(Order.delivery),
            selectinload(Order.history),
        )  # fmt: skip
        return list(await work.session.scalars(asked.order_by(Order.number)))


async def on_hand(world: World) -> int:
    async with world.work() as work:
        return await work.session.scalar(select(func.sum(StockLevel.on_hand))) or 0


async def test_delivery_paid_by_pix_is_an_order_like_any_other(
    agent: Platform, owner: httpx.AsyncClient, shop: Shop, world: World
) -> None:
    await shop.promotion(name="Dez", kind="fixed", value=1000, code="DEZ")
    fields = {"buyer": BUYER, "fulfillment": DELIVERY, "discounts": {"codes": ["nada", "dez"]}}
    ready = await agent.create(("CAL", 2), ("GUA", 1), **fields)
    done = await agent.complete(ready["id"], "pix")
    check_session(done)
    assert done["status"] == "completed"
    assert total(done) == total(ready) == 2 * 4990 + 800 + 700 - 1000
    assert done["totals"] == ready["totals"]
    assert done["line_items"] == ready["line_items"]
    assert done["discounts"] == ready["discounts"]
    [order] = await orders(world)
    assert done["order"]["id"] == str(order.id)
    assert done["order"]["label"] == f"#{order.number}"
    assert (order.source, order.cart_id) == ("agent", UUID(ready["id"]))
    assert (order.total_cents, order.customer_name) == (total(done), "Maria da Silva")
    assert order.customer_phone == "+5511987654321"
    assert order.delivery is not None
    address = order.delivery.address
    assert (address["street"], address["number"]) == ("Avenida Paulista", "1578")
    assert (address["complement"], address["state"]) == ("ap 42", "SP")
    assert order.history[0].actor_name == "127.0.0.1", "the platform's host"
    [paid] = done["payment"]["instruments"]
    code = paid["display"]["br_code"]
    assert paid["display"]["amount"] == order.total_cents
    assert code in next(m["content"] for m in done["messages"] if m["code"] == "pix_code")
    token = done["order"]["permalink_url"].partition("token=")[2]
    page = await agent.client.get(f"/api/v1/orders/{order.id}/payment", params={"token": token})
    assert page.json()["pix"]["copy_paste"] == code
    assert await on_hand(world) == 8
    listed = await owner.get("/api/v1/admin/orders", params={"source": "agent"})
    assert [o["number"] for o in listed.json()["items"]] == [order.number]
    assert await agent.get(ready["id"]) == done, "it does not change any more"


async def test_cash_with_change_and_card_are_paid_at_the_door(
    agent: Platform, shop: Shop, world: World
) -> None:
    first = await agent.create(("GUA", 1), **READY)
    small = await agent.complete(first["id"], credential={"type": "cash", "change_for": 500})
    check_session(small)
    assert said(small) == {("change_too_small", "$.payment.instruments[0].credential")}
    done = await agent.complete(first["id"], credential={"type": "cash", "change_for": 1000})
    check_session(done)
    assert done["payment"]["instruments"] == [
        {"id": "i1", "handler_id": "pay_on_delivery", "type": "cash", "selected": True}
    ], "a credential is never echoed"
    second = await agent.create(("GUA", 1), **READY)
    assert (await agent.complete(second["id"], "card_on_delivery"))["status"] == "completed"
    paid = [(o.payments[0].method, o.payments[0].change_for_cents) for o in await orders(world)]
    assert paid == [("cash", 1000), ("card_on_delivery", None)]


async def test_ten_completions_at_once_are_one_order(
    agent: Platform, shop: Shop, world: World
) -> None:
    ready = await agent.create(("CAL", 3), **READY)
    path = f"{SESSIONS}/{ready['id']}/complete"
    answers = await asyncio.gather(*(agent.ask("POST", path, instrument("pix")) for _ in range(10)))
    assert Counter(a.status_code for a in answers) == {200: 1, 409: 9}
    refused = {a.json()["code"] for a in answers if a.status_code == 409}
    assert refused == {"ucp-session-ended"}
    [done] = [a.json() for a in answers if a.status_code == 200]
    assert done["status"] == "completed"
    assert [str(o.id) for o in await orders(world)] == [done["order"]["id"]]
    assert await on_hand(world) == 7


async def test_ten_times_the_same_request_is_answered_ten_times_alike(
    agent: Platform, shop: Shop, world: World
) -> None:
    ready = await agent.create(("CAL", 1), **READY)
    path = f"{SESSIONS}/{ready['id']}/complete"
    answers = await asyncio.gather(
        *(agent.ask("POST", path, instrument(), key="uma-chave-so") for _ in range(10))
    )
    assert {a.status_code for a in answers} == {200}, [a.text for a in answers]
    assert len({a.content for a in answers}) == 1
    assert len(await orders(world)) == 1
    other = await agent.ask("POST", path, instrument("pix"), key="uma-chave-so")
    assert (other.status_code, other.json()["code"]) == (409, "ucp-idempotency-key-reused")


async def test_the_last_pizza_is_sold_once(agent: Platform, shop: Shop, world: World) -> None:
    sessions = [await agent.create(("CAL", 4), **READY) for _ in range(5)]
    done = await asyncio.gather(*(agent.complete(s["id"]) for s in sessions))
    assert Counter(s["status"] for s in done) == {"completed": 2, "incomplete": 3}
    for session in done:
        check_session(session)
        if session["status"] == "incomplete":
            assert said(session) == {("out_of_stock", "$.line_items[0].quantity")}
    assert len(await orders(world)) == 2
    assert await on_hand(world) == 2


async def test_another_price_is_shown_before_it_is_charged(
    agent: Platform, shop: Shop, world: World
) -> None:
    ready = await agent.create(("GUA", 1), **READY)
    async with world.work() as work:
        await work.session.execute(
            update(Product).where(Product.sku == "GUA").values(price_cents=900)
        )
    refused = await agent.complete(ready["id"])
    check_session(refused)
    assert (refused["status"], total(refused)) == ("incomplete", 900)
    assert said(refused) == {("price_changed", "$.totals")}
    assert not await orders(world)
    done = await agent.complete(ready["id"])
    assert (done["status"], total(done)) == ("completed", 900)
    assert [o.total_cents for o in await orders(world)] == [900]


async def test_a_coupon_is_used_once_or_its_loss_is_shown(
    agent: Platform, shop: Shop, world: World
) -> None:
    await shop.promotion(name="Um", kind="fixed", value=300, code="UM", usage_limit=1)
    codes = {"discounts": {"codes": ["UM"]}}
    sessions = [await agent.create(("GUA", 1), **READY, **codes) for _ in range(3)]
    assert {total(s) for s in sessions} == {500}
    done = await asyncio.gather(*(agent.complete(s["id"]) for s in sessions))
    assert Counter(s["status"] for s in done) == {"completed": 1, "incomplete": 2}
    for session in done:
        check_session(session)
        assert total(session) == (500 if session["status"] == "completed" else 800)
    async with world.work() as work:
        assert await work.session.scalar(select(func.count(PromotionRedemption.id))) == 1


async def test_who_is_blocked_is_sent_to_the_store(
    agent: Platform, shop: Shop, world: World
) -> None:
    await agent.complete((await agent.create(("GUA", 1), **READY))["id"])
    async with world.work() as work:
        await work.session.execute(update(Contact).values(is_blocked=True))
    ready = await agent.create(("GUA", 1), **READY)
    refused = await agent.complete(ready["id"])
    check_session(refused)
    assert (refused["status"], said(refused)) == (
        "requires_escalation",
        {("customer_blocked", "$.buyer")},
    )
    assert len(await orders(world)) == 1


@pytest.mark.parametrize(
    ("body", "code", "path"),
    [
        ({"payment": {}}, "missing", "$.payment.instruments"),
        (
            instrument("stripe"),
            "payment_method_not_accepted",
            "$.payment.instruments[0]",
        ),
        (
            instrument("pix", handler_id="pay_on_delivery"),
            "payment_method_not_accepted",
            "$.payment.instruments[0]",
        ),
        (
            {"payment": {"instruments": [instrument()["payment"]["instruments"][0]] * 2}},
            "missing",
            "$.payment.instruments",
        ),
    ],
)
async def test_only_what_is_offered_pays(
    agent: Platform, shop: Shop, world: World, body: dict[str, Any], code: str, path: str
) -> None:
    ready = await agent.create(("GUA", 1), **READY)
    answer = await agent.ask("POST", f"{SESSIONS}/{ready['id']}/complete", body)
    assert answer.status_code == 200, answer.text
    check_session(answer.json())
    assert said(answer.json()) == {(code, path)}
    assert not await orders(world)


async def test_payments_are_those_of_the_store_and_the_way(
    agent: Platform, shop: Shop, world: World
) -> None:
    await shop.change_store(delivery_payment_methods=["pix"], pickup_payment_methods=["cash"])
    ready = await agent.create(("GUA", 1), buyer=BUYER, fulfillment=DELIVERY)
    assert set(ready["ucp"]["payment_handlers"]) == {"app.largo.pix"}
    moved = await agent.update(ready["id"], ("GUA", 1), **READY)
    [handler] = moved["ucp"]["payment_handlers"]["app.largo.pay_on_delivery"]
    assert handler["available_instruments"] == [{"type": "cash"}]
    await shop.change_store(payment_methods=["stripe"], pickup_payment_methods=None)
    by_hand = await agent.get(ready["id"])
    check_session(by_hand)
    assert said(by_hand) == {("payment_unavailable", "$.payment")}


async def test_what_is_incomplete_is_not_completed(
    agent: Platform, shop: Shop, world: World
) -> None:
    begun = await agent.create(("GUA", 1), fulfillment=PICKUP)
    refused = await agent.complete(begun["id"])
    check_session(refused)
    assert refused["status"] == "incomplete"
    assert {code for code, _ in said(refused)} == {"missing"}
    assert not await orders(world)
    await agent.update(begun["id"], ("GUA", 1), **READY)
    assert (await agent.complete(begun["id"]))["status"] == "completed"


async def test_the_storefront_cannot_order_the_session_again(
    agent: Platform, shop: Shop, shopper: httpx.AsyncClient, world: World
) -> None:
    done = await agent.complete((await agent.create(("GUA", 1), **READY))["id"])
    cart = shop.cart(shop.products[1], cart_id=done["id"])
    again = await shopper.post(
        "/api/v1/checkout", json=cart, headers={"Idempotency-Key": "pela-vitrine"}
    )
    assert (again.status_code, again.json()["code"]) == (409, "cart-already-ordered")
    late = await agent.create(("GUA", 1), **READY)
    cart = shop.cart(shop.products[1], cart_id=late["id"])
    first = await shopper.post(
        "/api/v1/checkout", json=cart, headers={"Idempotency-Key": "pela-vitrine-2"}
    )
    assert first.status_code == 201, "the buyer went on by hand"
    refused = await agent.ask("POST", f"{SESSIONS}/{late['id']}/complete", instrument())
    assert (refused.status_code, refused.json()["code"]) == (409, "ucp-session-ended")
    assert len(await orders(world)) == 2


async def test_sessions_are_gone_after_a_week(agent: Platform, shop: Shop, world: World) -> None:
    old, young = [await agent.create(("GUA", 1), **READY) for _ in range(2)]
    await system(
        world.runtime,
        "UPDATE ucp_sessions SET created_at = now() - interval '8 days' WHERE id = $1",
        UUID(old["id"]),
    )
    assert (await prune(world.runtime))["ucp_sessions"] == 1
    async with world.work() as work:
        left = list(await work.session.scalars(select(UcpSession.id)))
    assert [str(i) for i in left] == [young["id"]]
    gone = await agent.ask("PUT", f"{SESSIONS}/{old['id']}", wanted(("GUA", 1)))
    assert gone.status_code == 404
