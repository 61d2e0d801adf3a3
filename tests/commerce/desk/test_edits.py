"""Changing an order before preparation: stock, coupons and money follow, whoever acts meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
from sqlalchemy import func, select

from app.commerce.inventory.models import StockLevel, StockMovement
from app.commerce.orders.models import Order, OrderEdit, OrderItem
from app.commerce.payments.models import Payment
from app.commerce.promotions.models import Promotion, PromotionRedemption
from tests.commerce.desk.conftest import Placing
from tests.factories.commerce import PAULISTA, Shop
from tests.factories.tenants import World

ADMIN = "/api/v1/admin/orders"


async def edit(
    client: httpx.AsyncClient, order_id: str, body: dict[str, Any], version: int | None = None
) -> httpx.Response:
    headers = {"If-Match": f'"{version}"'} if version is not None else {}
    return await client.patch(f"{ADMIN}/{order_id}", json=body, headers=headers)


async def stock_of(shop: Shop, item: object) -> tuple[int | None, int | None]:
    """On hand, and what the ledger says."""
    async with shop.world.work() as work:
        on_hand = await work.session.scalar(
            select(StockLevel.on_hand).where(StockLevel.item_id == item)
        )
        ledger = await work.session.scalar(
            select(func.sum(StockMovement.quantity)).where(StockMovement.item_id == item)
        )
    return on_hand, ledger


async def test_lines_are_added_removed_and_changed_with_their_stock(
    owner: httpx.AsyncClient, place: Placing, shop: Shop
) -> None:
    pizza, soda, cake = [
        await shop.product(name, cents, stock=10)
        for name, cents in (("Pizza", 5000), ("Guaraná", 900), ("Bolo", 1500))
    ]
    placed = await place(shop.delivery(pizza, soda))
    lines = (await owner.get(f"{ADMIN}/{placed['id']}")).json()["items"]
    answer = await edit(
        owner,
        placed["id"],
        {
            "add": [{"product_id": str(cake), "quantity": 2}],
            "remove": [lines[1]["id"]],
            "change": [{"id": lines[0]["id"], "quantity": 3, "note": "sem cebola"}],
            "reason": "cliente ligou",
        },
        version=1,
    )
    assert answer.status_code == 200, answer.text
    found = answer.json()
    order = found["order"]
    assert [(i["name"], i["quantity"], i["note"]) for i in order["items"]] == [
        ("Pizza", 3, "sem cebola"),
        ("Bolo", 2, None),
    ]
    assert order["items"][0]["id"] == lines[0]["id"], "a line that stays is the same line"
    assert (order["total_cents"], order["version"]) == (3 * 5000 + 2 * 1500 + 700, 2)
    assert found["difference_cents"] == order["total_cents"] - placed["total_cents"]
    assert [i["name"] for i in found["before"]["items"]] == ["Pizza", "Guaraná"]
    assert (found["due_cents"], found["refund_due_cents"]) == (order["total_cents"], 0)
    assert order["edits"][0]["reason"] == "cliente ligou"
    assert [await stock_of(shop, p) for p in (pizza, soda, cake)] == [(7, 7), (10, 10), (8, 8)]
    gone = await owner.post(
        f"{ADMIN}/{placed['id']}/transitions", json={"to": "cancelled", "reason": "desistiu"}
    )
    assert gone.status_code == 200
    assert [await stock_of(shop, p) for p in (pizza, soda, cake)] == [(10, 10)] * 3


async def test_a_paid_order_owes_or_is_owed_the_difference(
    owner: httpx.AsyncClient, place: Placing, shop: Shop
) -> None:
    pizza = await shop.product("Pizza", 5000)
    placed = await place(shop.cart(pizza))
    async with shop.world.work() as work:
        payment = (await work.session.scalars(select(Payment))).one()
        payment.status, payment.received_cents = "paid", payment.amount_cents
    (line,) = (await owner.get(f"{ADMIN}/{placed['id']}")).json()["items"]

    async def take(quantity: int) -> dict[str, Any]:
        answer = await edit(
            owner, placed["id"], {"change": [{"id": line["id"], "quantity": quantity}]}
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    more = await take(3)
    assert (more["due_cents"], more["refund_due_cents"]) == (10000, 0)
    assert [(p["status"], p["amount_cents"]) for p in more["order"]["payments"]] == [
        ("paid", 5000),
        ("pending", 10000),
    ]
    less = await take(1)
    assert (less["due_cents"], less["refund_due_cents"]) == (0, 0)
    cheap = await shop.product("Água", 500)
    swapped = await edit(
        owner,
        placed["id"],
        {"remove": [line["id"]], "add": [{"product_id": str(cheap), "quantity": 1}]},
    )
    assert (swapped.json()["due_cents"], swapped.json()["refund_due_cents"]) == (0, 4500)
    listed = (await owner.get(f"{ADMIN}/{placed['id']}/timeline")).json()["moments"]
    assert [m["kind"] for m in listed].count("edit") == 3


async def test_the_address_changes_freight_and_promise_and_a_same_one_keeps_it(
    owner: httpx.AsyncClient, place: Placing, shop: Shop
) -> None:
    pizza = await shop.product("Pizza", 5000)
    placed = await place(shop.delivery(pizza))
    await shop.change_store(free_shipping_above_cents=9000)
    (line,) = (await owner.get(f"{ADMIN}/{placed['id']}")).json()["items"]
    free = await edit(owner, placed["id"], {"change": [{"id": line["id"], "quantity": 2}]})
    assert free.json()["order"]["shipping_cents"] == 0
    street = PAULISTA | {"street": "Rua Augusta", "number": "9"}
    moved = await edit(
        owner,
        placed["id"],
        {"change": [{"id": line["id"], "quantity": 1}], "address": street, "note": "fundos"},
    )
    order = moved.json()["order"]
    assert (order["shipping_cents"], order["note"]) == (700, "fundos")
    assert order["delivery"]["address"]["street"] == "Rua Augusta"
    assert moved.json()["before"]["address"]["street"] == "Avenida Paulista"


async def test_a_coupon_is_used_once_however_often_the_order_changes(
    owner: httpx.AsyncClient, place: Placing, shop: Shop
) -> None:
    pizza = await shop.product("Pizza", 5000)
    await shop.promotion(code="UM", kind="percent", value=1000, usage_limit=1)
    await shop.promotion(kind="first_order", value=500, name="Primeiro", combinable=True)
    placed = await place(shop.cart(pizza, coupons=["UM"]))
    (line,) = (await owner.get(f"{ADMIN}/{placed['id']}")).json()["items"]
    answer = await edit(owner, placed["id"], {"change": [{"id": line["id"], "quantity": 2}]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["order"]["discount_cents"] >= 1000
    async with shop.world.work() as work:
        promotion = (
            await work.session.scalars(select(Promotion).where(Promotion.code == "UM"))
        ).one()
        alive = (
            await work.session.scalars(
                select(PromotionRedemption).where(PromotionRedemption.released_at.is_(None))
            )
        ).all()
        order = (await work.session.scalars(select(Order))).one()
    assert promotion.used_count == 1
    assert sum(use.amount_cents for use in alive) == order.discount_cents
    bare = await edit(owner, placed["id"], {"coupons": []})
    assert bare.status_code == 200
    async with shop.world.work() as work:
        used = await work.session.scalar(select(Promotion.used_count).where(Promotion.code == "UM"))
    assert used == 0


async def test_a_refused_edit_changes_nothing(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, place: Placing, shop: Shop
) -> None:
    pizza = await shop.product("Pizza", 5000, stock=3)
    placed = await place(shop.cart(pizza))
    order_id = placed["id"]
    (line,) = (await owner.get(f"{ADMIN}/{order_id}")).json()["items"]
    more = {"change": [{"id": line["id"], "quantity": 4}]}
    two = {"change": [{"id": line["id"], "quantity": 2}]}
    strange = {"remove": [order_id]}
    dear = two | {"expected_total_cents": 1}
    own = {"change": [{"id": line["id"], "price_cents": 1}]}
    for client, body, version, status, code in (
        (owner, more, None, 409, "out-of-stock"),
        (owner, two, 7, 409, "version-conflict"),
        (owner, strange, None, 404, "order-line-not-found"),
        (owner, dear, None, 409, "price-changed"),
        (owner, own, None, 422, "override-reason-required"),
        (owner, {}, None, 422, "nothing-to-change"),
        (owner, {"remove": [line["id"]]}, None, 422, "order-not-orderable"),
        (outsider, two, None, 404, "order-not-found"),
    ):
        answer = await edit(client, order_id, body, version)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert await stock_of(shop, pizza) == (2, 2)
    async with shop.world.work() as work:
        order = (await work.session.scalars(select(Order))).one()
        assert (order.version, order.total_cents) == (1, 5000)
        assert await work.session.scalar(select(func.count()).select_from(OrderEdit)) == 0
    for to in ("confirmed", "preparing"):
        await owner.post(f"{ADMIN}/{order_id}/transitions", json={"to": to})
    late = await edit(owner, order_id, two)
    assert (late.status_code, late.json()["code"]) == (409, "order-not-editable")


async def test_an_own_price_needs_the_grant_and_is_logged(
    app: Any, owner: httpx.AsyncClient, world: World, place: Placing, shop: Shop
) -> None:
    pizza = await shop.product("Pizza", 5000)
    placed = await place(shop.cart(pizza))
    (line,) = (await owner.get(f"{ADMIN}/{placed['id']}")).json()["items"]
    body = {"change": [{"id": line["id"], "price_cents": 4000}], "reason": "veio fria"}
    agent = await world.member("agent")
    refused = await owner.patch(
        f"{ADMIN}/{placed['id']}",
        json=body,
        headers={"Authorization": f"Bearer {agent.token}"},
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "action-not-allowed")
    done = (await edit(owner, placed["id"], body)).json()["order"]
    assert done["items"][0]["unit_price_cents"] == 4000
    assert done["items"][0]["list_price_cents"] == 5000
    again = (await edit(owner, placed["id"], {"note": "portaria"})).json()["order"]
    assert again["total_cents"] == 4000, "a price that staff set stays"
    trail = (await owner.get("/api/v1/admin/audit", params={"resource_id": placed["id"]})).json()
    logged = [e for e in trail["items"] if e["action"] == "commerce.order_override"]
    assert logged[-1]["facts"]["reason"] == "veio fria"
    assert logged[-1]["facts"]["prices"] == [
        {"name": "Pizza", "list_cents": 5000, "set_cents": 4000}
    ]


async def test_edit_cancel_and_move_at_once_end_in_one_consistent_order(
    owner: httpx.AsyncClient, place: Placing, shop: Shop
) -> None:
    """Whoever wins, levels equal the ledger and the order's own lines, and nobody gets a 5xx."""
    pizza = await shop.product("Pizza", 5000, stock=40)
    await shop.promotion(code="CINCO", kind="fixed", value=500)
    for _ in range(6):
        placed = await place(shop.cart(pizza, coupons=["CINCO"]))
        order_id = placed["id"]
        (line,) = (await owner.get(f"{ADMIN}/{order_id}")).json()["items"]
        answers = await asyncio.gather(
            edit(owner, order_id, {"change": [{"id": line["id"], "quantity": 3}]}, version=1),
            edit(owner, order_id, {"change": [{"id": line["id"], "quantity": 5}]}, version=1),
            owner.post(
                f"{ADMIN}/{order_id}/transitions",
                json={"to": "cancelled", "reason": "desistiu"},
                headers={"If-Match": '"1"'},
            ),
            owner.post(
                f"{ADMIN}/{order_id}/transitions",
                json={"to": "confirmed"},
                headers={"If-Match": '"1"'},
            ),
        )
        assert Counter(a.status_code for a in answers) == {200: 1, 409: 3}
    async with shop.world.work() as work:
        rows = await work.session.execute(
            select(func.coalesce(func.sum(OrderItem.quantity), 0))
            .join(Order, Order.id == OrderItem.order_id)
            .where(Order.status != "cancelled")
        )
        sold = rows.scalar_one()
        promotion = (await work.session.scalars(select(Promotion))).one()
        alive = await work.session.scalar(
            select(func.count()).select_from(Order).where(Order.status != "cancelled")
        )
    assert await stock_of(shop, pizza) == (40 - sold, 40 - sold)
    assert promotion.used_count == alive
    assert promotion.spent_cents == 500 * (alive or 0)


