"""The storefront's search: accents, filters, pages, and the same products as in the menu."""

from __future__ import annotations

from typing import Any

import httpx

from app.commerce.catalog.menu_schemas import MenuProduct
from app.core.pagination import PageRead
from tests.commerce.catalog.storefront import ADMIN, URL, by_id, read_menu
from tests.factories.commerce import Shop


async def test_search(shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop) -> None:
    names = ["Açaí 300 ml", "Açaí 500 ml", "Suco de açaí", "Pizza", "Inativa açaí"]
    ids = [str(await shop.product(n, is_active=not n.startswith("In"))) for n in names]
    hidden = await shop.product("Açaí de outra loja")
    override = f"{ADMIN}/products/{hidden}/stores/{shop.store_id}"
    await owner.put(override, json={"is_available": False})
    await owner.put(f"{ADMIN}/products/{ids[0]}/stores/{shop.store_id}", json={"price_cents": 777})
    [category] = (await read_menu(shopper))["categories"]

    async def found(**query: Any) -> dict[str, Any]:
        answer = await shopper.get(f"{URL}/products", params={"store": "centro", **query})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        PageRead[MenuProduct].model_validate(body, extra="forbid")
        return body

    whole = await found()
    assert [p["id"] for p in whole["items"]] == ids[3::-1]
    assert {p["id"]: p for p in whole["items"]} == {
        str(i): p for i, p in by_id(await read_menu(shopper)).items()
    }, "the same products as in the menu"
    assert [p["price_cents"] for p in (await found(query="acai 300"))["items"]] == [777]
    assert [p["id"] for p in (await found(query="AÇAÍ"))["items"]] == [ids[1], ids[0], ids[2]]
    assert (await found(query="%"))["items"] == []
    for by in (category["slug"], category["id"]):
        assert len((await found(category=by))["items"]) == 4
    assert (await found(category="nenhuma"))["items"] == []
    first = await found(limit=2, query="acai")
    rest = await found(limit=2, query="acai", cursor=first["next_cursor"])
    assert [p["id"] for p in first["items"] + rest["items"]] == [ids[1], ids[0], ids[2]]
    assert rest["next_cursor"] is None
