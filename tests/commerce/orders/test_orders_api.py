"""After checkout: tracking, status machine, optimistic concurrency, what a cancel returns."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from app.commerce.inventory.models import StockLevel, StockMovement
from app.commerce.orders.models import Order, OrderStatusChange
from app.commerce.promotions.models import Promotion, PromotionRedemption
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

ADMIN = "/api/v1/admin/orders"


@pytest.fixture
async def shop(world: World) -> Shop:
    return await make_shop(world)


async def place(client: httpx.AsyncClient, shop: Shop, **fields: Any) -> dict[str, Any]:
    product = shop.products[0] if shop.products else await shop.product(stock=10)
    answer = await client.post(
        "/api/v1/checkout", json=shop.delivery(product, **fields), headers=key()
    )
    assert answer.status_code == 201, answer.text
    placed: dict[str, Any] = answer.json()
    return placed


async def move(client: httpx.AsyncClient, order_id: str, to: str, **extra: Any) -> httpx.Response:
    headers = {"If-Match": extra.pop("version")} if "version" in extra else {}
    return await client.post(
        f"{ADMIN}/{order_id}/transitions", json={"to": to, **extra}, headers=headers
    )


async def test_an_order_goes_to_the_door(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    placed = await place(shopper, shop)
    for to in ("confirmed", "preparing", "ready", "out_for_delivery", "delivered"):
        answer = await move(owner, placed["id"], to)
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == to
    assert answer.json()["allowed"] == []
    assert answer.json()["version"] == 6
    steps = (await shopper.get(placed["tracking_path"])).json()["steps"]
    assert [s["status"] for s in steps] == [
        "pending",
        "confirmed",
        "preparing",
        "ready",
        "out_for_delivery",
        "delivered",
    ]


async def test_forbidden_move_says_where_the_order_is_and_changes_nothing(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    placed = await place(shopper, shop)
    answer = await move(owner, placed["id"], "delivered")
    assert (answer.status_code, answer.json()["code"]) == (409, "transition-not-allowed")
    assert answer.json()["status_now"] == "pending"
    assert answer.json()["allowed"] == ["cancelled", "confirmed", "rejected"]
    silent = await move(owner, placed["id"], "rejected")
    assert (silent.status_code, silent.json()["code"]) == (409, "reason-required")
    async with shop.world.work() as work:
        order = (await work.session.scalars(select(Order))).one()
        assert (order.status, order.version) == ("pending", 1)
        history = await work.session.scalar(select(func.count()).select_from(OrderStatusChange))
    assert history == 1


async def test_two_attendants_cannot_both_act(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    placed = await place(shopper, shop)
    answers = await asyncio.gather(
        *(move(owner, placed["id"], "confirmed", version='"1"') for _ in range(8))
    )
    assert Counter(a.status_code for a in answers) == {200: 1, 409: 7}
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"version-conflict"}


async def test_cancel_gives_back_stock_and_coupon_once(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    await shop.product(price_cents=5000, stock=10)
    await shop.promotion(code="CINCO", kind="fixed", value=500, usage_limit=5)
    placed = await place(shopper, shop, coupons=["CINCO"])
    answers = await asyncio.gather(
        *(move(owner, placed["id"], "cancelled", reason="cliente desistiu") for _ in range(6))
    )
    assert Counter(a.status_code for a in answers) == {200: 1, 409: 5}
    async with shop.world.work() as work:
        assert await work.session.scalar(select(StockLevel.on_hand)) == 10
        assert await work.session.scalar(select(func.sum(StockMovement.quantity))) == 10
        promotion = (await work.session.scalars(select(Promotion))).one()
        redemption = (await work.session.scalars(select(PromotionRedemption))).one()
    assert (promotion.used_count, promotion.spent_cents) == (0, 0)
    assert redemption.released_at is not None


async def test_checkouts_and_cancels_at_once_keep_the_ledger(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    await shop.product(price_cents=5000, stock=30)
    await shop.promotion(code="LOGO", kind="fixed", value=100)
    orders = [await place(shopper, shop, coupons=["LOGO"]) for _ in range(10)]
    answers = await asyncio.gather(
        *(move(owner, o["id"], "cancelled", reason="teste de carga") for o in orders),
        *(
            shopper.post(
                "/api/v1/checkout",
                json=shop.delivery(shop.products[0], coupons=["LOGO"]),
                headers=key(),
            )
            for _ in range(25)
        ),
    )
    codes = Counter(a.status_code for a in answers)
    assert set(codes) <= {200, 201, 409}, codes
    async with shop.world.work() as work:
        on_hand = await work.session.scalar(select(StockLevel.on_hand))
        ledger = await work.session.scalar(select(func.sum(StockMovement.quantity)))
        alive = await work.session.scalar(select(func.count()).where(Order.status == "pending"))
        promotion = (await work.session.scalars(select(Promotion))).one()
    assert on_hand == ledger == 30 - (alive or 0)
    assert promotion.used_count == alive


async def test_customer_cancels_only_while_pending(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    first, second = await place(shopper, shop), await place(shopper, shop)
    cancel = f"/api/v1/orders/{first['id']}/cancel"
    wrong = await shopper.post(cancel, params={"token": "x" * 43}, json={})
    assert (wrong.status_code, wrong.json()["code"]) == (404, "order-not-found")
    other = await shopper.post(cancel, params={"token": second["tracking_token"]}, json={})
    assert other.status_code == 404, "a token opens its own order alone"
    done = await shopper.post(
        cancel, params={"token": first["tracking_token"]}, json={"reason": "errei o endereço"}
    )
    assert done.status_code == 200
    assert done.json()["status"] == "cancelled"
    assert done.json()["may_cancel"] is False

    await move(owner, second["id"], "confirmed")
    late = await shopper.post(
        f"/api/v1/orders/{second['id']}/cancel",
        params={"token": second["tracking_token"]},
        json={},
    )
    assert (late.status_code, late.json()["code"]) == (409, "order-not-cancellable")


async def test_list_filters_and_pages(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    placed = [await place(shopper, shop) for _ in range(5)]
    await move(owner, placed[0]["id"], "confirmed")
    first = (await owner.get(ADMIN, params={"limit": 3})).json()
    assert [o["number"] for o in first["items"]] == [5, 4, 3]
    rest = (await owner.get(ADMIN, params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [o["number"] for o in rest["items"]] == [2, 1]
    assert rest["next_cursor"] is None
    for params, numbers in (
        ({"status": "confirmed"}, [1]),
        ({"query": "4"}, [4]),
        ({"query": "(11) 8765-4321"}, [5, 4, 3, 2, 1]),
        ({"query": "maria"}, [5, 4, 3, 2, 1]),
        ({"query": "100%"}, []),
        ({"placed_from": "2999-01-01T00:00:00Z"}, []),
    ):
        answer = await owner.get(ADMIN, params=params)
        found = answer.json()
        assert [o["number"] for o in found["items"]] == numbers, (params, found)


async def test_strangers_and_viewers(
    shopper: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
    owner: httpx.AsyncClient,
    world: World,
    shop: Shop,
) -> None:
    placed = await place(shopper, shop)
    for answer in (
        await outsider.get(f"{ADMIN}/{placed['id']}"),
        await move(outsider, placed["id"], "confirmed"),
        await outsider.get(placed["tracking_path"]),
    ):
        assert (answer.status_code, answer.json()["code"]) in {
            (404, "order-not-found"),
        }, answer.text
    viewer = await world.member("viewer")
    bearer = {"Authorization": f"Bearer {viewer.token}"}
    assert (await shopper.get(ADMIN, headers=bearer)).status_code == 200
    refused = await shopper.post(
        f"{ADMIN}/{placed['id']}/transitions", json={"to": "confirmed"}, headers=bearer
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "action-not-allowed")
    assert (await shopper.get(ADMIN)).status_code == 401
    assert (await owner.get(f"{ADMIN}/{placed['id']}")).json()["status"] == "pending"
