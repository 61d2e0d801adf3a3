"""What anybody sees of the campaigns that are on: in words, with a picture, while they are on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.core.clock import now
from app.kernel.files.models import StoredFile
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

BASE = "/api/v1/admin/campaigns"
PERCENT = {"name": "Terça da calabresa", "kind": "percent", "value": 1500}


@pytest.fixture
async def shop(world: World) -> Shop:
    return await make_shop(world)


async def on_offer(client: httpx.AsyncClient, **headers: str) -> list[dict[str, Any]]:
    answer = await client.get(
        "/api/v1/promotions", params={"store": "centro"}, headers=headers or None
    )
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


async def file(world: World, kind: str) -> StoredFile:
    async with world.work() as work:
        row = StoredFile(
            key=f"t/{uuid4()}.{kind}", media_type=f"image/{kind}", size_bytes=1, sha256="",
            original_name="a",
        )  # fmt: skip
        work.session.add(row)
        await work.session.flush()
    return row


async def test_a_campaign_with_its_picture(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World, shop: Shop
) -> None:
    assert await on_offer(shopper) == []
    picture = await file(world, "webp")
    body = PERCENT | {"image_file_id": str(picture.id), "min_subtotal_cents": 5000}
    made = await owner.post(BASE, json=body, headers=key())
    assert made.json()["image_file_id"] == str(picture.id)
    [found] = await on_offer(shopper, **{"Accept-Language": "pt-BR"})
    assert found["image_url"] == f"/media/{picture.key}"
    assert (found["name"], found["text"]) == (PERCENT["name"], "Ganhe 15% de desconto.")
    assert (found["min_subtotal_cents"], found["ends_at"]) == (5000, None)
    [english] = await on_offer(shopper, **{"Accept-Language": "en"})
    assert english["text"] == "Get 15% off."
    copy = await owner.post(f"{BASE}/{made.json()['id']}/duplicate", json={}, headers=key())
    assert copy.json()["image_file_id"] == str(picture.id)
    assert len(await on_offer(shopper)) == 1, "a copy is switched off"
    await owner.patch(f"{BASE}/{made.json()['id']}", json={"image_file_id": None})
    assert (await on_offer(shopper))[0]["image_url"] is None


async def test_what_is_no_picture_is_refused(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World, shop: Shop
) -> None:
    paper = await file(world, "pdf")
    for wrong in (paper.id, uuid4()):
        body = PERCENT | {"image_file_id": str(wrong)}
        refused = await owner.post(BASE, json=body, headers=key())
        assert (refused.status_code, refused.json()["code"]) == (422, "campaign-image-unknown")
        assert refused.json()["errors"][0]["pointer"] == "/body/image_file_id"
    assert await on_offer(shopper) == []


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, True),
        ({"kind": "free_shipping", "value": 0}, True),
        ({"kind": "buy_x_get_y", "value": 10_000, "buy_quantity": 2, "get_quantity": 1}, True),
        ({"per_customer_limit": 1}, True),
        ({"code": "PIZZA"}, False),
        ({"by_codes": True}, False),
        ({"is_active": False}, False),
        ({"usage_limit": 1, "used_count": 1}, False),
        ({"budget_cents": 10, "spent_cents": 10}, False),
        ({"ends_at": now() - timedelta(hours=1)}, False),
        ({"starts_at": now() + timedelta(hours=1)}, False),
        ({"weekdays": [(now() + timedelta(days=3)).weekday()]}, False),
        ({"scope": "store", "target_ids": [uuid4()]}, False),
        ({"deleted_at": now()}, False),
    ],
)
async def test_only_what_is_on_is_shown(
    shopper: httpx.AsyncClient, shop: Shop, fields: dict[str, Any], shown: bool
) -> None:
    await shop.promotion(**{"kind": "percent", "value": 1000, **fields})
    assert len(await on_offer(shopper)) == shown


async def test_of_an_unknown_store_and_of_another_tenant(
    shopper: httpx.AsyncClient, shop: Shop, stranger: World
) -> None:
    other = await make_shop(stranger)
    await other.promotion(name="Do vizinho", kind="percent", value=1000)
    assert await on_offer(shopper) == []
    unknown = await shopper.get("/api/v1/promotions", params={"store": "longe"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "store-not-found")
