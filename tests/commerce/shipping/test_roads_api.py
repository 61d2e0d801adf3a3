"""Freight by road: Google, then Nominatim, then the straight line; no provider loses an order."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text

from app.commerce.orders.models import Delivery, Order
from app.commerce.shipping.models import MapAnswer
from app.commerce.shipping.rules import haversine_km
from app.kernel.work import Runtime
from scripts.sandbox.vendors.maps import place_of
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World
from tests.sandbox.server import SandboxServer, http, sandbox, sandbox_url

__all__ = ["http", "sandbox", "sandbox_url"]

QUOTE = "/api/v1/shipping/quote"
KEY = "AIzaSyA-key-of-the-merchant-0123456789"
CEP = "01310100"
FLAT = 700


@pytest.fixture(autouse=True)
async def maps(
    sandbox: SandboxServer, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> SandboxServer:
    """Both providers are the sandbox, and nobody rests from an earlier test."""
    changed = {
        "google_maps_base_url": sandbox.url,
        "nominatim_base_url": f"{sandbox.url}/nominatim",
        "maps_timeout_seconds": 0.6,
        "maps_patience_ms": 400,
    }
    monkeypatch.setattr(runtime, "settings", runtime.settings.model_copy(update=changed))
    for cache in ("maps", "google-maps"):
        runtime.caches.pop(cache, None)
    await runtime.bus.redis.delete("largo:limit:nominatim:all")
    return sandbox


@pytest.fixture
async def shop(world: World) -> Shop:
    shop = await make_shop(world, distance_source="road")
    await shop.product("Calabresa", 4990, stock=100)
    return shop


@pytest.fixture
async def connected(owner: httpx.AsyncClient) -> str:
    body = {"provider": "google-maps", "name": "Mapas", "secret": {"api_key": KEY}}
    answer = await owner.post("/api/v1/connections", json=body, headers=key())
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


def patient(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Buyers wait for three seconds, where the test is about something else."""
    changed = runtime.settings.model_copy(update={"maps_patience_ms": 3000})
    monkeypatch.setattr(runtime, "settings", changed)


