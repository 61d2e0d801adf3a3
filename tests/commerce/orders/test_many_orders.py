"""Many orders: bulk moves that answer one by one, and filters that find exactly theirs."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text, update

from app.commerce.inventory.models import StockLevel
from app.commerce.orders.models import Order
from app.commerce.payments.models import Payment
from app.core.clock import now
from app.core.ddl import TENANT_ROLE
from app.core.ids import new_id
from tests.commerce.orders.test_orders_api import place
from tests.factories.commerce import PAULISTA, Shop, key, make_shop
from tests.factories.stores import open_store
from tests.factories.tenants import World

ADMIN = "/api/v1/admin/orders"


@pytest.fixture
async def shop(world: World) -> Shop:
    return await make_shop(world)


async def test_bulk_moves_answer_one_by_one(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, world: World, shop: Shop
) -> None:
    placed = [await place(shopper, shop) for _ in range(4)]
    ids = [p["id"] for p in placed]
    await owner.post(f"{ADMIN}/{ids[1]}/transitions", json={"to": "confirmed"})
    nobody = str(new_id())
    body = {
        "to": "confirmed",
        "items": [
            {"order_id": ids[0], "version": 1},
            {"order_id": ids[1], "version": 1},
            {"order_id": nobody},
            {"order_id": ids[2], "version": 9},
            {"order_id": ids[1]},
            {"order_id": ids[3]},
        ],
    }
    answer = await owner.post(f"{ADMIN}/transitions", json=body)
    assert answer.status_code == 200, answer.text
    assert [(r["ok"], r["code"], r["status"]) for r in answer.json()["results"]] == [
        (True, None, "confirmed"),
        (False, "version-conflict", "confirmed"),
        (False, "order-not-found", None),
        (False, "version-conflict", "pending"),
        (False, "transition-not-allowed", "confirmed"),
        (True, None, "confirmed"),
    ]
    listed = (await owner.get(ADMIN)).json()["items"]
    assert {o["id"]: (o["status"], o["version"]) for o in listed} == {
        ids[0]: ("confirmed", 2),
        ids[1]: ("confirmed", 2),
        ids[2]: ("pending", 1),
        ids[3]: ("confirmed", 2),
    }
    agent = await world.member("agent")
    refused = await shopper.post(
        f"{ADMIN}/transitions",
        json=body | {"to": "cancelled", "reason": "fim do dia"},
        headers={"Authorization": f"Bearer {agent.token}"},
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "action-not-allowed")
    assert (await owner.get(ADMIN, params={"status": "cancelled"})).json()["items"] == []


async def test_two_attendants_with_the_same_bulk_move_each_order_once(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    await shop.product(stock=20)
    ids = [(await place(shopper, shop))["id"] for _ in range(6)]

    async def cancel(order: list[str]) -> httpx.Response:
        items = [{"order_id": i, "version": 1} for i in order]
        body = {"to": "cancelled", "reason": "loja fechou", "items": items}
        return await owner.post(f"{ADMIN}/transitions", json=body)

    answers = await asyncio.gather(cancel(ids), cancel(ids[::-1]), cancel(ids))
    assert {a.status_code for a in answers} == {200}
    done = Counter(r["order_id"] for a in answers for r in a.json()["results"] if r["ok"])
    assert done == dict.fromkeys(ids, 1)
    async with shop.world.work() as work:
        assert await work.session.scalar(select(StockLevel.on_hand)) == 20


async def test_each_filter_finds_exactly_its_orders(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, world: World, shop: Shop
) -> None:
    first = await place(shopper, shop)
    promo = await shop.promotion(code="CINCO", kind="fixed", value=500)
    campinas = PAULISTA | {"city": "Campinas", "district": "Cambuí"}
    second = await shopper.post(
        "/api/v1/checkout",
        json=shop.delivery(shop.products[0], coupons=["CINCO"])
        | {"address": campinas, "payment": {"method": "cash"}},
        headers=key(),
    )
    assert second.status_code == 201, second.text
    third = await owner.post(
        ADMIN,
        json=shop.cart(shop.products[0], customer={"name": "Íris Paz", "phone": "11981112222"}),
        headers=key(),
    )
    assert third.status_code == 201, third.text
    soon = now() + timedelta(days=1)
    async with world.work() as work:
        await work.session.execute(
            update(Payment).where(Payment.order_id == first["id"]).values(status="paid")
        )
        await work.session.execute(
            update(Order).where(Order.number == 3).values(scheduled_for=soon, promised_at=soon)
        )
        await work.session.execute(
            update(Order).where(Order.number == 2).values(promised_at=now() - timedelta(hours=1))
        )
    cases: list[tuple[dict[str, Any], list[int]]] = [
        ({"payment_status": "paid"}, [1]),
        ({"payment_method": "cash"}, [2]),
        ({"payment_method": "pix", "payment_status": "pending"}, [3]),
        ({"promotion_id": str(promo)}, [2]),
        ({"scheduled_from": now().isoformat()}, [3]),
        ({"scheduled_to": now().isoformat()}, []),
        ({"source": "admin"}, [3]),
        ({"source": "storefront"}, [2, 1]),
        ({"late": True}, [2]),
        ({"late": False}, [3, 1]),
        ({"fulfilment": "pickup"}, [3]),
        ({"query": "iris"}, [3]),
        ({"query": "%"}, []),
        ({"placed_from": "2020-01-01T00:00:00Z"}, [3, 2, 1]),
        ({"sort": "promised"}, [2, 1, 3]),
    ]
    for params, numbers in cases:
        answer = await owner.get(ADMIN, params=params)
        assert answer.status_code == 200, answer.text
        assert [o["number"] for o in answer.json()["items"]] == numbers, params
    for sort in ("newest", "promised"):
        walked, cursor = [], None
        for _ in range(4):
            params = {"limit": 1, "sort": sort} | ({"cursor": cursor} if cursor else {})
            page = (await owner.get(ADMIN, params=params)).json()
            walked += [o["number"] for o in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        whole = (await owner.get(ADMIN, params={"sort": sort})).json()["items"]
        assert walked == [o["number"] for o in whole], sort


_GROW = """
INSERT INTO orders
SELECT (jsonb_populate_record(o, jsonb_build_object(
    'id', gen_random_uuid(), 'number', o.number + n,
    'placed_at', o.placed_at - n * interval '1 hour',
    'store_id', CASE WHEN n % 100 = 1 THEN CAST(:other AS uuid) ELSE o.store_id END,
    'scheduled_for', CASE WHEN n % 100 = 2 THEN o.placed_at + n * interval '1 hour' END,
    'source', CASE WHEN n % 100 = 3 THEN 'whatsapp' ELSE o.source END,
    'fulfilment', CASE WHEN n % 100 = 4 THEN 'pickup' ELSE o.fulfilment END))).*
