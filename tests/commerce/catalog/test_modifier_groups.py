"""Modifier groups: every route, every refusal, and that refusals change nothing."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx

from tests.factories.commerce import Shop
from tests.factories.tenants import World

URL = "/api/v1/admin/catalog/modifier-groups"
PRODUCTS = "/api/v1/admin/catalog/products"


async def _create(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    body = {
        "name": "Adicionais",
        "max_choices": 3,
        "modifiers": [{"name": "Bacon", "price_cents": 500}, {"name": "Catupiry"}],
        **fields,
    }
    answer = await client.post(URL, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_create_read_list_change_delete(owner: httpx.AsyncClient) -> None:
    made = await _create(owner)
    assert [(m["name"], m["price_cents"], m["position"]) for m in made["modifiers"]] == [
        ("Bacon", 500, 0), ("Catupiry", 0, 1),
    ]  # fmt: skip
    url = f"{URL}/{made['id']}"
    assert (await owner.get(url)).json() == made
    newer = await _create(owner, name="Borda")
    assert (await owner.get(URL)).json() == {"items": [newer, made], "next_cursor": None}
    changed = await owner.patch(url, json={"min_choices": 1, "name": "Extras"})
    assert changed.json() == {**made, "min_choices": 1, "name": "Extras"}
    assert (await owner.delete(url)).status_code == 204
    assert (await owner.get(url)).json()["code"] == "modifier-group-not-found"
    assert (await owner.get(URL)).json()["items"] == [newer]


async def test_the_list_of_modifiers_is_given_whole(owner: httpx.AsyncClient) -> None:
    made = await _create(owner)
    bacon, catupiry = made["modifiers"]
    url = f"{URL}/{made['id']}/modifiers"
    wanted = [
        {"name": "Cheddar", "price_cents": 300},
        {"id": catupiry["id"], "name": "Catupiry original", "price_cents": 700},
    ]
    answer = await owner.put(url, json={"modifiers": wanted})
    assert answer.status_code == 200, answer.text
    cheddar, same = answer.json()["modifiers"]
    assert same == {
        **catupiry, "name": "Catupiry original", "price_cents": 700, "position": 1,
    }  # fmt: skip
    assert (cheddar["name"], cheddar["position"]) == ("Cheddar", 0)
    assert bacon["id"] not in (cheddar["id"], same["id"])
    before = (await owner.get(f"{URL}/{made['id']}")).json()
    for modifiers, status, code in (
        ([{"id": bacon["id"], "name": "Bacon"}], 404, "modifier-not-found"),
        ([{"id": same["id"], "name": "A"}] * 2, 422, "invalid-request"),
        ([{"name": "A", "price_cents": -1}], 422, "invalid-request"),
    ):
        refused = await owner.put(url, json={"modifiers": modifiers})
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert (await owner.get(f"{URL}/{made['id']}")).json() == before


async def test_refusals_change_nothing(owner: httpx.AsyncClient) -> None:
    made = await _create(owner)
    for body in ({"min_choices": 4}, {"max_choices": 2, "min_choices": 3}):
        refused = await owner.patch(f"{URL}/{made['id']}", json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "choices-contradict")
    for fields, code in (
        ({"name": "X", "min_choices": 2, "max_choices": 1}, "choices-contradict"),
        ({"name": "X", "max_choices": 101}, "invalid-request"),
        ({"name": "X", "modifiers": [{"id": str(uuid4()), "name": "Y"}]}, "modifier-not-found"),
    ):
        refused = await owner.post(URL, json=fields)
        assert refused.json()["code"] == code
    assert (await owner.get(URL)).json()["items"] == [made]


async def test_what_a_product_offers(owner: httpx.AsyncClient, shop: Shop) -> None:
    product = f"{PRODUCTS}/{await shop.product()}"
    groups = [await _create(owner, name=n) for n in "ABC"]
    a, b, c = (g["id"] for g in groups)

    async def offer(*ids: str) -> list[str]:
        answer = await owner.put(f"{product}/modifier-groups", json={"group_ids": ids})
        assert answer.status_code == 200, answer.text
        assert answer.json() == (await owner.get(product)).json()
        return [g["id"] for g in answer.json()["modifier_groups"]]

    assert await offer(a, b) == [a, b]
    assert await offer(c, b) == [c, b]
    assert await offer(b, a, c) == [b, a, c]
    for ids, status, code in (
        ([a, str(uuid4())], 404, "modifier-group-not-found"),
        ([a, a], 422, "invalid-request"),
    ):
        refused = await owner.put(f"{product}/modifier-groups", json={"group_ids": ids})
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    await owner.delete(f"{URL}/{a}")
    found = [g["id"] for g in (await owner.get(product)).json()["modifier_groups"]]
    assert found == [b, c], "the deleted one is off, the refused changes were not made"


async def test_strangers_and_members_without_the_grant(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World
) -> None:
    made = await _create(owner)
    url = f"{URL}/{made['id']}"
    body = {"modifiers": [{"name": "Veneno"}]}

    async def attempts(client: httpx.AsyncClient, headers: dict[str, str]) -> list[httpx.Response]:
        return [
            await client.patch(url, json={"name": "X"}, headers=headers),
            await client.put(f"{url}/modifiers", json=body, headers=headers),
            await client.delete(url, headers=headers),
        ]

    assert (await outsider.get(URL)).json()["items"] == []
    for answer in [await outsider.get(url), *await attempts(outsider, {})]:
        assert (answer.status_code, answer.json()["code"]) == (404, "modifier-group-not-found")
    agent = {"Authorization": f"Bearer {(await world.member('agent')).token}"}
    assert (await owner.get(url, headers=agent)).status_code == 200
    denied = [await owner.post(URL, json={"name": "X"}, headers=agent)]
    for answer in [*denied, *await attempts(owner, agent)]:
        assert (answer.status_code, answer.json()["code"]) == (403, "action-not-allowed")
    assert (await owner.get(URL)).json()["items"] == [made]


async def test_a_group_of_another_tenant_cannot_be_offered(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, shop: Shop
) -> None:
    theirs = await _create(outsider)
    product = f"{PRODUCTS}/{await shop.product()}"
    refused = await owner.put(f"{product}/modifier-groups", json={"group_ids": [theirs["id"]]})
    assert (refused.status_code, refused.json()["code"]) == (404, "modifier-group-not-found")
    assert (await owner.get(product)).json()["modifier_groups"] == []
