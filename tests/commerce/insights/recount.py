"""The same figures by another path: all rows read plainly, everything counted in Python."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from app.kernel.work import UnitOfWork

LOST = {"cancelled", "rejected"}
BANDS = ((1000, "0-1"), (2000, "1-2"), (3000, "2-3"), (5000, "3-5"), (8000, "5-8"), (12000, "8-12"))
Row = dict[str, Any]


@dataclass
class Books:
    """All there is of a tenant's orders."""

    orders: list[Row]
    items: dict[UUID, list[Row]]
    payments: dict[UUID, list[Row]]
    deliveries: dict[UUID, list[Row]]
    steps: dict[UUID, list[Row]]
    redemptions: dict[UUID, list[Row]]
    zones: dict[UUID, ZoneInfo]

    def day(self, order: Row) -> date:
        at: datetime = order["placed_at"]
        return at.astimezone(self.zones[order["store_id"]]).date()


async def books(work: UnitOfWork) -> Books:
    driver = await work.raw()

    async def rows(table: str) -> list[Row]:
        return [dict(row) for row in await driver.fetch(f"SELECT * FROM {table}")]  # noqa: S608

    def by_order(found: Iterable[Row]) -> dict[UUID, list[Row]]:
        kept: dict[UUID, list[Row]] = defaultdict(list)
        for row in found:
            kept[row["order_id"]].append(row)
        return kept

    return Books(
        await rows("orders"),
        by_order(await rows("order_items")),
        by_order(await rows("payments")),
        by_order(await rows("deliveries")),
        by_order(await rows("order_status_changes")),
        by_order(await rows("promotion_redemptions")),
        {row["id"]: ZoneInfo(row["timezone"]) for row in await rows("stores")},
    )


def recount(found: Books, since: date, until: date, store: UUID | None = None) -> Row:
    """The figures of these days, both included, as the API names them."""
    within = [
        o for o in found.orders if since <= found.day(o) <= until and store in (None, o["store_id"])
    ]
    good = [o for o in within if o["status"] not in LOST]
    firsts: dict[UUID, Row] = {}
    for order in sorted(found.orders, key=lambda o: (o["placed_at"], o["id"])):
        if order["status"] not in LOST:
            firsts.setdefault(order["contact_id"], order)
    new = [o for o in good if firsts[o["contact_id"]] is o]
    old = [o for o in good if firsts[o["contact_id"]] is not o]
    revenue = cents(good)
    cut = [o for o in good if o["discount_cents"] + o["shipping_discount_cents"]]
    return {
        "revenue_cents": revenue,
        "orders": len(good),
        "average_ticket_cents": average(revenue, len(good)) or 0,
        "freight_cents": sum(o["shipping_cents"] - o["shipping_discount_cents"] for o in good),
        "new_customers": len(new),
        "new_customers_cents": cents(new),
        "returning_orders": len(old),
        "returning_cents": cents(old),
        "cancelled": sum(o["status"] == "cancelled" for o in within),
        "rejected": sum(o["status"] == "rejected" for o in within),
        "lost_cents": cents(o for o in within if o["status"] in LOST),
        "discounted_orders": len(cut),
        "discount_cents": sum(o["discount_cents"] + o["shipping_discount_cents"] for o in cut),
        **times(found, good),
    }


def parts(found: Books, since: date, until: date) -> dict[str, dict[str, tuple[int, int]]]:
    """Orders and cents by breakdown and key."""
    kept: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))

    def count(report: str, key: str, amount: int) -> None:
        kept[report][key][0] += 1
        kept[report][key][1] += amount

    for order in found.orders:
        if not since <= found.day(order) <= until:
            continue
        total = order["total_cents"]
        if order["status"] in LOST:
            count("cancellations", order["cancel_reason"] or "", total)
            continue
        local = order["placed_at"].astimezone(found.zones[order["store_id"]])
        count("hours", f"{local.isoweekday()}-{local.hour}", total)
        count("fulfilments", order["fulfilment"], total)
        count("sources", order["source"], total)
        for delivery in found.deliveries[order["id"]]:
            count("distances", band(delivery["distance_meters"]), total)
        for report, sums in of_parts(found, order).items():
            for key, amount in sums.items():
                count(report, key, amount)
    return {
        report: {key: (n, amount) for key, (n, amount) in sums.items()}
        for report, sums in kept.items()
    }


def of_parts(found: Books, order: Row) -> dict[str, Counter[str]]:
    sums: dict[str, Counter[str]] = {name: Counter() for name in ("products", "payments", "uses")}
    for item in found.items[order["id"]]:
        sums["products"][str(item["product_id"] or item["name"])] += item["total_cents"]
    for payment in found.payments[order["id"]]:
        if payment["status"] not in ("failed", "cancelled"):
            sums["payments"][payment["method"]] += payment["amount_cents"]
    for use in found.redemptions[order["id"]]:
        if use["released_at"] is None:
            sums["uses"][str(use["promotion_id"])] += use["amount_cents"] + use["shipping_cents"]
    return {"products": sums["products"], "payments": sums["payments"], "promotions": sums["uses"]}


def band(meters: int | None) -> str:
    if meters is None:
        return "unknown"
    return next((name for below, name in BANDS if meters < below), "12+")


def times(found: Books, good: list[Row]) -> Row:
    spans: dict[str, list[float]] = defaultdict(list)
    late = 0
    for order in good:
        first: dict[str, datetime] = {}
        for step in sorted(found.steps[order["id"]], key=lambda s: s["created_at"]):
            first.setdefault(step["after"], step["created_at"])
        for name, start, end in (
            ("preparation", "confirmed", "ready"),
            ("delivery", "out_for_delivery", "delivered"),
            ("door", "pending", "delivered"),
        ):
            if start in first and end in first:
                spans[name].append((first[end] - first[start]).total_seconds())
        promised = order["promised_at"]
        late += bool(promised and "delivered" in first and first["delivered"] > promised)
    return {
        f"{name}_seconds": average(round(sum(spans[name])), len(spans[name]))
        for name in ("preparation", "delivery", "door")
    } | {"late": late}


def cents(orders: Iterable[Row]) -> int:
    return sum(order["total_cents"] for order in orders)


def average(total: int, count: int) -> int | None:
    return (2 * total + count) // (2 * count) if count else None
