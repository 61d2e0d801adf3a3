"""A cart under other circumstances: a campaign made up, another time; and nothing is written."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

URL = "/api/v1/admin/campaigns/simulate"
TUESDAY_NIGHT = "2026-12-01T19:30:00-03:00"
_COUNT = """
SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM promotion_redemptions),
 (SELECT count(*) FROM contacts), (SELECT count(*) FROM audit_entries),
 (SELECT count(*) FROM stream_events), (SELECT count(*) FROM idempotency_records),
 (SELECT json_agg(p ORDER BY p.id)::text FROM promotions p),
 (SELECT json_agg(p ORDER BY p.id)::text FROM promotion_codes p),
 (SELECT json_agg(p)::text FROM price_versions p)
"""


@pytest.fixture
async def shop(world: World) -> Shop:
    shop = await make_shop(world, min_order_cents=9000)
    await shop.product("Calabresa", 4000, stock=1)
    return shop


async def all_of(world: World) -> tuple[Any, ...]:
    async with world.work() as work:
        return tuple((await work.session.execute(text(_COUNT))).one())


def cart(shop: Shop, quantity: int = 2, **fields: Any) -> dict[str, Any]:
    body = shop.cart(shop.products[0], **fields)
    body["items"][0]["quantity"] = quantity
    return {k: v for k, v in body.items() if k not in ("customer", "payment")}


async def simulate(
    owner: httpx.AsyncClient, world: World, body: dict[str, Any], **headers: str
) -> dict[str, Any]:
    """The answer, after looking that nothing at all has changed."""
    before = await all_of(world)
    answer = await owner.post(URL, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert await all_of(world) == before
    found: dict[str, Any] = answer.json()
    return found


def by_name(found: dict[str, Any]) -> dict[str, tuple[bool, int, str | None]]:
    return {v["name"]: (v["applies"], v["items_cents"], v["reason"]) for v in found["verdicts"]}


async def test_each_campaign_gets_its_verdict(
    owner: httpx.AsyncClient, shop: Shop, world: World
) -> None:
    await shop.promotion(name="Sempre", kind="percent", value=1000)
    await shop.promotion(name="Acima", kind="fixed", value=900, min_subtotal_cents=10_000)
    await shop.promotion(name="Pausada", kind="fixed", value=5000, is_active=False)
    await shop.promotion(name="Cupom", kind="fixed", value=700, code="SETE")
    await shop.promotion(name="Panfleto", kind="fixed", value=800, by_codes=True)
    gone = await shop.promotion(name="Velha", kind="fixed", value=3000)
    await owner.post(f"/api/v1/admin/campaigns/{gone}/archive")
    found = await simulate(owner, world, {"cart": cart(shop)})
    assert (found["subtotal_cents"], found["total_cents"]) == (8000, 7200)
    assert by_name(found) == {
        "Sempre": (True, 800, None),
        "Acima": (False, 0, "below-minimum"),
        "Pausada": (False, 0, "paused"),
        "Cupom": (False, 0, "code-missing"),
        "Panfleto": (False, 0, "code-missing"),
    }
    said = {v["name"]: v["text"] for v in found["verdicts"]}
    assert said["Acima"] == "Faltam R$ 20,00 para ganhar R$ 9,00 de desconto."
    assert said["Cupom"] == "Vale só com o cupom SETE."
    english = await simulate(
        owner, world, {"cart": cart(shop, coupons=["sete", "NADA"])}, **{"Accept-Language": "en"}
    )
    said = {v["code"] or v["name"]: v["text"] for v in english["verdicts"]}
    assert said["Sempre"] == "R$ 8.00 off."
    assert said["SETE"].startswith("It does not add to")
    assert said["NADA"] == "There is no coupon NADA."


async def test_a_draft_competes_and_may_replace(
    owner: httpx.AsyncClient, shop: Shop, world: World
) -> None:
    old = await shop.promotion(name="Sempre", kind="percent", value=1000)
    draft = {"name": "Em dobro", "kind": "percent", "value": 2000, "is_active": False}
    found = await simulate(owner, world, {"cart": cart(shop), "draft": draft})
    assert found["total_cents"] == 6400
    assert by_name(found) == {"Em dobro": (True, 1600, None), "Sempre": (False, 0, "superseded")}
    assert {v["name"]: v["campaign_id"] for v in found["verdicts"]} == {
        "Em dobro": None,
        "Sempre": str(old),
    }
    assert [d["name"] for d in found["discounts"]] == ["Em dobro"]
    weak = {"name": "Novo", "kind": "percent", "value": 500, "code": "novo"}
    body = {"cart": cart(shop), "draft": weak, "instead_of": str(old)}
    found = await simulate(owner, world, body)
    assert by_name(found) == {"Novo": (True, 400, None)}, "its code counts as typed"
    for kind in ({"kind": "buy_x_get_y", "buy_quantity": 1, "get_quantity": 1}, {"by_codes": True}):
        made = {"name": "Novo", "kind": "fixed", "value": 4000, **kind}
        if made["kind"] == "buy_x_get_y":
            del made["value"]
        found = await simulate(owner, world, {"cart": cart(shop), "draft": made})
        assert by_name(found)["Novo"] == (True, 4000, None)


async def test_another_time_has_other_offers(
    owner: httpx.AsyncClient, shop: Shop, world: World
) -> None:
    await shop.promotion(
        name="Terça", kind="percent", value=5000, weekdays=[1], hour_from="18:00", hour_to="23:00"
    )
    await shop.change_store(hours=[])
    draft = {
        "name": "Natal", "kind": "percent", "value": 6000, "starts_at": "2026-12-20T00:00:00-03:00",
        "ends_at": "2026-12-26T00:00:00-03:00",
    }  # fmt: skip
    expected = {
        TUESDAY_NIGHT: ({"Terça": (True, 4000, None), "Natal": (False, 0, "not-started")}, 4000),
        "2026-12-01T17:59:00-03:00": (
            {"Terça": (False, 0, "wrong-hour"), "Natal": (False, 0, "not-started")},
            8000,
        ),
        "2026-12-25T20:00:00-03:00": (
            {"Terça": (False, 0, "wrong-weekday"), "Natal": (True, 4800, None)},
            3200,
        ),
        "2026-12-29T20:00:00-03:00": (
            {"Terça": (True, 4000, None), "Natal": (False, 0, "expired")},
            4000,
        ),
    }
    for at, (verdicts, total) in expected.items():
        found = await simulate(owner, world, {"cart": cart(shop), "at": at, "draft": draft})
        assert (by_name(found), found["total_cents"]) == (verdicts, total), at


async def test_it_agrees_with_the_checkout(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop, world: World
) -> None:
    await shop.promotion(name="Frete", kind="free_shipping", value=0, combinable=True)
    await shop.promotion(name="Novo", kind="first_order", value=1500, combinable=True)
    product = await shop.product("Família", 9990)
    phone = "(11) 98765-4321"
    body = shop.delivery(product)
    asked = {k: v for k, v in body.items() if k not in ("customer", "payment")}
    found = await simulate(owner, world, {"cart": asked | {"customer_phone": phone}})
    placed = (await shopper.post("/api/v1/checkout", json=body, headers=key())).json()
    for name in ("total_cents", "discounts", "lines", "shipping_discount_cents"):
        assert found[name] == placed[name], name
    again = await simulate(owner, world, {"cart": asked | {"customer_phone": phone}})
    assert by_name(again)["Novo"] == (False, 0, "not-first-order")


async def test_refusals(
    owner: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    shop: Shop,
    world: World,
) -> None:
    mine = await shop.promotion(name="Minha")
    draft = {"name": "Novo", "kind": "percent", "value": 500}
    nobodys = "01931b2e-7c00-7000-8000-00000000dead"
    before = await all_of(world)
    for body, code in (
        ({"cart": cart(shop), "draft": {**draft, "value": 20_000}}, "campaign-invalid"),
        (
            {"cart": cart(shop), "draft": {**draft, "scope": "product", "target_ids": [nobodys]}},
            "campaign-target-not-found",
        ),
        ({"cart": cart(shop), "instead_of": nobodys}, "campaign-not-found"),
        ({"cart": cart(shop, store="longe")}, "store-not-found"),
        ({"cart": cart(shop), "at": "9999-12-31T23:59:59-12:00"}, "invalid-request"),
        ({"cart": cart(shop), "at": "2026-12-01T19:30:00"}, "invalid-request"),
    ):
        answer = await owner.post(URL, json=body)
        assert answer.json()["code"] == code, answer.text
    theirs = await outsider.post(URL, json={"cart": cart(shop), "instead_of": str(mine)})
    assert theirs.json()["code"] in ("store-not-found", "campaign-not-found")
    headers = {"X-Tenant": world.tenant.slug}
    nobody = await anonymous.post(URL, json={"cart": cart(shop)}, headers=headers)
    assert nobody.status_code == 401
    viewer = await world.member("viewer")
    headers["Authorization"] = f"Bearer {viewer.token}"
    seen = await anonymous.post(URL, json={"cart": cart(shop)}, headers=headers)
    assert (seen.status_code, await all_of(world)) == (200, before)