async def test_edits_and_checkouts_that_cross_do_not_deadlock(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, place: Placing, shop: Shop
) -> None:
    a, b = [await shop.product(f"Item {n}", 1000, stock=200) for n in "ab"]
    await shop.promotion(code="X", kind="fixed", value=100, combinable=True)
    await shop.promotion(kind="percent", value=100, combinable=True, usage_limit=500)
    orders = [await place(shop.cart(a, b, coupons=["X"])) for _ in range(8)]
    edits = []
    for n, placed in enumerate(orders):
        lines = (await owner.get(f"{ADMIN}/{placed['id']}")).json()["items"]
        change = [{"id": line["id"], "quantity": 2 + n % 3} for line in lines]
        edits.append(edit(owner, placed["id"], {"change": change[:: 1 if n % 2 else -1]}))
    answers = await asyncio.gather(
        *edits,
        *(
            place(shop.cart(*pair, coupons=["X"], customer=_buyer(n)))
            for n, pair in enumerate([(b, a), (a, b)] * 6)
        ),
    )
    assert {a.status_code for a in answers if isinstance(a, httpx.Response)} == {200}
    async with shop.world.work() as work:
        sold = await work.session.scalar(
            select(func.sum(OrderItem.quantity)).where(OrderItem.product_id == a)
        )
        used = (await work.session.scalars(select(Promotion.used_count))).all()
    assert await stock_of(shop, a) == (200 - (sold or 0), 200 - (sold or 0))
    assert list(used) == [20, 20]


def _buyer(number: int) -> dict[str, str]:
    return {"name": f"Cliente {number}", "phone": f"1197{number:07d}"}
