"""The real shop data: counts, totals to the cent, and a second run that changes nothing.

``ACCEPTANCE_DATA`` names a folder with ``olist/*.csv``; without it these tests are skipped.
"""

from __future__ import annotations

import csv
import os
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import func, select

from app.commerce.catalog.models import Product
from app.commerce.orders.models import Order, OrderItem
from app.commerce.payments.models import Payment
from app.kernel.contacts.models import Contact
from tests.scripts.desk import CUSTOMERS, ORDERS, PRODUCTS, Desk

FOLDER = Path(os.environ.get("ACCEPTANCE_DATA", "/nonexistent")) / "olist"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="ACCEPTANCE_DATA does not name a folder with olist/*.csv"
)


def rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def cents(values: list[str]) -> int:
    total = sum((Decimal(value) for value in values), Decimal(0)) * 100
    assert total == int(total)
    return int(total)


async def test_the_real_data_twice(desk: Desk) -> None:
    files = {
        PRODUCTS: (FOLDER / "products.csv", len(rows("products.csv"))),
        CUSTOMERS: (FOLDER / "customers.csv", len(rows("customers.csv"))),
        ORDERS: (FOLDER / "orders.csv", len(rows("orders.csv"))),
    }
    for program, (path, count) in files.items():
        code, said = await desk.run(program, path)
        assert code == 0, said
        assert f"read {count:,} = created {count:,} + updated 0 + unchanged 0 + failed 0" in said

    for program, (path, count) in files.items():
        code, said = await desk.run(program, path)
        assert code == 0, said
        assert f"read {count:,} = created 0 + updated 0 + unchanged {count:,} + failed 0" in said

    counts = [await desk.count(model) for model in (Product, Contact, Order)]
    assert counts == [count for _, count in files.values()]
    items, payments = rows("order_items.csv"), rows("order_payments.csv")
    async with desk.world.work() as work:
        total, paid, pieces = [
            await work.session.scalar(statement)
            for statement in (
                select(func.sum(Order.total_cents)),
                select(func.sum(Payment.amount_cents)),
                select(func.sum(OrderItem.quantity)),
            )
        ]
        listed = list(
            await work.session.execute(select(Order.number, Order.placed_at).order_by(Order.id))
        )
    assert total == cents([i["price"] for i in items]) + cents([i["freight_value"] for i in items])
    assert paid == cents([p["payment_value"] for p in payments])
    assert pieces == len(items)
    # Ids, numbers and times of purchase tell the same story.
    assert [number for number, _ in listed] == list(range(1, len(listed) + 1))
    assert [at for _, at in listed] == sorted(at for _, at in listed)
