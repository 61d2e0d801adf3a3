"""Orders that staff place: the checkout's own code, once per key; what differs is logged."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from sqlalchemy import func, select

from app.commerce.inventory.models import StockLevel
from app.commerce.orders.models import Order
from app.kernel.contacts.models import Contact
from tests.commerce.desk.conftest import Placing
from tests.factories.commerce import Shop, key
from tests.factories.tenants import World

ADMIN = "/api/v1/admin/orders"


async def count(shop: Shop) -> int:
    async with shop.world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(Order)) or 0


async def test_sent_often_with_one_key_it_is_one_order(
    owner: httpx.AsyncClient, shop: Shop
) -> None:
    pizza = await shop.product("Pizza", 5000, stock=10)
    body, once = shop.delivery(pizza, note="pedido por telefone"), key()
    answers = await asyncio.gather(*(owner.post(ADMIN, json=body, headers=once) for _ in range(5)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.text for a in answers}) == 1
    detail = (await owner.get(f"{ADMIN}/{answers[0].json()['id']}")).json()
    assert (detail["source"], detail["total_cents"]) == ("admin", 5700)
    assert "owner" in detail["history"][0]["actor_name"]
    assert await count(shop) == 1
    async with shop.world.work() as work:
        assert await work.session.scalar(select(StockLevel.on_hand)) == 9
    other = await owner.post(ADMIN, json=shop.cart(pizza), headers=once)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    bare = await owner.post(ADMIN, json=body)
    assert (bare.status_code, bare.json()["code"]) == (400, "idempotency-key-missing")


async def test_for_a_known_customer(owner: httpx.AsyncClient, place: Placing, shop: Shop) -> None:
    pizza = await shop.product("Pizza", 5000)
    await place(shop.cart(pizza))
    async with shop.world.work() as work:
        contact = (await work.session.scalars(select(Contact))).one()
        contact.name = "M"
    body = shop.cart(pizza) | {"contact_id": str(contact.id)}
    del body["customer"]
    answer = await owner.post(ADMIN, json=body, headers=key())
    assert answer.status_code == 201, answer.text
    detail = (await owner.get(f"{ADMIN}/{answer.json()['id']}")).json()
    assert (detail["contact_id"], detail["customer_name"]) == (str(contact.id), "M")
    for fields, status, code in (
        ({"contact_id": None}, 422, "customer-required"),
        ({"contact_id": str(shop.store_id)}, 404, "order-customer-not-found"),
    ):
        refused = await owner.post(ADMIN, json=body | fields, headers=key())
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert await count(shop) == 2


async def test_an_own_price_and_a_closed_store_are_explicit_and_logged(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, world: World, shop: Shop
) -> None:
    pizza = await shop.product("Pizza", 5000)
    await shop.change_store(hours=[])
    cart = shop.cart(pizza)
    closed = await owner.post(ADMIN, json=cart, headers=key())
    assert (closed.status_code, closed.json()["code"]) == (409, "store-closed")
    cart["items"][0]["price_cents"] = 3500
    body: dict[str, Any] = cart | {"despite_closed": True}
    silent = await owner.post(ADMIN, json=body, headers=key())
    assert (silent.status_code, silent.json()["code"]) == (422, "override-reason-required")
    body["override_reason"] = "combinado com o gerente"
    agent = await world.member("agent")
    bearer = {"Authorization": f"Bearer {agent.token}"}
    refused = await shopper.post(ADMIN, json=body, headers=key() | bearer)
    assert (refused.status_code, refused.json()["code"]) == (403, "action-not-allowed")
    assert await count(shop) == 0
    done = await owner.post(ADMIN, json=body, headers=key())
    assert done.status_code == 201, done.text
    (line,) = (await owner.get(f"{ADMIN}/{done.json()['id']}")).json()["items"]
    assert (line["unit_price_cents"], line["list_price_cents"]) == (3500, 5000)
    trail = await owner.get("/api/v1/admin/audit", params={"resource_id": done.json()["id"]})
    facts = [e["facts"] for e in trail.json()["items"] if e["action"].endswith("order_override")]
    assert facts == [
        {
            "reason": "combinado com o gerente",
            "despite_closed": True,
            "prices": [{"name": "Pizza", "list_cents": 5000, "set_cents": 3500}],
        }
    ]
    # What only staff may ask is no field of a customer's checkout.
    own = await shopper.post("/api/v1/checkout", json=body, headers=key())
    assert own.status_code == 422


async def test_an_agent_takes_ordinary_orders_and_a_viewer_none(
    shopper: httpx.AsyncClient, world: World, shop: Shop
) -> None:
    pizza = await shop.product("Pizza", 5000)
    for role, status in (("agent", 201), ("viewer", 403)):
        member = await world.member(role)
        answer = await shopper.post(
            ADMIN,
            json=shop.cart(pizza),
            headers=key() | {"Authorization": f"Bearer {member.token}"},
        )
        assert answer.status_code == status


async def test_the_same_again_is_priced_today_without_what_is_gone(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, place: Placing, shop: Shop
) -> None:
    pizza = await shop.product("Pizza", 5000)
    last = await shop.product("Última", 1000, stock=1)
    old = await shop.product("Fora do cardápio", 700)
    placed = await place(shop.delivery(pizza, last, old))
    await owner.patch(f"/api/v1/admin/catalog/products/{pizza}", json={"price_cents": 5500})
    await owner.patch(f"/api/v1/admin/catalog/products/{old}", json={"is_active": False})
    token = placed["tracking_token"]
    url = f"/api/v1/orders/{placed['id']}/reorder"
    answer = await shopper.get(url, params={"token": token})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert {(o["name"], o["reason"]) for o in found["left_out"]} == {
        ("Fora do cardápio", "not-available"),
        ("Última", "out-of-stock"),
    }
    assert found["breakdown"]["total_cents"] == 5500 + 700
    assert found["problem"] is None
    cart = {k: found[k] for k in ("store", "fulfilment", "address", "items")}
    again = await place(cart | {"customer": shop.cart()["customer"], "payment": {"method": "pix"}})
    assert again["total_cents"] == 6200, "what it answers can be ordered as it is"
    await shop.change_store(hours=[])
    closed = (await owner.get(f"{ADMIN}/{placed['id']}/reorder")).json()
    assert (closed["problem"], closed["breakdown"]["total_cents"]) == ("store-closed", 6200)
    wrong = await shopper.get(url, params={"token": "x" * 43})
    assert (wrong.status_code, wrong.json()["code"]) == (404, "order-not-found")


async def test_staff_sell_no_more_than_there_is_but_may_book_what_they_find(
    owner: httpx.AsyncClient, shop: Shop
) -> None:
    """There is no order beyond the stock: the explicit, logged act is the booking before it."""
    pizza = await shop.product("Pizza", 5000, stock=1)
    two = shop.cart(pizza) | {"items": [{"product_id": str(pizza), "quantity": 2}]}
    refused = await owner.post(ADMIN, json=two, headers=key())
    assert (refused.status_code, refused.json()["code"]) == (409, "out-of-stock")
    assert await count(shop) == 0
    found = {"store_id": str(shop.store_id), "item_kind": "product", "item_id": str(pizza)}
    booked = await owner.post(
        "/api/v1/admin/inventory/adjustments",
        json=found | {"counted": 2, "reason": "Mais uma no forno"},
        headers=key(),
    )
    assert booked.status_code == 201, booked.text
    assert (await owner.post(ADMIN, json=two, headers=key())).status_code == 201
    lines = (await owner.get("/api/v1/admin/inventory/movements")).json()["items"]
    assert [(m["kind"], m["quantity"]) for m in lines[:2]] == [("sale", -2), ("adjustment", 1)]
    assert lines[1]["reason"] == "Mais uma no forno"
    assert "owner" in lines[1]["actor_name"]
