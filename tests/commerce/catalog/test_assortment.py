"""Edits of many products, their order, copies, the bin: each outcome, and what stays."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select

from app.commerce.catalog.rules import edited_price, edited_tags
from app.core.database import ScopedConnection
from app.kernel.audit.models import AuditEntry
from tests.commerce.catalog.storefront import ADMIN, read_menu
from tests.factories.commerce import Shop, key

PRODUCTS = f"{ADMIN}/products"


async def _read(client: httpx.AsyncClient, product: UUID) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"{PRODUCTS}/{product}")).json()
    return found


async def _bulk(client: httpx.AsyncClient, ids: list[UUID], **edit: Any) -> list[Any]:
    body = {"product_ids": [str(i) for i in ids], **edit}
    answer = await client.post(f"{PRODUCTS}/bulk", json=body, headers=key())
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert [i["product_id"] for i in items] == body["product_ids"]
    return [i["code"] or i["status"] for i in items]


async def _category(client: httpx.AsyncClient, name: str) -> str:
    answer = await client.post(f"{ADMIN}/categories", json={"name": name}, headers=key())
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@pytest.mark.parametrize(
    ("price", "by", "value", "to", "expected"),
    [
        (4990, "percent", 1000, 1, 5489),
        (4990, "percent", 1000, 10, 5490),
        (4990, "percent", -5000, 1, 2495),
        (1001, "percent", -5000, 1, 501),
        (999, "amount", -1000, 1, -1),
        (999, "amount", 50, 100, 1000),
        (7, "set", 1250, 100, 1300),
        (0, "percent", 1000, 1, 0),
    ],
)
def test_an_edited_price_is_exact(price: int, by: str, value: int, to: int, expected: int) -> None:
    assert edited_price(price, by, value, to) == expected


def test_edited_tags_keep_their_order() -> None:
    assert edited_tags(["b", "a"], ["c", "a"], ["b"]) == ["a", "c"]


async def test_one_edit_answers_for_each_product(owner: httpx.AsyncClient, shop: Shop) -> None:
    cheap, dear = await shop.product("Água", 300), await shop.product("Pizza", 4990)
    crossed = await shop.product("Oferta", 900, compare_at_cents=950)
    large, missing = await shop.variant(dear, "Grande", 5990), uuid4()
    edit = {"by": "percent", "value": 1000, "round_to_cents": 10}
    ids = [dear, missing, cheap, crossed]
    assert await _bulk(owner, ids, price=edit, add_tags=["vegano"]) == [
        "changed", "product-not-found", "changed", "compare-at-too-low",
    ]  # fmt: skip
    pizza = await _read(owner, dear)
    assert (pizza["price_cents"], pizza["dietary_tags"]) == (5490, ["vegano"])
    assert [(v["id"], v["price_cents"]) for v in pizza["variants"]] == [(str(large), 6590)]
    assert (await _read(owner, cheap))["price_cents"] == 330
    refused = await _read(owner, crossed)
    assert (refused["price_cents"], refused["dietary_tags"]) == (900, []), "refused as a whole"
    async with shop.world.work() as work:
        told = await work.session.scalar(
            select(func.count()).where(AuditEntry.action == "catalog.product_edited")
        )
    assert told == 2
    down = {"by": "amount", "value": -1000}
    assert await _bulk(owner, [cheap, dear], price=down) == ["price-out-of-range", "changed"]
    assert (await _read(owner, cheap))["price_cents"] == 330
    assert await _bulk(owner, [dear], price={"by": "set", "value": 4400}) == ["changed"]
    assert (await _read(owner, dear))["variants"][0]["price_cents"] == 5590, "set leaves variants"
    many = [f"t{i}" for i in range(20)]
    assert await _bulk(owner, [dear], add_tags=many) == ["too-many-tags"]
    assert await _bulk(owner, [dear], add_tags=many, remove_tags=["vegano"]) == ["changed"]


async def test_activity_and_category_of_many(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    ids = [await shop.product(f"Suco {i}", 900) for i in range(3)]
    assert len((await read_menu(shopper))["products"]) == 3
    assert await _bulk(owner, ids[:2], is_active=False) == ["changed"] * 2
    assert [p["id"] for p in (await read_menu(shopper))["products"]] == [str(ids[2])], "told"
    assert await _bulk(owner, ids, is_active=False) == ["unchanged", "unchanged", "changed"]
    bebidas = await _category(owner, "Bebidas")
    assert await _bulk(owner, ids, category_id=bebidas) == ["changed"] * 3
    assert (await _read(owner, ids[0]))["category_id"] == bebidas
    body = {"product_ids": [str(ids[0])], "category_id": str(uuid4()), "is_active": True}
    answer = await owner.post(f"{PRODUCTS}/bulk", json=body, headers=key())
    assert answer.json()["code"] == "category-not-found"
    assert (await _read(owner, ids[0]))["is_active"] is False, "nothing changed"
    for wrong in ([], [str(ids[0])] * 2, [str(uuid4()) for _ in range(201)]):
        answer = await owner.post(f"{PRODUCTS}/bulk", json={"product_ids": wrong}, headers=key())
        assert answer.status_code == 422


async def test_many_cost_the_statements_of_few(
    owner: httpx.AsyncClient,
    shop: Shop,
    statements: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    execute = ScopedConnection.execute

    async def counted(self: ScopedConnection, query: str, *args: Any, **kwargs: Any) -> str:
        statements.append(query)
        return await execute(self, query, *args, **kwargs)

    monkeypatch.setattr(ScopedConnection, "execute", counted)
    ids = [await shop.product(f"Suco {i}", 900) for i in range(40)]
    await _bulk(owner, ids, price={"by": "amount", "value": 10}, is_active=False)

    async def cost(some: list[UUID], is_active: bool) -> tuple[int, int]:
        statements.clear()
        edit = {"by": "amount", "value": 10}
        assert set(await _bulk(owner, some, price=edit, is_active=is_active)) == {"changed"}
        return len(statements), len([s for s in statements if "UPDATE products p SET" in s])

    few, many = await cost(ids[:2], True), await cost(ids[2:], True)
    assert few[1] == many[1] == 2, "one for prices, one for activity"
    assert few[0] == many[0], "events and audit lines cost no statement each"


async def test_another_tenants_products_stay(
    outsider: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    product = await shop.product("Pizza", 4990)
    assert await _bulk(outsider, [product], is_active=False) == ["product-not-found"]
    for action, body in (("duplicate", None), ("restore", {})):
        answer = await outsider.post(f"{PRODUCTS}/{product}/{action}", json=body, headers=key())
        assert answer.json()["code"] == "product-not-found"
    assert (await _read(owner, product))["is_active"] is True


async def test_products_are_put_in_order(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    a, b, c, d = [await shop.product(name, 900) for name in "ABCD"]
    url = f"{ADMIN}/categories/{shop.category_id}/products/order"

    async def menu() -> list[str]:
        return [p["name"] for p in (await read_menu(shopper))["products"]]

    assert await menu() == list("ABCD")
    answer = await owner.put(url, json={"product_ids": [str(d), str(b)]})
    assert answer.status_code == 204, answer.text
    assert await menu() == list("DBAC")
    answer = await owner.put(url, json={"product_ids": [str(c), str(uuid4())]})
    assert answer.json()["code"] == "product-not-found"
    elsewhere = f"{ADMIN}/categories/{uuid4()}/products/order"
    answer = await owner.put(elsewhere, json={"product_ids": [str(a)]})
    assert answer.json()["code"] == "category-not-found"
    assert await menu() == list("DBAC")


async def test_a_copy_has_all_but_the_keys(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    source = await shop.product("Pizza", 4990, sku="P-1", external_ref="X", dietary_tags=["a"])
    await shop.variant(source, "Grande", 5990)
    await shop.group(source, {"Catupiry": 900})
    store = f"{PRODUCTS}/{source}/stores/{shop.store_id}"
    assert (await owner.put(store, json={"price_cents": 4500})).status_code == 200
    again = key()
    first, twin = [
        await owner.post(f"{PRODUCTS}/{source}/duplicate", headers=again) for _ in range(2)
    ]
    assert first.status_code == 201, first.text
    assert twin.json() == first.json(), "one key, one copy"
    copy, original = first.json(), await _read(owner, source)
    assert (copy["name"], copy["slug"]) == ("Pizza (cópia)", "pizza-copia")
    assert (copy["sku"], copy["external_ref"], copy["is_active"]) == (None, None, False)
    assert [(v["name"], v["price_cents"]) for v in copy["variants"]] == [("Grande", 5990)]
    assert copy["variants"][0]["id"] != original["variants"][0]["id"]
    assert copy["modifier_groups"] == original["modifier_groups"]
    assert [s["price_cents"] for s in copy["stores"]] == [4500]
    assert copy["dietary_tags"] == ["a"]
    assert [p["id"] for p in (await read_menu(shopper))["products"]] == [str(source)]
    second = await owner.post(f"{PRODUCTS}/{source}/duplicate", headers=key())
    assert second.json()["slug"] == "pizza-copia-2"


async def test_what_was_deleted_comes_back(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    made = await owner.post(
        PRODUCTS,
        json={"category_id": str(shop.category_id), "name": "Pizza", "price_cents": 4990},
        headers=key(),
    )
    pizza = made.json()
    await shop.variant(UUID(pizza["id"]), "Grande", 5990)
    whole, url = await _read(owner, UUID(pizza["id"])), f"{PRODUCTS}/{pizza['id']}"
    assert (await owner.delete(url)).status_code == 204
    assert (await read_menu(shopper))["products"] == []
    listed = (await owner.get(f"{ADMIN}/deleted-products")).json()["items"]
    assert [(p["id"], p["deleted_at"] is not None) for p in listed] == [(pizza["id"], True)]
    back = await owner.post(f"{url}/restore", json={}, headers=key())
    assert back.status_code == 200, back.text
    assert back.json() == whole
    assert [p["id"] for p in (await read_menu(shopper))["products"]] == [pizza["id"]]
    assert (await owner.get(f"{ADMIN}/deleted-products")).json()["items"] == []
    unchanged = await owner.post(f"{url}/restore", json={}, headers=key())
    assert unchanged.json() == whole


async def test_a_restored_product_finds_its_slug_and_category_taken(
    owner: httpx.AsyncClient, shop: Shop
) -> None:
    doces = await _category(owner, "Doces")
    body = {"category_id": doces, "name": "Pudim", "price_cents": 900}
    old = (await owner.post(PRODUCTS, json=body, headers=key())).json()
    url = f"{PRODUCTS}/{old['id']}"
    assert (await owner.delete(url)).status_code == 204
    other = {**body, "category_id": str(shop.category_id)}
    assert (await owner.post(PRODUCTS, json=other, headers=key())).json()["slug"] == "pudim"
    assert (await owner.delete(f"{ADMIN}/categories/{doces}")).status_code == 204
    refused = await owner.post(f"{url}/restore", json={}, headers=key())
    assert (refused.status_code, refused.json()["code"]) == (409, "category-deleted")
    refused = await owner.post(f"{url}/restore", json={"category_id": doces}, headers=key())
    assert refused.json()["code"] == "category-not-found"
    assert (await owner.get(url)).status_code == 404, "still in the bin"
    chosen = {"category_id": str(shop.category_id)}
    back = await owner.post(f"{url}/restore", json=chosen, headers=key())
    assert back.status_code == 200, back.text
    assert (back.json()["slug"], back.json()["category_id"]) == ("pudim-2", str(shop.category_id))
