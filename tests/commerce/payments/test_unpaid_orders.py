"""Orders nobody paid: cancelled once, everything given back; money that comes meanwhile or late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from app.commerce.orders.expiry import expire_unpaid
from app.commerce.orders.service import OrderService
from app.commerce.payments.service import PaymentService
from app.commerce.promotions.models import Promotion
from tests.commerce.payments.cashier import ADMIN, Cashier
from tests.factories.commerce import key


async def expire(cashier: Cashier, order: dict[str, Any]) -> bool:
    async with cashier.world.work() as work:
        return await OrderService(work).expire(UUID(order["id"]))


async def test_stock_and_coupon_come_back_once(cashier: Cashier) -> None:
    promotion = await cashier.shop.promotion(code="VOLTA", value=500, usage_limit=1)
    stock = await cashier.stock()
    cart = cashier.shop.cart(cashier.shop.products[0], coupons=["VOLTA"])
    order = (await cashier.shopper.post("/api/v1/checkout", json=cart, headers=key())).json()
    assert await cashier.stock() == stock - 1
    await expire_unpaid(cashier.app.runtime)
    assert await cashier.status(order) == "pending", "its time is not over"
    await cashier.age(order)
    beats = [expire_unpaid(cashier.app.runtime) for _ in range(4)]
    await asyncio.gather(*beats)
    assert await cashier.status(order) == "cancelled"
    assert await cashier.stock() == stock
    assert (await cashier.payment(order))["status"] == "cancelled"
    assert await cashier.told("commerce.order_status_changed") == 1
    async with cashier.world.work() as work:
        assert (await work.session.get_one(Promotion, promotion)).used_count == 0
    tracked = await cashier.shopper.get(
        f"/api/v1/orders/{order['id']}", params={"token": order["tracking_token"]}
    )
    assert tracked.json()["cancel_reason"] == "pagamento não recebido no prazo"


@pytest.mark.parametrize("what", ["cash", "confirmed", "short", "paid", "never"])
async def test_these_orders_wait(cashier: Cashier, what: str) -> None:
    order = await cashier.order("cash" if what == "cash" else "pix")
    if what == "confirmed":
        path = f"{ADMIN}/orders/{order['id']}/transitions"
        await cashier.owner.post(path, json={"to": "confirmed"}, headers=key())
    elif what in ("short", "paid"):
        await cashier.received(order, 4990 if what == "paid" else 100)
    elif what == "never":
        settings = (await cashier.owner.get(f"{ADMIN}/payments/settings")).json()
        forever = settings | {"unpaid_minutes": None}
        await cashier.owner.put(f"{ADMIN}/payments/settings", json=forever)
    before = await cashier.status(order)
    await cashier.age(order)
    await expire_unpaid(cashier.app.runtime)
    assert await cashier.status(order) == before
    assert not await expire(cashier, order)


@pytest.mark.parametrize("first", ["payment", "expiry", "both"])
async def test_expiry_and_payment_meet_and_one_is_first(cashier: Cashier, first: str) -> None:
    """Whichever wins, the order is paid and stands, or is cancelled and its money goes back."""
    for _ in range(6 if first == "both" else 1):
        order = await cashier.order("pix")
        await cashier.age(order)
        if first == "payment":
            await cashier.received(order, 4990)
            assert not await expire(cashier, order)
        elif first == "expiry":
            assert await expire(cashier, order)
            await cashier.received(order, 4990)
        else:
            # Each pair at once, on connections of their own.
            await asyncio.gather(cashier.received(order, 4990), expire(cashier, order))
        payment = await cashier.payment(order)
        assert (payment["status"], payment["received_cents"]) == ("paid", 4990)
        status = await cashier.status(order)
        if status == "cancelled":
            assert payment["flag"] == "late" or first == "both"
            assert await cashier.refunds(order) == [(4990, "pending")]
        else:
            assert (status, payment["flag"]) == ("pending", None)
            assert await cashier.refunds(order) == []
        assert first == "both" or (status == "cancelled") == (first == "expiry")


async def test_the_lock_decides_both_ways(cashier: Cashier) -> None:
    """Held open by hand: the other waits for the order's row, then sees what was decided."""
    for winner in ("payment", "expiry"):
        order = await cashier.order("pix")
        await cashier.age(order)
        order_id = UUID(order["id"])
        async with cashier.world.work() as work:
            if winner == "payment":
                payment = await cashier.payment(order)
                desk = PaymentService(work)
                await desk.mark_received(order_id, UUID(payment["id"]), 4990, None)
                loser: asyncio.Task[Any] = asyncio.create_task(expire(cashier, order))
            else:
                assert await OrderService(work).expire(order_id)
                loser = asyncio.create_task(cashier.received(order, 4990))
            await asyncio.sleep(0.2)
            assert not loser.done(), "it must wait for the row"
        await loser
        expected = ("pending", []) if winner == "payment" else ("cancelled", [(4990, "pending")])
        assert (await cashier.status(order), await cashier.refunds(order)) == expected


