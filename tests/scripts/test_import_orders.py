"""Imports of orders: exact to the cent, whole or not at all, in the order of their history."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from app.commerce.catalog.models import Product
from app.commerce.imports.problems import ImportStoreUnclear
from app.commerce.orders.models import Order, OrderItem, OrderStatusChange
from app.commerce.payments.models import Payment
from app.kernel.contacts.models import Contact
from tests.factories.tenants import World
from tests.scripts.desk import CUSTOMERS, ORDERS, PEOPLE, PRODUCTS, Desk, add_store

ORDER_ROWS = (
    "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,"
    "order_delivered_carrier_date,order_delivered_customer_date,order_estimated_delivery_date\n"
    "o2,c2,shipped,2024-03-02 10:00:00,2024-03-02 10:05:00,2024-03-03 08:00:00,,2024-03-10\n"
    "o1,c1,delivered,2024-03-01 21:30:00,2024-03-01 21:40:00,2024-03-02 09:00:00,"
    "2024-03-05 15:00:00,2024-03-09\n"
    "o3,c2,unavailable,2024-03-02 10:00:00,,,,\n"
)
ITEM_ROWS = (
    "order_id,order_item_id,product_id,price,freight_value\n"
    "o1,1,p1,19.99,5.01\no1,2,p1,19.99,5.01\no1,3,p2,0.10,0.20\no2,1,p2,33.3,7.77\n"
)
PAYMENT_ROWS = (
    "order_id,payment_sequential,payment_type,payment_value\n"
    "o1,1,credit_card,50.00\no1,2,voucher,0.30\no2,1,boleto,41.07\no3,1,pix,12.00\n"
)


async def prepared(desk: Desk, orders: str = ORDER_ROWS, items: str = ITEM_ROWS) -> Path:
    """Customers and products imported, an orders file with its items and payments beside it."""
    await desk.run(CUSTOMERS, desk.file("customers.csv", PEOPLE.rsplit("c3", 1)[0]))
    await desk.run(PRODUCTS, desk.file("products.csv", "id,name,price\np1,Um,1\np2,Dois,2\n"))
    desk.file("order_items.csv", items)
    desk.file("order_payments.csv", PAYMENT_ROWS)
    return desk.file("orders.csv", orders)


async def test_orders_with_all_their_parts(desk: Desk) -> None:
    code, said = await desk.run(ORDERS, await prepared(desk))
    assert code == 0, said
    assert "read 3 = created 3 + updated 0 + unchanged 0 + failed 0" in said
    first = await desk.order("o1")
    assert (first.number, first.status, first.source) == (1, "delivered", "import")
    assert (first.subtotal_cents, first.shipping_cents, first.total_cents) == (4008, 1022, 5030)
    assert [(i.name, i.quantity, i.total_cents) for i in first.items] == [
        ("Um", 2, 3998),
        ("Dois", 1, 10),
    ]
    assert [(p.method, p.amount_cents, p.status) for p in first.payments] == [
        ("other", 5000, "paid"),
        ("other", 30, "paid"),
    ]
    assert [step.after for step in first.history] == [
        "pending",
        "confirmed",
        "out_for_delivery",
        "delivered",
    ]
    # 21:30 in São Paulo.
    assert first.placed_at.isoformat() == "2024-03-02T00:30:00+00:00"
    assert first.customer_name == "Maria Silva"
    assert first.delivery is not None
    assert (first.delivery.postal_code, first.delivery.fee_cents) == ("01310000", 1022)
    second, third = await desk.order("o2"), await desk.order("o3")
    assert (second.number, third.number) == (2, 3)
    assert first.id < second.id < third.id
    assert (second.status, third.status, third.total_cents) == ("out_for_delivery", "cancelled", 0)
    assert [(p.method, p.amount_cents, p.status) for p in third.payments] == [
        ("pix", 1200, "cancelled")
    ]
    async with desk.world.work() as work:
        maria = await work.session.scalar(select(Contact).where(Contact.external_ref == "c1"))
    assert maria is not None
    assert maria.last_order_at == first.placed_at


async def test_orders_again_change_nothing_and_numbers_go_on(desk: Desk) -> None:
    path = await prepared(desk)
    await desk.run(ORDERS, path)
    before = [await desk.count(m) for m in (Order, OrderItem, Payment, OrderStatusChange)]
    _, said = await desk.run(ORDERS, path)
    assert "created 0 + updated 0 + unchanged 3 + failed 0" in said
    assert [await desk.count(m) for m in (Order, OrderItem, Payment, OrderStatusChange)] == before
    desk.file("orders.csv", ORDER_ROWS + "o4,c1,created,2024-01-01 08:00:00,,,,\n")
    await desk.run(ORDERS, path)
    assert (await desk.order("o4")).number == 4


async def test_an_order_that_moved_on_in_the_file_moves_on_here(desk: Desk) -> None:
    path = await prepared(desk)
    await desk.run(ORDERS, path)
    desk.file("orders.csv", ORDER_ROWS.replace("o2,c2,shipped", "o2,c2,delivered"))
    desk.file("order_items.csv", ITEM_ROWS.replace("33.3,", "44.4,"))
    _, said = await desk.run(ORDERS, path)
    assert "created 0 + updated 1 + unchanged 2" in said
    order = await desk.order("o2")
    assert (order.status, order.version, order.total_cents) == ("delivered", 2, 5217)
    assert [item.total_cents for item in order.items] == [4440]
    assert order.history[-1].after == "delivered"
    assert len(order.payments) == 1


async def test_an_order_that_people_moved_is_left_alone(desk: Desk) -> None:
    path = await prepared(desk)
    await desk.run(ORDERS, path)
    order = await desk.order("o2")
    async with desk.world.work() as work:
        stored = await work.session.get(Order, order.id)
        assert stored is not None
        stored.status = "cancelled"
        work.session.add(
            OrderStatusChange(
                order_id=order.id, before="out_for_delivery", after="cancelled",
                actor_kind="user", actor_name="dona@loja.example",
            )
        )  # fmt: skip
    desk.file("orders.csv", ORDER_ROWS.replace("o2,c2,shipped", "o2,c2,delivered"))
    _, said = await desk.run(ORDERS, path)
    assert "unchanged 3" in said
    assert "note: 1 changed here since they were imported" in said
    assert (await desk.order("o2")).status == "cancelled"


async def test_a_wrong_order_leaves_nothing_behind(desk: Desk) -> None:
    orders = ORDER_ROWS + (
        "w1,c1,delivered,2024-02-30 10:00:00,,,,\n"
        "w2,nobody,delivered,2024-03-01 10:00:00,,,,\n"
        "w3,c1,lost,2024-03-01 10:00:00,,,,\n"
        "w4,c1,delivered,2024-03-01 10:00:00,,,,\n"
        "w5,c1,delivered,2024-03-01 10:00:00,,,,\n"
        "w6,c1,delivered,2999-03-01 10:00:00,,,,\n"
    )
    items = ITEM_ROWS + "w4,1,p1,ten,0\nw4,2,p1,10.00,0\nw5,1,unknown,10.00,0\nghost,1,p1,1.00,0\n"
    code, said = await desk.run(ORDERS, await prepared(desk, orders, items))
    assert code == 2
    assert "read 9 = created 3 + updated 0 + unchanged 0 + failed 6" in said
    errors = {(row["file"], row["key"]): row for row in desk.errors()}
    assert errors["", "w1"]["line"] == "5"
    assert "unknown customer nobody" in errors["", "w2"]["reason"]
    assert "unknown status 'lost'" in errors["", "w3"]["reason"]
    assert "order_items.csv line 6: 'ten'" in errors["", "w4"]["reason"]
    assert "unknown product unknown" in errors["", "w5"]["reason"]
    assert "future" in errors["", "w6"]["reason"]
    assert errors["order_items.csv", "ghost"]["line"] == "9"
    assert await desk.count(Order) == 3
    assert await desk.count(OrderItem) == 3
    async with desk.world.work() as work:
        numbers = sorted(await work.session.scalars(select(Order.number)))
    assert numbers == [1, 2, 3]


async def test_orders_bring_the_customers_of_their_file(desk: Desk) -> None:
    path = await prepared(desk)
    people = PEOPLE.replace("u1", "person-1").replace("c1,", "k1,").replace("c3,", "k3,")
    named = desk.file("people.csv", people)
    desk.file("orders.csv", ORDER_ROWS.replace(",c1,", ",k3,"))
    more = ("--customers", str(named), "--mapping", "customer.key=customer_unique_id")
    async with desk.world.work() as work:
        maria = await work.session.scalar(select(Contact).where(Contact.external_ref == "c1"))
        assert maria is not None
        maria.external_ref = None
    code, said = await desk.run(ORDERS, path, *more)
    assert code == 0, said
    order = await desk.order("o1")
    assert order.contact_id == maria.id
    assert order.delivery is not None
    assert order.delivery.postal_code == "05422000"
    assert await desk.count(Contact) == 2


async def test_a_dry_run_of_orders_takes_no_number(desk: Desk) -> None:
    path = await prepared(desk)
    _, said = await desk.run(ORDERS, path, "--dry-run")
    assert "would be created 3" in said
    assert await desk.count(Order) == 0
    await desk.run(ORDERS, path)
    assert (await desk.order("o1")).number == 1


async def test_orders_need_to_know_their_store(desk: Desk) -> None:
    path = await prepared(desk)
    await add_store(desk.world, "outra")
    with pytest.raises(ImportStoreUnclear, match="loja, outra"):
        await desk.run(ORDERS, path)
    assert await desk.count(Order) == 0
    code, _ = await desk.run(ORDERS, path, "--store", "outra")
    assert code == 0


async def test_an_import_stays_within_its_tenant(desk: Desk, stranger: World) -> None:
    await add_store(stranger, "loja")
    other = Desk(stranger, desk.folder)
    path = await prepared(desk)
    await desk.run(ORDERS, path)
    (desk.folder / "customers.csv").unlink()
    code, said = await other.run(ORDERS, path)
    assert code == 2
    assert "created 0 + updated 0 + unchanged 0 + failed 3" in said
    for model in (Order, Product, Contact):
        assert await other.count(model) == 0
    # The same keys over there are rows of their own.
    await prepared(other)
    _, said = await other.run(ORDERS, path)
    assert "created 3" in said
    assert await desk.count(Order) == 3


async def test_the_product_shows_what_was_imported(desk: Desk, owner: httpx.AsyncClient) -> None:
    await desk.run(ORDERS, await prepared(desk))
    listed = await owner.get("/api/v1/admin/orders")
    assert listed.status_code == 200, listed.text
    assert [item["number"] for item in listed.json()["items"]] == [3, 2, 1]
    for item in listed.json()["items"]:
        shown = await owner.get(f"/api/v1/admin/orders/{item['id']}")
        assert shown.status_code == 200, shown.text
        assert shown.json()["source"] == "import"
    catalog = await owner.get("/api/v1/catalog?store=loja")
    assert catalog.status_code == 200, catalog.text
    assert b'"Dois"' in catalog.content
