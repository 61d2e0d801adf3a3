"""What a campaign brought: counted again by hand, by the stores' own days, and as CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.commerce.campaigns.service import Asked, StatisticsService
from app.commerce.orders.models import Order
from app.core.clock import now
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

BASE = "/api/v1/admin/campaigns"
NOTHING = {
    "redemptions": 0, "revenue_cents": 0, "items_discount_cents": 0, "shipping_discount_cents": 0,
    "new_customers": 0, "new_customers_cents": 0, "returning_orders": 0, "returning_cents": 0,
    "orders_without": 0, "revenue_without_cents": 0,
}  # fmt: skip


@pytest.fixture
async def shop(world: World) -> Shop:
    shop = await make_shop(world)
    await shop.product("Calabresa", 4000)
    return shop


async def order(
    shopper: httpx.AsyncClient,
    shop: Shop,
    who: int,
    at: datetime | None = None,
    *coupons: str,
    quantity: int = 1,
) -> str:
    customer = {"name": "Maria", "phone": f"1198765432{who}"}
    cart = shop.delivery(shop.products[0], coupons=list(coupons), customer=customer)
    cart["items"][0]["quantity"] = quantity
    placed = await shopper.post("/api/v1/checkout", json=cart, headers=key())
    assert placed.status_code == 201, placed.text
    id: str = placed.json()["id"]
    if at is not None:
        async with shop.world.work() as work:
            (await work.session.get_one(Order, UUID(id))).placed_at = at
    return id


async def read(owner: httpx.AsyncClient, id: UUID, **params: Any) -> dict[str, Any]:
    answer = await owner.get(f"{BASE}/{id}/statistics", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_figures_beside_those_of_other_orders(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop, world: World
) -> None:
    dez = await shop.promotion(name="Dez", kind="percent", value=1000, code="DEZ", combinable=True)
    free = await shop.promotion(
        name="Frete", kind="free_shipping", value=0, code="FRETE", combinable=True
    )
    noon = datetime(2026, 3, 10, 15, tzinfo=UTC)
    before, after = noon - timedelta(days=40), noon + timedelta(days=1)
    await order(shopper, shop, 1, before)  # she returns; the others are new
    await order(shopper, shop, 1, noon, "DEZ")  # 4000 + 700 - 400
    await order(shopper, shop, 2, noon, "DEZ", "FRETE", quantity=2)  # 8000 + 700 - 800 - 700
    await order(shopper, shop, 2, after, "DEZ")  # a second time: returning
    await order(shopper, shop, 3, noon)  # 4700 without
    lost = await order(shopper, shop, 4, noon, "DEZ")
    await owner.post(
        f"/api/v1/admin/orders/{lost}/transitions",
        json={"to": "cancelled", "reason": "desistiu"},
        headers=key(),
    )
    found = await read(owner, dez, since="2026-03-09", until="2026-03-11")
    days = found.pop("days")
    assert found == {
        "campaign_id": str(dez), "name": "Dez", "currency": "BRL",
        "since": "2026-03-09", "until": "2026-03-11",
        "redemptions": 3, "revenue_cents": 4300 + 7200 + 4300,
        "items_discount_cents": 400 + 800 + 400, "shipping_discount_cents": 0,
        "discount_cents": 1600, "average_ticket_cents": 5267,
        "new_customers": 1, "new_customers_cents": 7200,
        "returning_orders": 2, "returning_cents": 8600, "customers": 2, "lost_orders": 1,
        "orders_without": 1, "revenue_without_cents": 4700, "average_ticket_without_cents": 4700,
    }  # fmt: skip
    assert [day["day"] for day in days] == ["2026-03-09", "2026-03-10", "2026-03-11"]
    assert days[0] == NOTHING | {"day": "2026-03-09"}
    assert [(d["redemptions"], d["revenue_cents"], d["orders_without"]) for d in days] == [
        (0, 0, 0),
        (2, 11_500, 1),
        (1, 4300, 0),
    ]
    for name in NOTHING:
        assert sum(day[name] for day in days) == found[name], name
    freight = await read(owner, free, since="2026-03-10", until="2026-03-10")
    assert (freight["redemptions"], freight["shipping_discount_cents"]) == (1, 700)
    assert (freight["items_discount_cents"], freight["discount_cents"]) == (0, 700)
    assert (freight["orders_without"], freight["revenue_without_cents"]) == (2, 4300 + 4700)


async def test_days_are_those_of_the_store(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop, world: World
) -> None:
    """Five past midnight in UTC is the evening before in São Paulo, and not in Lisbon."""
    away = await make_shop(world, slug="lisboa", timezone="Europe/Lisbon")
    away.products = shop.products
    id = await shop.promotion(kind="fixed", value=500)
    late = datetime(2026, 3, 10, 0, 5, tzinfo=UTC)
    await order(shopper, shop, 1, late)
    await order(shopper, away, 2, late)
    found = await read(owner, id, since="2026-03-09", until="2026-03-10")
    assert [day["redemptions"] for day in found["days"]] == [1, 1]
    ninth = await read(owner, id, since="2026-03-09", until="2026-03-09")
    assert (ninth["redemptions"], ninth["new_customers"]) == (1, 1)
    there = {"store_id": str(away.store_id)}
    found = await read(owner, id, since="2026-03-09", until="2026-03-10", **there)
    assert [day["redemptions"] for day in found["days"]] == [0, 1]


async def test_an_edit_counts_once_and_an_archived_campaign_still_counts(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    id = await shop.promotion(kind="percent", value=1000)
    placed = await order(shopper, shop, 1)
    path = f"/api/v1/admin/orders/{placed}"
    line = (await owner.get(path)).json()["items"][0]["id"]
    more = {"change": [{"id": line, "quantity": 3}], "reason": "cliente ligou"}
    assert (await owner.patch(path, json=more)).status_code == 200
    await owner.post(f"{BASE}/{id}/archive")
    found = await read(owner, id)
    assert (found["redemptions"], found["items_discount_cents"]) == (1, 1200)
    assert (found["revenue_cents"], found["lost_orders"]) == (12_000 + 700 - 1200, 0)
    assert len(found["days"]) == 30


async def test_nobody_used_it(owner: httpx.AsyncClient, shop: Shop) -> None:
    found = await read(owner, await shop.promotion())
    assert {name: found[name] for name in NOTHING} == NOTHING
    assert (found["average_ticket_cents"], found["average_ticket_without_cents"]) == (None, None)


async def test_the_days_as_a_file(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    id = await shop.promotion(kind="fixed", value=500)
    await order(shopper, shop, 1, datetime(2026, 3, 10, 15, tzinfo=UTC))
    asked = {"since": "2026-03-09", "until": "2026-03-11"}
    answer = await owner.get(f"{BASE}/{id}/statistics/export", params=asked)
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    days = (await read(owner, id, **asked))["days"]
    assert rows == [{name: str(value) for name, value in day.items()} for day in days]
    assert [row["redemptions"] for row in rows] == ["0", "1", "0"]


async def test_refusals(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, shop: Shop, stranger: World
) -> None:
    id = await shop.promotion()
    theirs = await make_shop(stranger, slug="longe")
    for params, code in (
        ({"since": "2026-03-02", "until": "2026-03-01"}, "campaign-period-invalid"),
        ({"since": "2025-01-01", "until": "2026-03-01"}, "campaign-period-invalid"),
        ({"store_id": str(theirs.store_id)}, "store-not-found"),
        ({"since": "1999-12-31"}, "invalid-request"),
    ):
        for path in ("statistics", "statistics/export"):
            answer = await owner.get(f"{BASE}/{id}/{path}", params=params)
            assert answer.json()["code"] == code, answer.text
    answer = await outsider.get(f"{BASE}/{id}/statistics")
    assert (answer.status_code, answer.json()["code"]) == (404, "campaign-not-found")
    year = {"since": "2025-03-01", "until": "2026-03-01"}
    assert len((await read(owner, id, **year))["days"]) == 366


async def test_it_takes_the_same_statements_whatever_there_is(
    world: World, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    id = await shop.promotion(kind="fixed", value=500)

    async def statements() -> tuple[int, int]:
        heard: list[Any] = []
        async with world.work() as work:
            driver = await work.raw()
            driver.add_query_logger(heard.append)
            today = now().date()
            asked = Asked(today - timedelta(days=9), today + timedelta(days=1))
            found = await StatisticsService(work).statistics(id, asked)
            driver.remove_query_logger(heard.append)
        return len(heard), found.redemptions

    empty = await statements()
    for who in range(4):
        await order(shopper, shop, who)
    assert (empty, await statements()) == ((4, 0), (4, 4))
