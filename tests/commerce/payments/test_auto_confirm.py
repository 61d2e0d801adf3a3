"""Orders that confirm themselves: when a store wants it so, paid if they must be, once each."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from app.commerce.orders.confirming import confirm_due
from app.commerce.orders.models import Order
from app.core.clock import now
from tests.commerce.payments.cashier import ADMIN, Cashier
from tests.factories.commerce import key, make_shop
from tests.factories.tenants import World


async def wants(cashier: Cashier, minutes: int | None) -> None:
    url = f"{ADMIN}/stores/{cashier.shop.store_id}"
    answer = await cashier.owner.patch(url, json={"auto_confirm_minutes": minutes})
    assert answer.json()["auto_confirm_minutes"] == minutes, answer.text


async def placed(cashier: Cashier, order: dict[str, Any], ago: timedelta) -> None:
    async with cashier.world.work() as work:
        of = update(Order).where(Order.id == UUID(order["id"]))
        await work.session.execute(of.values(placed_at=now() - ago))


async def test_an_order_paid_when_handed_over_is_confirmed_after_its_minutes(
    cashier: Cashier,
) -> None:
    order = await cashier.order("cash")
    await confirm_due(cashier.app.runtime)
    assert await cashier.status(order) == "pending", "nobody asked for it"
    await wants(cashier, 10)
    await confirm_due(cashier.app.runtime)
    assert await cashier.status(order) == "pending", "it is a minute old"
    await placed(cashier, order, timedelta(minutes=11))
    await asyncio.gather(*[confirm_due(cashier.app.runtime) for _ in range(4)])
    assert await cashier.status(order) == "confirmed"
    assert await cashier.told("commerce.order_status_changed") == 1
    shown = (await cashier.owner.get(f"{ADMIN}/orders/{order['id']}")).json()
    assert [h["after"] for h in shown["history"]] == ["pending", "confirmed"]
    assert shown["history"][1]["actor_name"] == "orders", "nobody of the shop did"


async def test_a_pix_is_waited_for(cashier: Cashier) -> None:
    await wants(cashier, 0)
    order = await cashier.order("pix")
    await confirm_due(cashier.app.runtime)
    assert await cashier.status(order) == "pending"
    await cashier.received(order, 100)
    await confirm_due(cashier.app.runtime)
    assert await cashier.status(order) == "pending", "the money is short"
    await cashier.received(order, 4890)
    await confirm_due(cashier.app.runtime)
    assert await cashier.status(order) == "confirmed"


@pytest.mark.parametrize("cents", [None, 1000])
async def test_money_that_goes_back_confirms_nothing(cashier: Cashier, cents: int | None) -> None:
    await wants(cashier, 0)
    order = await cashier.order("pix")
    await cashier.received(order, 4990)
    assert (await cashier.refund(order, cents)).is_success
    await confirm_due(cashier.app.runtime)
    assert await cashier.status(order) == "pending", "it is not paid any more"
    assert await cashier.told("commerce.order_status_changed") == 0


async def test_what_was_paid_too_much_goes_back_and_the_order_on(cashier: Cashier) -> None:
    await wants(cashier, 0)
    order = await cashier.order("pix")
    await cashier.received(order, 5990)
    assert (await cashier.refund(order, 1000)).is_success
    await confirm_due(cashier.app.runtime)
    assert await cashier.status(order) == "confirmed", "49.90 are left, as it costs"


@pytest.mark.parametrize("what", ["old", "cancelled", "off"])
async def test_these_are_left_to_people(cashier: Cashier, what: str) -> None:
    await wants(cashier, None if what == "off" else 0)
    order = await cashier.order("cash")
    if what == "old":
        await placed(cashier, order, timedelta(days=2))
    if what == "cancelled":
        body = {"to": "cancelled", "reason": "sem forno"}
        path = f"{ADMIN}/orders/{order['id']}/transitions"
        assert (await cashier.owner.post(path, json=body, headers=key())).is_success
    before = await cashier.status(order)
    await confirm_due(cashier.app.runtime)
    assert await cashier.status(order) == before


async def test_a_person_and_the_clock_meet_and_one_is_first(cashier: Cashier) -> None:
    await wants(cashier, 0)
    for _ in range(5):
        order = await cashier.order("cash")
        told = await cashier.told("commerce.order_status_changed")
        path = f"{ADMIN}/orders/{order['id']}/transitions"
        body = {"to": "rejected", "reason": "sem forno"}
        answer, *_ = await asyncio.gather(
            cashier.owner.post(path, json=body, headers=key()),
            confirm_due(cashier.app.runtime),
            confirm_due(cashier.app.runtime),
        )
        assert answer.status_code in (200, 409), answer.text
        expected = "rejected" if answer.status_code == 200 else "confirmed"
        assert await cashier.status(order) == expected
        assert await cashier.told("commerce.order_status_changed") == told + 1


async def test_tenants_whose_orders_wait_for_money_keep_nobody_waiting(
    cashier: Cashier, stranger: World, outsider: httpx.AsyncClient
) -> None:
    await wants(cashier, 0)
    await cashier.order("pix")
    assert cashier.world.tenant.id < stranger.tenant.id, "who waits is looked at first"
    shop = await make_shop(stranger, auto_confirm_minutes=0)
    cart = shop.cart(await shop.product("Esfiha", 690, stock=5), payment={"method": "cash"})
    answer = await outsider.post("/api/v1/checkout", json=cart, headers=key())
    assert answer.status_code == 201, answer.text
    assert await confirm_due(cashier.app.runtime, at_once=1) >= 1
    async with stranger.work() as work:
        order = await work.session.get_one(Order, UUID(answer.json()["id"]))
        assert order.status == "confirmed"
