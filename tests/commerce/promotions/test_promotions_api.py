"""Campaigns through HTTP, and what the checkout and a cancellation ask of their repository."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select

from app.commerce.promotions.models import Promotion
from app.core.clock import now
from app.kernel.audit.models import AuditEntry
from app.kernel.work import Runtime
from tests.factories.commerce import key, make_shop
from tests.factories.tenants import World

BASE = "/api/v1/admin/campaigns"
PERCENT = {"name": "Terça da calabresa", "kind": "percent", "value": 1500}


async def create(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post(BASE, json={**PERCENT, **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def count(world: World) -> int:
    async with world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(Promotion)) or 0


async def row(world: World, id: str | UUID) -> Promotion:
    async with world.work() as work:
        return await work.session.get_one(Promotion, UUID(str(id)))


async def changes(world: World) -> list[tuple[str, str]]:
    async with world.work() as work:
        told = await work.session.scalars(
            select(AuditEntry.facts)
            .where(AuditEntry.action == "commerce.catalog_changed")
            .order_by(AuditEntry.id)
        )
        return [(f["kind"], f["change"]) for f in told]


async def test_a_campaign_from_creation_to_deletion(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    heard: list[str] = []
    runtime.bus.listen("catalog", heard.append)
    made = await create(
        owner,
        code=" terca15 ",
        weekdays=[1, 1],
        hour_from="18:00",
        hour_to="02:00",
        usage_limit=10,
        starts_at="2026-12-01T00:00:00-03:00",
        ends_at="2027-01-01T00:00:00-03:00",
    )
    assert str(world.tenant.id) in heard
    runtime.bus.unlisten("catalog", heard.append)
    assert made["code"] == "TERCA15"
    assert made["weekdays"] == [1]
    assert (made["used_count"], made["spent_cents"]) == (0, 0)
    path = f"{BASE}/{made['id']}"
    assert (await owner.get(path)).json() == made

    changed = await owner.patch(path, json={"value": 2000, "code": None, "is_active": False})
    assert changed.status_code == 200, changed.text
    assert changed.json() == {**made, "value": 2000, "code": None, "is_active": False}

    assert await changes(world) == [("promotion", "created"), ("promotion", "updated")]


async def test_a_deleted_campaign_is_gone_but_kept(owner: httpx.AsyncClient, world: World) -> None:
    made = await create(owner)
    path = f"{BASE}/{made['id']}"
    assert (await owner.delete(path)).status_code == 204
    for gone in (
        await owner.get(path),
        await owner.patch(path, json={"value": 1}),
        await owner.delete(path),
        await owner.get(f"{path}/redemptions"),
    ):
        assert (gone.status_code, gone.json()["code"]) == (404, "campaign-not-found")
    assert (await owner.get(BASE)).json()["items"] == []
    kept = await row(world, made["id"])
    assert kept.deleted_at is not None
    assert kept.value == 1500
    assert await changes(world) == [("promotion", "created"), ("promotion", "deleted")]


async def test_lists_are_filtered_and_paged(owner: httpx.AsyncClient) -> None:
    made = [await create(owner, code=f"CUPOM{n}", is_active=n != 1) for n in range(3)]

    async def ids(**params: Any) -> list[str]:
        answer = await owner.get(BASE, params=params)
        assert answer.status_code == 200, answer.text
        return [c["id"] for c in answer.json()["items"]]

    assert set(await ids()) == {c["id"] for c in made}
    assert await ids(active=False) == [made[1]["id"]]
    assert await ids(code="cupom2") == [made[2]["id"]]
    assert await ids(code="cupom") == []
    first = (await owner.get(BASE, params={"limit": 2})).json()
    rest = (await owner.get(BASE, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert rest["next_cursor"] is None
    assert [c["id"] for c in first["items"] + rest["items"]] == await ids()


async def test_codes_are_unique_while_their_campaign_lives(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World
) -> None:
    first = await create(owner, code="VOLTA10")
    second = await create(owner, code="OUTRA")
    taken = await owner.post(BASE, json={**PERCENT, "code": "volta10"})
    assert (taken.status_code, taken.json()["code"]) == (409, "coupon-code-taken")
    moved = await owner.patch(f"{BASE}/{second['id']}", json={"code": "VOLTA10", "value": 1})
    assert (moved.status_code, moved.json()["code"]) == (409, "coupon-code-taken")
    assert (await row(world, second["id"])).value == 1500
    assert await count(world) == 2
    await create(outsider, code="VOLTA10")

    await owner.delete(f"{BASE}/{first['id']}")
    await create(owner, code="VOLTA10")
    racers = await asyncio.gather(
        *(owner.post(BASE, json={**PERCENT, "code": "CORRIDA"}) for _ in range(5))
    )
    assert Counter(a.status_code for a in racers) == {201: 1, 409: 4}


async def test_a_retried_creation_makes_one(owner: httpx.AsyncClient, world: World) -> None:
    header = key()
    answers = [await owner.post(BASE, json=PERCENT, headers=header) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert await count(world) == 1


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"value": 0}, "/body/value"),
        ({"value": 10_001}, "/body/value"),
        ({"kind": "first_order", "value": 10_001}, "/body/value"),
        ({"kind": "fixed", "value": 0}, "/body/value"),
        ({"kind": "free_shipping", "value": 5}, "/body/value"),
        ({"kind": "buy_x_get_y", "get_quantity": 1}, "/body/buy_quantity"),
        ({"kind": "buy_x_get_y", "buy_quantity": 2}, "/body/get_quantity"),
        ({"scope": "product"}, "/body/target_ids"),
        ({"target_ids": ["01931b2e-7c00-7000-8000-0000000000a1"]}, "/body/target_ids"),
        (
            {"starts_at": "2026-12-02T00:00:00Z", "ends_at": "2026-12-02T00:00:00Z"},
            "/body/ends_at",
        ),
    ],
)
async def test_what_contradicts_itself_is_refused(
    owner: httpx.AsyncClient, world: World, fields: dict[str, Any], pointer: str
) -> None:
    answer = await owner.post(BASE, json={**PERCENT, **fields})
    assert (answer.status_code, answer.json()["code"]) == (422, "campaign-invalid")
    assert [e["pointer"] for e in answer.json()["errors"]] == [pointer]
    assert await count(world) == 0
    made = await create(owner)
    patched = await owner.patch(f"{BASE}/{made['id']}", json=fields)
    assert (patched.status_code, patched.json()["code"]) == (422, "campaign-invalid")
    assert (await owner.get(f"{BASE}/{made['id']}")).json() == made


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "gratis"},
        {"weekdays": [7]},
        {"weekdays": [-1]},
        {"hour_from": "24:00"},
        {"hour_to": "8:00"},
        {"code": "com espaço"},
        {"starts_at": "2026-12-02T00:00:00"},
        {"usage_limit": 0},
        {"used_count": 3},
        {"spent_cents": 3},
        {"min_subtotal_cents": -1},
        {"name": None},
        {"priority": None},
    ],
)
async def test_malformed_fields_are_refused(
    owner: httpx.AsyncClient, world: World, fields: dict[str, Any]
) -> None:
    answer = await owner.post(BASE, json={**PERCENT, **fields})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert await count(world) == 0
    made = await create(owner)
    patched = await owner.patch(f"{BASE}/{made['id']}", json=fields)
    assert (patched.status_code, patched.json()["code"]) == (422, "invalid-request")
    assert (await owner.get(f"{BASE}/{made['id']}")).json() == made


async def test_values_left_out(owner: httpx.AsyncClient) -> None:
    reward = await owner.post(
        BASE,
        json={"name": "Leve 3", "kind": "buy_x_get_y", "buy_quantity": 2, "get_quantity": 1},
    )
    freight = await owner.post(BASE, json={"name": "Frete", "kind": "free_shipping"})
    assert reward.json()["value"] == 10_000
    assert freight.json()["value"] == 0


async def test_targets_must_exist_and_be_ones_own(
    owner: httpx.AsyncClient, world: World, stranger: World
) -> None:
    shop, theirs = await make_shop(world), await make_shop(stranger)
    product = await shop.product()
    for scope, good, bad in (
        ("product", product, await theirs.product()),
        ("category", shop.category_id, theirs.category_id),
        ("store", shop.store_id, product),
    ):
        before = await count(world)
        body = {**PERCENT, "scope": scope, "target_ids": [str(good), str(bad)]}
        answer = await owner.post(BASE, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "campaign-target-not-found")
        assert answer.json()["missing"] == [str(bad)]
        assert await count(world) == before
        await create(owner, scope=scope, target_ids=[str(good)])


async def test_a_campaign_takes_off_what_it_says(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    shop = await make_shop(world)
    product, other = await shop.product("Pizza", 3333), await shop.product("Suco", 1000)
    cart = {"store": shop.store_slug, "fulfilment": "pickup"}
    items = [{"product_id": str(product), "quantity": 3}, {"product_id": str(other), "quantity": 1}]
    only = {"scope": "product", "target_ids": [str(product)]}
    over = now() - timedelta(days=1)
    for number, (fields, cents, reason) in enumerate(
        [
            ({"kind": "percent", "value": 1500, **only}, 1500, None),
            ({"kind": "percent", "value": 1250}, 1375, None),
            ({"kind": "fixed", "value": 1500}, 1500, None),
            (
                {
                    "kind": "buy_x_get_y",
                    "buy_quantity": 2,
                    "get_quantity": 1,
                    "value": 10_000,
                    **only,
                },
                3333,
                None,
            ),
            ({"kind": "percent", "value": 1500, "ends_at": over.isoformat()}, 0, "expired"),
            ({"kind": "percent", "value": 1500, "min_subtotal_cents": 99_999}, 0, "below-minimum"),
        ]
    ):
        code = f"CODIGO{number}"
        await create(owner, code=code, **fields)
        shown = await shopper.post(
            "/api/v1/checkout/preview", json={**cart, "items": items, "coupons": [code.lower()]}
        )
        assert shown.status_code == 200, shown.text
        assert shown.json()["discount_cents"] == cents, fields
        refused = [c["reason"] for c in shown.json()["coupons_not_applied"]]
        assert refused == ([reason] if reason else []), fields


async def test_strangers_and_grants(
    owner: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
    shopper: httpx.AsyncClient,
    world: World,
) -> None:
    made = await create(owner)
    path = f"{BASE}/{made['id']}"
    calls: list[tuple[str, str, dict[str, Any] | None]] = [
        ("GET", path, None),
        ("GET", f"{path}/redemptions", None),
        ("PATCH", path, {"value": 1}),
        ("DELETE", path, None),
    ]
    for method, where, body in calls:
        answer = await outsider.request(method, where, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "campaign-not-found")
    assert (await outsider.get(BASE)).json()["items"] == []

    viewer, agent = await world.member("viewer"), await world.member("agent")
    seeing = {"Authorization": f"Bearer {viewer.token}"}
    blind = {"Authorization": f"Bearer {agent.token}"}
    everything = [*calls, ("GET", BASE, None), ("POST", BASE, PERCENT)]
    for method, where, body in everything:
        refused = await shopper.request(method, where, json=body, headers=blind)
        assert (refused.status_code, refused.json()["code"]) == (403, "action-not-allowed")
        assert (await shopper.request(method, where, json=body)).status_code == 401
        answer = await shopper.request(method, where, json=body, headers=seeing)
        assert answer.status_code == (200 if method == "GET" else 403)
    assert (await owner.get(path)).json() == made
    assert await count(world) == 1
