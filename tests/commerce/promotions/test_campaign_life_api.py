"""A campaign is paused, resumed, copied and put away; what was ordered with it stays."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from app.kernel.audit.models import AuditEntry
from tests.commerce.promotions.test_promotions_api import BASE, changes, count, create
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

CHECKOUT = "/api/v1/checkout"


@pytest.fixture
async def shop(world: World) -> Shop:
    shop = await make_shop(world)
    await shop.product("Calabresa", 5000)
    return shop


async def discount(shopper: httpx.AsyncClient, shop: Shop, *coupons: str) -> int:
    """Cents off an order, placed by what is remembered where that may be."""
    body = shop.cart(shop.products[0], coupons=list(coupons))
    answer = await shopper.post(CHECKOUT, json=body, headers=key())
    if answer.status_code == 409:
        assert answer.json()["code"] == "coupon-not-applicable"
        return 0
    cents: int = answer.json()["discount_cents"]
    return cents


async def act(owner: httpx.AsyncClient, id: str, what: str) -> dict[str, Any]:
    answer = await owner.post(f"{BASE}/{id}/{what}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def actions(world: World) -> list[str]:
    async with world.work() as work:
        told = await work.session.scalars(
            select(AuditEntry.action)
            .where(AuditEntry.action.startswith("commerce.campaign_"))
            .order_by(AuditEntry.id)
        )
        return [action.removeprefix("commerce.campaign_") for action in told]


async def test_a_pause_stops_it_at_once_and_a_resume_too(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop, world: World
) -> None:
    made = await create(owner, kind="fixed", value=700)
    assert [await discount(shopper, shop) for _ in range(2)] == [700, 700]
    paused = await act(owner, made["id"], "pause")
    assert paused == {**made, "is_active": False, "used_count": 2, "spent_cents": 1400}
    assert [await discount(shopper, shop) for _ in range(2)] == [0, 0]
    assert await act(owner, made["id"], "pause") == paused, "again is no change"
    resumed = await act(owner, made["id"], "resume")
    assert resumed["is_active"] is True
    assert [await discount(shopper, shop) for _ in range(2)] == [700, 700]
    assert await actions(world) == ["created", "paused", "resumed"]
    assert await changes(world) == [("promotion", "created"), *[("promotion", "updated")] * 2]


async def test_an_archived_campaign_is_only_looked_at(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop, world: World
) -> None:
    made = await create(owner, kind="fixed", value=700, code="NATAL")
    path = f"{BASE}/{made['id']}"
    assert await discount(shopper, shop, "NATAL") == 700
    archived = await act(owner, made["id"], "archive")
    assert (archived["is_active"], archived["used_count"]) == (False, 1)
    assert archived["archived_at"] is not None
    assert await act(owner, made["id"], "archive") == archived
    assert await discount(shopper, shop, "NATAL") == 0
    for refused in (
        await owner.post(f"{path}/resume"),
        await owner.post(f"{path}/pause"),
        await owner.patch(path, json={"value": 9999}),
        await owner.post(f"{path}/codes", json={"quantity": 1}, headers=key()),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "campaign-archived")
    assert (await owner.get(path)).json() == archived
    assert [
        r["amount_cents"] for r in (await owner.get(f"{path}/redemptions")).json()["items"]
    ] == [700]
    assert (await owner.get(BASE)).json()["items"] == []
    listed = (await owner.get(BASE, params={"archived": True})).json()["items"]
    assert [c["id"] for c in listed] == [made["id"]]
    again = await create(owner, kind="fixed", value=100, code="NATAL")
    assert await discount(shopper, shop, "NATAL") == 100, "the code is free again"
    assert again["used_count"] == 0
    with pytest.raises(IntegrityError):  # not even by hand
        async with world.work() as work:
            await work.session.execute(text("UPDATE promotions SET is_active = true"))


async def test_a_copy_is_a_new_one_that_sleeps(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop, world: World
) -> None:
    facts = {
        "kind": "percent", "value": 1500, "code": "NATAL", "scope": "store",
        "target_ids": [str(shop.store_id)], "min_subtotal_cents": 100, "max_discount_cents": 300,
        "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2030-01-01T00:00:00Z",
        "weekdays": [0, 1, 2, 3, 4, 5, 6], "hour_from": "00:00", "hour_to": "23:59",
        "usage_limit": 9, "per_customer_limit": 3, "budget_cents": 5000, "priority": 4,
        "combinable": True,
    }  # fmt: skip
    made = await create(owner, **facts)
    await discount(shopper, shop, "NATAL")
    retry = key()
    path = f"{BASE}/{made['id']}/duplicate"
    copied = await owner.post(path, json={}, headers=retry)
    assert copied.status_code == 201, copied.text
    copy = copied.json()
    new = {"id", "created_at", "name", "code", "is_active", "used_count", "spent_cents"}
    assert {k: v for k, v in copy.items() if k not in new} == {
        k: v for k, v in made.items() if k not in new
    }
    assert (copy["name"], copy["code"]) == (f"{made['name']} (cópia)", "NATAL-2")
    assert (copy["is_active"], copy["used_count"], copy["spent_cents"]) == (False, 0, 0)
    assert (await owner.post(path, json={}, headers=retry)).content == copied.content
    assert await discount(shopper, shop, "NATAL-2") == 0
    await act(owner, copy["id"], "resume")
    assert await discount(shopper, shop, "NATAL-2") == 300
    third = (await owner.post(path, json={"name": "Páscoa"}, headers=key())).json()
    assert (third["name"], third["code"]) == ("Páscoa", "NATAL-3")
    taken = await owner.post(path, json={"code": "natal-2"}, headers=key())
    assert (taken.status_code, taken.json()["code"]) == (409, "coupon-code-taken")
    assert await count(world) == 3


async def test_a_copy_has_no_codes_of_the_original(owner: httpx.AsyncClient) -> None:
    made = await create(owner, by_codes=True)
    path = f"{BASE}/{made['id']}"
    await owner.post(f"{path}/codes", json={"quantity": 2}, headers=key())
    await act(owner, made["id"], "archive")
    copy = (await owner.post(f"{path}/duplicate", json={}, headers=key())).json()
    assert (copy["by_codes"], copy["code"], copy["archived_at"]) == (True, None, None)
    assert (await owner.get(f"{BASE}/{copy['id']}/codes")).json()["items"] == []
    assert len((await owner.get(f"{path}/codes")).json()["items"]) == 2


@pytest.mark.parametrize("what", ["pause", "resume", "archive", "duplicate"])
async def test_a_stranger_and_a_viewer_change_nothing(
    owner: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    world: World,
    what: str,
) -> None:
    made = await create(owner, is_active=what != "resume")
    path = f"{BASE}/{made['id']}/{what}"
    body: dict[str, Any] | None = {} if what == "duplicate" else None
    theirs = await outsider.post(path, json=body, headers=key())
    assert (theirs.status_code, theirs.json()["code"]) == (404, "campaign-not-found")
    viewer = await world.member("viewer")
    headers = {"X-Tenant": world.tenant.slug, "Authorization": f"Bearer {viewer.token}"}
    answer = await anonymous.post(path, json=body, headers=headers | key())
    assert (answer.status_code, answer.json()["code"]) == (403, "action-not-allowed")
    assert (await owner.get(f"{BASE}/{made['id']}")).json() == made
    assert await count(world) == 1
