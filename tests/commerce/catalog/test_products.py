"""Products and variants: every route, every refusal, and that refusals change nothing."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select

from app.commerce.catalog.models import Product
from app.kernel.audit.models import AuditEntry
from app.kernel.files.models import StoredFile
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

URL = "/api/v1/admin/catalog/products"


async def _image(world: World) -> tuple[str, str]:
    async with world.work() as work:
        row = StoredFile(
            key=f"t/{uuid4()}.webp",
            media_type="image/webp",
            size_bytes=10,
            sha256="0" * 64,
            original_name="foto.webp",
        )
        work.session.add(row)
        await work.session.flush()
        return str(row.id), row.key


async def _create(client: httpx.AsyncClient, shop: Shop, **fields: Any) -> dict[str, Any]:
    body = {"category_id": str(shop.category_id), "name": "Pizza", "price_cents": 4990, **fields}
    answer = await client.post(URL, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_create_read_change_delete(owner: httpx.AsyncClient, shop: Shop) -> None:
    image, path = await _image(shop.world)
    made = await _create(
        owner,
        shop,
        name="Pizza Calabresa",
        compare_at_cents=5990,
        dietary_tags=["sem lactose"],
        image_file_ids=[image],
        attributes={"weight_g": 450},
        external_ref="PDV-1",
    )
    assert made["slug"] == "pizza-calabresa"
    assert [(m["id"], m["url"]) for m in made["images"]] == [(image, f"/media/{path}")]
    assert made["attributes"] == {"weight_g": 450}
    url = f"{URL}/{made['id']}"
    assert (await owner.get(url)).json() == made
    changed = await owner.patch(
        url, json={"price_cents": 5290, "compare_at_cents": None, "image_file_ids": []}
    )
    assert changed.status_code == 200, changed.text
    assert changed.json() == {
        **made, "price_cents": 5290, "compare_at_cents": None, "image_file_ids": [], "images": [],
    }  # fmt: skip
    async with shop.world.work() as work:
        facts = await work.session.scalar(
            select(AuditEntry.facts).where(AuditEntry.action == "catalog.product_edited")
        )
    assert facts is not None
    assert facts["before"]["price_cents"] == 4990
    assert facts["after"]["price_cents"] == 5290
    assert (await owner.delete(url)).status_code == 204
    assert (await owner.get(url)).json()["code"] == "product-not-found"
    again = await _create(owner, shop, name="Pizza Calabresa", external_ref="PDV-1")
    assert again["slug"] == "pizza-calabresa", "slug and reference are free again"


async def test_list_filters_and_pages(owner: httpx.AsyncClient, shop: Shop) -> None:
    names = ["Açaí 300 ml", "Açaí 500 ml", "Suco de açaí", "Pizza", "100% cacau"]
    ids = [str(await shop.product(n, is_active=n != "Pizza")) for n in names]

    async def found(**query: Any) -> list[str]:
        answer = await owner.get(URL, params=query)
        assert answer.status_code == 200, answer.text
        return [p["id"] for p in answer.json()["items"]]

    assert await found() == ids[::-1]
    assert await found(query="ACAI") == [ids[1], ids[0], ids[2]]
    assert await found(query="ml acai 5") == [ids[1]]
    assert await found(query="0%") == [ids[4]], "a wildcard is a letter like any other"
    assert await found(is_active=False) == [ids[3]]
    assert await found(category_id=str(uuid4())) == []
    first = (await owner.get(URL, params={"limit": 3})).json()
    rest = (await owner.get(URL, params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [p["id"] for p in first["items"] + rest["items"]] == ids[::-1]
    assert rest["next_cursor"] is None


async def test_a_twin_with_the_same_key_makes_one(owner: httpx.AsyncClient, shop: Shop) -> None:
    body = {"category_id": str(shop.category_id), "name": "Pizza", "price_cents": 100}
    headers = key()
    first, second = [await owner.post(URL, json=body, headers=headers) for _ in range(2)]
    assert first.json() == second.json()
    async with shop.world.work() as work:
        assert await work.session.scalar(select(func.count()).select_from(Product)) == 1


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"category_id": str(uuid4())}, 404, "category-not-found"),
        ({"image_file_ids": [str(uuid4())]}, 404, "image-not-found"),
        ({"slug": "usado"}, 409, "slug-taken"),
        ({"external_ref": "USADO"}, 409, "external-ref-taken"),
        ({"compare_at_cents": 4990}, 422, "compare-at-too-low"),
        ({"price_cents": -1}, 422, "invalid-request"),
        ({"price_cents": None}, 422, "invalid-request"),
        ({"name": " "}, 422, "invalid-request"),
        ({"name": "x" * 121}, 422, "invalid-request"),
        ({"dietary_tags": ["x"] * 21}, 422, "invalid-request"),
        ({"category": "x"}, 422, "invalid-request"),
    ],
)
async def test_refusals_change_nothing(
    owner: httpx.AsyncClient, shop: Shop, fields: dict[str, Any], status: int, code: str
) -> None:
    await _create(owner, shop, slug="usado", external_ref="USADO")
    mine = await _create(owner, shop)
    before = (await owner.get(URL)).json()
    refused = await owner.post(
        URL,
        json={
            "category_id": str(shop.category_id), "name": "Pizza", "price_cents": 4990, **fields,
        },
    )  # fmt: skip
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    changed = await owner.patch(f"{URL}/{mine['id']}", json=fields)
    assert (changed.status_code, changed.json()["code"]) == (status, code)
    assert (await owner.get(URL)).json() == before


async def test_the_category_of_another_tenant_is_unknown(
    owner: httpx.AsyncClient, shop: Shop, stranger: World
) -> None:
    theirs = await make_shop(stranger)
    mine = await _create(owner, shop)
    url = f"{URL}/{mine['id']}"
    refused = await owner.patch(url, json={"category_id": str(theirs.category_id)})
    assert (refused.status_code, refused.json()["code"]) == (404, "category-not-found")
    refused = await owner.put(f"{url}/stores/{theirs.store_id}", json={"is_available": False})
    assert (refused.status_code, refused.json()["code"]) == (404, "store-not-found")
    assert (await owner.get(url)).json() == mine


async def test_a_product_never_lands_in_a_category_being_deleted(
    owner: httpx.AsyncClient, shop: Shop
) -> None:
    for _ in range(5):
        category = await owner.post("/api/v1/admin/catalog/categories", json={"name": "Passageira"})
        url = f"/api/v1/admin/catalog/categories/{category.json()['id']}"
        body = {"category_id": category.json()["id"], "name": "P", "price_cents": 1}
        made, gone = await asyncio.gather(owner.post(URL, json=body), owner.delete(url))
        assert (made.status_code, gone.status_code) in {(201, 409), (404, 204)}


async def test_variants(owner: httpx.AsyncClient, shop: Shop) -> None:
    product = await _create(owner, shop)
    url = f"{URL}/{product['id']}/variants"
    big = await owner.post(url, json={"name": "Grande", "price_cents": 5990, "position": 2})
    small = await owner.post(url, json={"name": "Broto", "price_cents": 2990, "sku": "B"})
    assert (big.status_code, small.status_code) == (201, 201)
    one = f"{url}/{small.json()['id']}"
    changed = await owner.patch(one, json={"price_cents": 3190, "sku": None})
    assert changed.json() == {**small.json(), "price_cents": 3190, "sku": None}
    read = (await owner.get(f"{URL}/{product['id']}")).json()
    assert read["variants"] == [changed.json(), big.json()]
    assert (await owner.delete(one)).status_code == 204
    for answer in (
        await owner.patch(one, json={"price_cents": 1}),
        await owner.delete(one),
        await owner.delete(f"{URL}/{(await _create(owner, shop))['id']}/variants/{uuid4()}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "variant-not-found")
    assert (await owner.patch(f"{url}/{big.json()['id']}", json={"price_cents": -5})).is_error
    read = (await owner.get(f"{URL}/{product['id']}")).json()
    assert read["variants"] == [big.json()]


async def test_store_override(owner: httpx.AsyncClient, shop: Shop) -> None:
    product = await _create(owner, shop)
    url = f"{URL}/{product['id']}/stores/{shop.store_id}"
    for body in ({"price_cents": 5490}, {"is_available": False}):
        answer = await owner.put(url, json=body)
        assert answer.status_code == 200, answer.text
        read = (await owner.get(f"{URL}/{product['id']}")).json()
        assert read["stores"] == [answer.json()]
    assert answer.json()["price_cents"] is None
    assert answer.json()["is_available"] is False


async def test_strangers_and_members_without_the_grant(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, shop: Shop, world: World
) -> None:
    product = await _create(owner, shop)
    url = f"{URL}/{product['id']}"
    variant = await owner.post(f"{url}/variants", json={"name": "G", "price_cents": 1})
    before = (await owner.get(url)).json()
    variant_url = f"{url}/variants/{variant.json()['id']}"

    async def attempts(client: httpx.AsyncClient, headers: dict[str, str]) -> list[httpx.Response]:
        return [
            await client.patch(url, json={"name": "X"}, headers=headers),
            await client.delete(url, headers=headers),
            await client.post(
                f"{url}/variants", json={"name": "X", "price_cents": 1}, headers=headers
            ),
            await client.patch(variant_url, json={"price_cents": 1}, headers=headers),
            await client.delete(variant_url, headers=headers),
            await client.put(f"{url}/modifier-groups", json={"group_ids": []}, headers=headers),
            await client.put(f"{url}/stores/{shop.store_id}", json={}, headers=headers),
        ]

    assert (await outsider.get(url)).status_code == 404
    assert (await outsider.get(URL)).json()["items"] == []
    for answer in await attempts(outsider, {}):
        assert (answer.status_code, answer.json()["code"]) == (404, "product-not-found")
    agent = {"Authorization": f"Bearer {(await world.member('agent')).token}"}
    assert (await owner.get(url, headers=agent)).status_code == 200
    denied = await attempts(owner, agent)
    body = {"category_id": str(shop.category_id), "name": "X", "price_cents": 1}
    denied.append(await owner.post(URL, json=body, headers=agent))
    for answer in denied:
        assert (answer.status_code, answer.json()["code"]) == (403, "action-not-allowed")
    assert (await owner.get(url)).json() == before
    assert len((await owner.get(URL)).json()["items"]) == 1


async def test_lists_take_the_same_statements_at_any_size(
    owner: httpx.AsyncClient, shop: Shop, statements: list[str]
) -> None:
    first: UUID = await shop.product("A")
    await shop.variant(first, "G", 100)
    await shop.group(first, {"Bacon": 100})
    counts = []
    for url in (URL, f"{URL}/{first}"):
        await owner.get(url)
        statements.clear()
        await owner.get(url)
        counts.append([*statements])
    for number in range(5):
        more = await shop.product(f"P{number}")
        await shop.group(more, {"Bacon": 100, "Cheddar": 200})
        await shop.variant(first, f"V{number}", 100)
    again = []
    for url in (URL, f"{URL}/{first}"):
        statements.clear()
        await owner.get(url)
        again.append([*statements])
    assert again == counts
    assert [len(found) for found in counts] == [1, 7]