async def test_a_card_paid_after_the_cancellation_goes_back_by_itself(cashier: Cashier) -> None:
    order = await cashier.order("stripe")
    intent = await cashier.intent_id(order)
    events = await cashier.live(intent, "succeed")  # paid there, not heard of here
    await cashier.age(order)
    await expire_unpaid(cashier.app.runtime)
    assert await cashier.status(order) == "cancelled"
    await cashier.deliver(*events, *({**e, "id": e["id"] + "b"} for e in events))
    payment = await cashier.payment(order)
    assert (payment["flag"], payment["status"]) == ("late", "refunded")
    assert await cashier.refunds(order) == [(4990, "done")]
    assert await cashier.told("commerce.payment_flagged") == 1
    assert await cashier.told("commerce.payment_paid") == 0


@pytest.fixture
async def stuck(cashier: Cashier) -> AsyncIterator[dict[str, Any]]:
    """An order that nothing can move: the database itself says no."""
    order = await cashier.order("pix")
    async with cashier.app.runtime.database.system_driver() as driver:
        await driver.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'never'; END $$"
        )
        await driver.execute(
            f"CREATE TRIGGER refuse BEFORE UPDATE ON orders FOR EACH ROW "
            f"WHEN (OLD.id = '{UUID(order['id'])}') EXECUTE FUNCTION refuse()"
        )
    yield order
    async with cashier.app.runtime.database.system_driver() as driver:
        await driver.execute("DROP TRIGGER refuse ON orders")
        await driver.execute("DROP FUNCTION refuse()")


async def test_an_order_that_cannot_be_moved_keeps_no_other_waiting(
    cashier: Cashier, stuck: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    later = await cashier.order("pix")
    for order in (stuck, later):
        await cashier.age(order)
    await expire_unpaid(cashier.app.runtime)
    assert (await cashier.status(stuck), await cashier.status(later)) == ("pending", "cancelled")
    failed = [r for r in caplog.records if r.message == "orders.sweep_failed"]
    assert [r.__dict__["order_id"] for r in failed] == [stuck["id"]]


async def test_nobody_can_pay_the_card_intent_of_a_cancelled_order(cashier: Cashier) -> None:
    order = await cashier.order("stripe")
    intent = await cashier.intent_id(order)
    await cashier.age(order)
    await expire_unpaid(cashier.app.runtime)
    await cashier.work_off()
    assert (await cashier.at_stripe(intent))["status"] == "canceled"
    assert await cashier.refunds(order) == []


async def changed(cashier: Cashier, order: dict[str, Any], total_cents: int) -> tuple[int, int]:
    async with cashier.world.work() as work:
        found = await PaymentService(work).total_changed(
            UUID(order["id"]), total_cents, "pedido alterado"
        )
    return found.due_cents, found.excess_cents


async def test_an_order_that_costs_less_gives_the_difference_back(cashier: Cashier) -> None:
    order = await cashier.order("pix")
    assert await changed(cashier, order, 4000) == (4000, 0)
    assert (await cashier.payment(order))["amount_cents"] == 4000
    await cashier.received(order, 4000)
    assert await changed(cashier, order, 3000) == (0, 1000)
    assert await cashier.refunds(order) == [(1000, "pending")]
    assert await changed(cashier, order, 3000) == (0, 0), "it is on its way already"


async def test_an_order_that_costs_more_asks_for_the_rest(cashier: Cashier) -> None:
    order = await cashier.order("pix")
    await cashier.received(order, 4990)
    assert await changed(cashier, order, 6000) == (1010, 0)
    page = await cashier.page(order)
    assert (page["amount_cents"], page["is_open"]) == (1010, True)
    assert await changed(cashier, order, 4990) == (0, 0)
    statuses = [p["status"] for p in (await cashier.money(order))["payments"]]
    assert statuses == ["paid", "cancelled"]


async def test_the_intent_asks_for_the_new_total(cashier: Cashier) -> None:
    order = await cashier.order("stripe")
    intent = await cashier.intent_id(order)
    await changed(cashier, order, 5500)
    assert (await cashier.intent(order))["amount_cents"] == 5500
    assert (await cashier.at_stripe(intent))["amount"] == 5500
