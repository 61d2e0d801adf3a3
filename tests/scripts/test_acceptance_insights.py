"""Insights of the real shop data equal a recount of its CSV files, which knows nothing of ours.

``ACCEPTANCE_DATA`` names a folder with ``olist/*.csv``; without it this is skipped.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date
from decimal import Decimal

import pytest

from app.commerce.insights.rules import Grain
from app.commerce.insights.schemas import Insights
from app.commerce.insights.service import Asked, InsightService
from tests.commerce.insights.test_exactness import rolled
from tests.scripts.desk import ORDERS, PRODUCTS, Desk
from tests.scripts.test_acceptance_data import FOLDER, rows

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="ACCEPTANCE_DATA does not name a folder with olist/*.csv"
)
SINCE, UNTIL = date(2016, 1, 1), date(2018, 12, 31)
LOST = {"canceled", "unavailable"}


def cents(value: str) -> int:
    return int(Decimal(value) * 100)


async def read(desk: Desk) -> Insights:
    async with desk.world.work() as work:
        return await InsightService(work).summary(
            Asked(None, SINCE, UNTIL, Grain.MONTH, products=1000)
        )


async def test_insights_equal_a_recount_of_the_files(desk: Desk) -> None:
    for program, name, more in (
        (PRODUCTS, "products", ()),
        # A person has a key per order there, and one of their own.
        (ORDERS, "orders", ("--mapping", "customer.key=customer_unique_id")),
    ):
        code, said = await desk.run(program, FOLDER / f"{name}.csv", *more)
        assert code == 0, said

    totals: Counter[str] = Counter()
    sold: dict[str, Counter[str]] = defaultdict(Counter)
    for item in rows("order_items.csv"):
        totals[item["order_id"]] += cents(item["price"]) + cents(item["freight_value"])
        sold[item["order_id"]][item["product_id"]] += cents(item["price"])
    people = {c["customer_id"]: c["customer_unique_id"] for c in rows("customers.csv")}
    good = [o for o in rows("orders.csv") if o["order_status"] not in LOST]
    # Times in the files are the store's: a month is the beginning of the text.
    by_month: Counter[str] = Counter()
    products: Counter[str] = Counter()
    seen: set[str] = set()
    new = 0
    for order in sorted(good, key=lambda o: (o["order_purchase_timestamp"], o["order_id"])):
        by_month[order["order_purchase_timestamp"][:7]] += totals[order["order_id"]]
        products.update(sold[order["order_id"]])
        person = people[order["customer_id"]]
        new += person not in seen
        seen.add(person)
    revenue = sum(by_month.values())

    first = await read(desk)
    await rolled(desk.world)
    second = await read(desk)
    assert first.model_dump() == second.model_dump(), "orders one by one, and their sums"
    assert second.current.orders == len(good)
    assert second.current.revenue_cents == revenue
    assert second.current.average_ticket_cents == (2 * revenue + len(good)) // (2 * len(good))
    assert (second.current.new_customers, second.current.returning_orders) == (
        new,
        len(good) - new,
    )
    months = {b.since.isoformat()[:7]: b.revenue_cents for b in second.series if b.orders}
    assert months == {month: total for month, total in by_month.items() if total or month in months}
    best = sorted(products.values(), reverse=True)[:1000]
    assert [part.amount_cents for part in second.products] == best