FROM orders o, generate_series(1, 5000) n WHERE o.id = :id
"""
_PLANS = {
    "orders_tenant_id_store_id_idx": "store_id = :other ORDER BY id DESC",
    "orders_tenant_id_placed_at_idx": "placed_at < now() - interval '190 days' "
    "AND placed_at >= now() - interval '200 days' ORDER BY placed_at DESC, id DESC",
    "orders_tenant_id_scheduled_for_idx": "scheduled_for IS NOT NULL "
    "AND scheduled_for >= now() + interval '10 days' ORDER BY scheduled_for, id",
    "orders_tenant_id_source_idx": "source = 'whatsapp' ORDER BY id DESC",
    "orders_tenant_id_fulfilment_idx": "fulfilment = 'pickup' ORDER BY id DESC",
}
"""Each index that was made for a filter, with the filter as the list asks it."""


async def test_filters_are_served_by_their_indexes_under_row_level_security(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, world: World, shop: Shop
) -> None:
    """Of 5,001 orders, counted in this very transaction: the plan is not the day's statistics'."""
    placed = await place(shopper, shop)
    other = (await open_store(owner))["id"]
    async with world.runtime.database.system_engine.connect() as grown:
        await grown.execute(text(_GROW), {"id": placed["id"], "other": other})
        await grown.execute(text("ANALYZE orders"))
        await grown.execute(text(f"SET LOCAL ROLE {TENANT_ROLE}"))
        await grown.execute(
            text("SELECT set_config('app.tenant_id', :id, true)"), {"id": str(world.tenant.id)}
        )
        for index, condition in _PLANS.items():
            asked = condition.replace(":other", f"'{other}'")
            rows = await grown.scalars(
                text(f"EXPLAIN SELECT id FROM orders WHERE {asked} LIMIT 51")  # noqa: S608
            )
            plan = "\n".join(rows)
            assert index in plan, plan
            assert "Sort" not in plan, plan
        await grown.rollback()
