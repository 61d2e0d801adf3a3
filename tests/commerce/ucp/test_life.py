"""Whose a session is, how often a request counts, and how a session ends without an order."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update

from app.commerce.inventory.models import StockLevel
from app.commerce.orders.models import Order
from app.commerce.ucp.models import UcpSession
from app.core.clock import now
from tests.commerce.ucp.contract import check_session
from tests.commerce.ucp.platform import (
    BUYER,
    DELIVERY,
    PICKUP,
    SESSIONS,
    Platform,
    instrument,
    open_channel,
    platform,
    said,
    total,
    wanted,
)
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

READY = {"buyer": BUYER, "fulfillment": PICKUP}


async def test_a_session_is_its_platforms_alone(
    agent: Platform,
    shop: Shop,
    shopper: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
    stranger: World,
) -> None:
    begun = await agent.create(("GUA", 1), **READY)
    path = f"{SESSIONS}/{begun['id']}"
    theirs = await make_shop(stranger)
    await theirs.product("Guaraná", 800, sku="GUA")
    await open_channel(outsider, theirs)
    async with platform(shopper) as rival, platform(outsider) as elsewhere:
        for who in (rival, elsewhere):
            for method, tail, body in (
                ("GET", "", None),
                ("PUT", "", wanted(("GUA", 9))),
                ("POST", "/complete", instrument()),
                ("POST", "/cancel", None),
            ):
                answer = await who.ask(method, f"{path}{tail}", body)
                told = (answer.status_code, answer.json()["code"])
                assert told == (404, "ucp-session-not-found"), (method, tail)
    found = await agent.get(begun["id"])
    assert (found["status"], found["line_items"]) == ("ready_for_complete", begun["line_items"])


async def test_canceled_and_expired_are_over(agent: Platform, shop: Shop, world: World) -> None:
    first, second = [await agent.create(("CAL", 1), **READY) for _ in range(2)]
    canceled = await agent.ask("POST", f"{SESSIONS}/{first['id']}/cancel", {})
    assert canceled.status_code == 200
    check_session(canceled.json())
    assert await agent.get(first["id"]) == canceled.json()
    async with world.work() as work:
        await work.session.execute(
            update(UcpSession)
            .where(UcpSession.id == UUID(second["id"]))
            .values(expires_at=now() - timedelta(seconds=1))
        )
    expired = await agent.get(second["id"])
    check_session(expired)
    assert said(expired) == {("session_expired", "$")}
    for session in (first, second):
        assert session["status"] == "ready_for_complete"
        for method, tail, body in (
            ("PUT", "", wanted(("GUA", 1))),
            ("POST", "/complete", instrument()),
            ("POST", "/cancel", None),
        ):
            answer = await agent.ask(method, f"{SESSIONS}/{session['id']}{tail}", body)
            assert (answer.status_code, answer.json()["code"]) == (409, "ucp-session-ended")
    async with world.work() as work:
        assert not (await work.session.scalars(select(Order))).all()
        assert await work.session.scalar(select(StockLevel.on_hand)) == 10


async def test_a_key_makes_one_of_many_requests(agent: Platform, shop: Shop) -> None:
    body = wanted(("GUA", 1), **READY)
    first = await agent.ask("POST", SESSIONS, body, key="chave-de-criar")
    again = await agent.ask("POST", SESSIONS, body, key="chave-de-criar")
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    other = await agent.ask("POST", SESSIONS, wanted(("GUA", 2)), key="chave-de-criar")
    assert (other.status_code, other.json()["code"]) == (409, "ucp-idempotency-key-reused")
    path = f"{SESSIONS}/{first.json()['id']}"
    put = await agent.ask("PUT", path, wanted(("GUA", 3), **READY), key="chave-de-mudar")
    await agent.ask("PUT", path, wanted(("GUA", 4), **READY))
    old = await agent.ask("PUT", path, wanted(("GUA", 3), **READY), key="chave-de-mudar")
    assert old.content == put.content
    assert (await agent.get(first.json()["id"]))["line_items"][0]["quantity"] == 4


@pytest.mark.parametrize(
    "body", [{}, {"line_items": []}, {"line_items": [{"item": {"id": "GUA"}, "quantity": 0}]}]
)
async def test_what_is_no_checkout_is_refused_in_words(
    agent: Platform, shop: Shop, body: dict[str, Any]
) -> None:
    answer = await agent.ask("POST", SESSIONS, body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert answer.json()["content"]


async def test_a_buyer_goes_on_by_hand_where_the_agent_stopped(
    agent: Platform, shop: Shop, shopper: httpx.AsyncClient
) -> None:
    await shop.promotion(name="Dez", kind="fixed", value=100, code="DEZ")
    codes = {"discounts": {"codes": ["DEZ"]}}
    part = {"methods": [{"type": "shipping", "destinations": [{"postal_code": "01310100"}]}]}
    begun = await agent.create(("CAL", 2), buyer=BUYER, fulfillment=part, **codes)
    assert begun["continue_url"].endswith(f"?ucp_session={begun['id']}")
    path = f"{SESSIONS}/{begun['id']}/cart"
    assert (await shopper.get(path)).json()["address"] is None, "half of it is none"
    await agent.update(begun["id"], ("CAL", 2), buyer=BUYER, fulfillment=DELIVERY, **codes)
    found = (await shopper.get(path)).json()
    customer = {name: found.pop(f"customer_{name}") for name in ("name", "phone", "email")}
    cart = found | {"customer": customer, "payment": {"method": "cash"}}
    cart["items"] += [{"product_id": str(shop.products[1]), "quantity": 1}]
    placed = await shopper.post("/api/v1/checkout", json=cart, headers=key())
    assert placed.status_code == 201, placed.text
    assert placed.json()["total_cents"] == 2 * 4990 + 800 + 700 - 100
    done = await agent.get(begun["id"])
    check_session(done)
    assert done["status"] == "completed"
    assert done["order"]["id"] == placed.json()["id"]
    assert total(done) == placed.json()["total_cents"]
    assert [line["quantity"] for line in done["line_items"]] == [2, 1]
    assert await agent.get(begun["id"]) == done
    for method, tail, body in (
        ("GET", "/cart", None),
        ("PUT", "", wanted(("GUA", 1))),
        ("POST", "/complete", instrument()),
        ("POST", "/cancel", None),
    ):
        answer = await agent.ask(method, f"{SESSIONS}/{begun['id']}{tail}", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "ucp-session-ended")


async def test_a_change_while_completing_is_ordered_or_refused_never_mixed(
    agent: Platform, shop: Shop, world: World
) -> None:
    for _ in range(8):
        begun = await agent.create(("GUA", 1), **READY)
        path = f"{SESSIONS}/{begun['id']}"
        changed, done = await asyncio.gather(
            agent.ask("PUT", path, wanted(("GUA", 2), **READY)),
            agent.ask("POST", f"{path}/complete", instrument()),
        )
        assert {changed.status_code, done.status_code} <= {200, 409}
        if done.status_code == 409:
            assert done.json()["code"] == "busy", "the agent has not seen what it would buy"
            continue
        async with world.work() as work:
            order = await work.session.get_one(Order, UUID(done.json()["order"]["id"]))
        assert order.total_cents == total(done.json()) in (800, 1600)
        assert (changed.status_code == 200) is (order.total_cents == 1600)