async def ask(shopper: httpx.AsyncClient, shop: Shop, cep: str = CEP) -> dict[str, Any]:
    body = {"store": shop.store_slug, "postal_code": cep, "district": "Bela Vista"}
    answer = await shopper.post(QUOTE, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def straight(cep: str = CEP) -> float:
    place = place_of(cep)
    assert place is not None
    return haversine_km(-23.5535, -46.6545, *place)


async def test_google_measures_the_road_once(
    shopper: httpx.AsyncClient, shop: Shop, connected: str, maps: SandboxServer, world: World
) -> None:
    first = await ask(shopper, shop)
    assert first["distance_provider"] == "google-maps"
    assert first["distance_km"] == pytest.approx(straight() * 1.3, rel=0.01)
    assert await ask(shopper, shop) | {"quote": "", "expires_at": ""} == first | {
        "quote": "",
        "expires_at": "",
    }
    seen = await maps.requests(vendor="maps")
    assert sorted(r["path"].split("/")[3] for r in seen) == ["distancematrix", "geocode"]
    assert KEY not in str(seen)
    async with world.work() as work:
        kept = (await work.session.scalars(select(MapAnswer).order_by(MapAnswer.question))).all()
    assert [(a.question.split(":")[0], a.provider) for a in kept] == [
        ("place", "google-maps"),
        ("road", "google-maps"),
    ]


async def test_preview_and_checkout_charge_by_the_same_road(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop, connected: str, world: World
) -> None:
    road = straight() * 1.3
    tiers = [  # the straight line is in the near tier, the road in the far one
        {"kind": "distance", "max_meters": int(straight() * 1100), "fee_cents": 500, "minutes": 9},
        {"kind": "distance", "max_meters": int(road * 1100), "fee_cents": 1500, "minutes": 19},
    ]
    path = f"/api/v1/admin/shipping/stores/{shop.store_id}/rules"
    assert (await owner.put(path, json={"rules": tiers})).status_code == 200
    body = shop.delivery(shop.products[0])
    cart = {k: v for k, v in body.items() if k not in {"customer", "payment"}}
    preview = await shopper.post("/api/v1/checkout/preview", json=cart)
    assert preview.json()["shipping_cents"] == 1500
    quote = await ask(shopper, shop)
    assert quote["fee_cents"] == 1500
    for order in (body, body | {"quote": quote["quote"]}, body):
        placed = await shopper.post("/api/v1/checkout", json=order, headers=key())
        assert placed.status_code == 201, placed.text
        assert placed.json()["shipping_cents"] == 1500
    simulated = await owner.post(
        "/api/v1/admin/shipping/simulate",
        json={"store_id": str(shop.store_id), "postal_code": CEP},
    )
    assert simulated.json()["distance_provider"] == "google-maps"
    async with world.work() as work:
        metres = (await work.session.scalars(select(Delivery.distance_meters))).all()
    assert len(metres) == 3
    assert all(m == pytest.approx(road * 1000, rel=0.01) for m in metres)


@pytest.mark.parametrize(
    "knobs",
    [
        {"error": {"code": "1"}},
        {"error": {"code": "2"}},
        {"error": {"code": "4"}},
        {"error": {"code": "http-503"}},
        {"error": {"code": "http-404"}},
        {"error": {"code": "3"}},
    ],
    ids=["over-limit", "denied", "unknown-error", "503", "404", "zero-results"],
)
async def test_nominatim_answers_when_google_does_not(
    shopper: httpx.AsyncClient,
    shop: Shop,
    connected: str,
    maps: SandboxServer,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    knobs: dict[str, Any],
) -> None:
    patient(runtime, monkeypatch)
    await maps.put("maps/knobs", **knobs)
    found = await ask(shopper, shop)
    assert found["distance_provider"] == "nominatim"
    assert found["distance_km"] == pytest.approx(straight(), rel=0.001)
    (asked,) = await maps.requests(vendor="nominatim")
    assert asked["headers"]["user-agent"].startswith("Largo (+")


async def test_a_refused_key_is_said_at_its_connection(
    shopper: httpx.AsyncClient,
    owner: httpx.AsyncClient,
    shop: Shop,
    connected: str,
    maps: SandboxServer,
) -> None:
    await maps.put("maps/knobs", error={"code": "2"})
    await ask(shopper, shop)
    row = (await owner.get(f"/api/v1/connections/{connected}")).json()
    assert row["status"] == "error"
    assert KEY not in str(row)
    await maps.put("maps/knobs")
    tested = await owner.post(f"/api/v1/connections/{connected}/test", headers=key())
    assert tested.json()["ok"] is True


async def test_a_road_that_does_not_exist_counts_straight_from_googles_place(
    shopper: httpx.AsyncClient, shop: Shop, connected: str, maps: SandboxServer
) -> None:
    await ask(shopper, shop)  # the place is kept, its road asked again
    async with shop.world.work() as work:
        await work.session.execute(text("DELETE FROM map_answers WHERE question LIKE 'road:%'"))
    await maps.put("maps/knobs", error={"code": "3", "times": 2})
    found = await ask(shopper, shop)
    assert found["distance_km"] == pytest.approx(straight(), rel=0.001)


async def test_all_providers_down_lose_no_order(
    shopper: httpx.AsyncClient, shop: Shop, connected: str, maps: SandboxServer, world: World
) -> None:
    for vendor in ("maps", "nominatim"):
        await maps.put(f"{vendor}/knobs", error={"code": "http-500"})
    body = shop.delivery(shop.products[0])
    answers = [await shopper.post("/api/v1/checkout", json=body, headers=key()) for _ in range(3)]
    assert {a.status_code for a in answers} == {201}, answers[0].text
    assert {a.json()["shipping_cents"] for a in answers} == {FLAT}
    async with world.work() as work:
        assert await work.session.scalar(select(func.count()).select_from(Order)) == 3
        assert await work.session.scalar(select(func.count()).select_from(MapAnswer)) == 0


async def test_a_hanging_provider_costs_no_buyer_more_than_their_patience(
    shopper: httpx.AsyncClient, shop: Shop, connected: str, maps: SandboxServer
) -> None:
    for vendor in ("maps", "nominatim"):
        await maps.put(f"{vendor}/knobs", latency_ms=5000)
    took = []
    for number in range(5):
        began = time.monotonic()
        found = await ask(shopper, shop, f"0131010{number}")
        took.append(time.monotonic() - began)
        assert found["fee_cents"] == FLAT
        assert found["distance_provider"] in {None, "postal-area"}
        await asyncio.sleep(0.5)  # the provider's time is over, and counted
    assert max(took) < 0.9, took
    assert took[-1] < 0.2, "who failed three times is left alone"
    for vendor in ("maps", "nominatim"):
        await maps.put(f"{vendor}/knobs")


async def test_twins_ask_once(
    shopper: httpx.AsyncClient,
    shop: Shop,
    connected: str,
    maps: SandboxServer,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    patient(runtime, monkeypatch)
    await maps.put("maps/knobs", latency_ms=100)
    found = await asyncio.gather(*(ask(shopper, shop) for _ in range(12)))
    assert {f["distance_provider"] for f in found} == {"google-maps"}
    assert len(await maps.requests(vendor="maps")) == 2


async def test_nominatim_is_asked_once_a_second_at_most(
    shopper: httpx.AsyncClient, shop: Shop, maps: SandboxServer
) -> None:
    found = [(await ask(shopper, shop, f"0131020{n}"))["distance_provider"] for n in range(4)]
    assert found[0] == "nominatim", "no key: Google is never asked"
    assert len(await maps.requests(vendor="nominatim")) <= 2
    assert await maps.requests(vendor="maps") == []


async def test_the_crow_flies_where_the_store_says_so(
    shopper: httpx.AsyncClient, shop: Shop, connected: str, maps: SandboxServer
) -> None:
    await shop.change_store(distance_source="straight")
    await ask(shopper, shop)
    assert await maps.requests(vendor="maps") == []
