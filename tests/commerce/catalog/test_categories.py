"""Categories: every route, every refusal, and that refusals change nothing."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select

from app.commerce.catalog import service
from app.commerce.catalog.models import Category
from app.kernel.audit.models import AuditEntry
from tests.factories.commerce import make_shop
from tests.factories.tenants import World

URL = "/api/v1/admin/catalog/categories"


async def _create(client: httpx.AsyncClient, name: str, **fields: object) -> dict[str, object]:
    answer = await client.post(URL, json={"name": name, **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, object] = answer.json()
    return found


async def _names(client: httpx.AsyncClient) -> list[str]:
    return [c["name"] for c in (await client.get(URL)).json()]


async def test_create_read_change_delete(owner: httpx.AsyncClient, world: World) -> None:
    made = await _create(owner, "Pizzas Salgadas")
    assert made["slug"] == "pizzas-salgadas"
    again = await _create(owner, "Pizzas salgadas")
    assert again["slug"] == "pizzas-salgadas-2"
    url = f"{URL}/{made['id']}"
    assert (await owner.get(url)).json() == made

    changed = await owner.patch(url, json={"name": "Pizzas", "is_active": False})
    assert changed.status_code == 200
    assert changed.json() == {**made, "name": "Pizzas", "is_active": False}

    assert (await owner.delete(url)).status_code == 204
    assert (await owner.get(url)).json()["code"] == "category-not-found"
    assert await _names(owner) == ["Pizzas salgadas"]
    assert (await _create(owner, "Outra", slug="pizzas-salgadas"))["slug"] == "pizzas-salgadas"
    async with world.work() as work:
        actions = await work.session.scalars(
            select(AuditEntry.action).where(AuditEntry.action.like("c%")).order_by(AuditEntry.id)
        )
        assert list(actions).count("commerce.catalog_changed") == 5


async def test_an_explicit_slug_that_is_taken_is_refused(owner: httpx.AsyncClient) -> None:
    made = await _create(owner, "Pizzas")
    other = await _create(owner, "Bebidas")
    refused = await owner.post(URL, json={"name": "X", "slug": "pizzas"})
    assert (refused.status_code, refused.json()["code"]) == (409, "slug-taken")
    moved = await owner.patch(f"{URL}/{other['id']}", json={"slug": "pizzas"})
    assert (moved.status_code, moved.json()["code"]) == (409, "slug-taken")
    assert (await owner.get(URL)).json() == [other, made], "same position: by name"


async def test_reorder(owner: httpx.AsyncClient) -> None:
    ids = {name: (await _create(owner, name))["id"] for name in ("A", "B", "C", "D")}
    answer = await owner.put(f"{URL}/order", json={"ids": [ids["D"], ids["B"]]})
    assert [c["name"] for c in answer.json()] == ["D", "B", "A", "C"]
    assert await _names(owner) == ["D", "B", "A", "C"]
    refused = await owner.put(f"{URL}/order", json={"ids": [ids["A"], str(uuid4())]})
    assert (refused.status_code, refused.json()["code"]) == (404, "category-not-found")
    assert await _names(owner) == ["D", "B", "A", "C"], "nothing moved"


async def test_a_category_with_products_stays(owner: httpx.AsyncClient, world: World) -> None:
    shop = await make_shop(world)
    product = await shop.product()
    refused = await owner.delete(f"{URL}/{shop.category_id}")
    assert (refused.status_code, refused.json()["code"]) == (409, "category-not-empty")
    assert len(await _names(owner)) == 1
    await owner.delete(f"/api/v1/admin/catalog/products/{product}")
    assert (await owner.delete(f"{URL}/{shop.category_id}")).status_code == 204


async def test_there_is_a_limit(
    owner: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_CATEGORIES", 1)
    await _create(owner, "A")
    refused = await owner.post(URL, json={"name": "B"})
    assert (refused.status_code, refused.json()["code"]) == (409, "too-many-categories")
    async with world.work() as work:
        assert await work.session.scalar(select(func.count()).select_from(Category)) == 1


@pytest.mark.parametrize(
    "body", [{"name": None}, {"name": ""}, {"position": -1}, {"slug": "Não"}, {"nome": "x"}]
)
async def test_what_does_not_validate_is_refused(
    owner: httpx.AsyncClient, body: dict[str, object]
) -> None:
    made = await _create(owner, "A")
    refused = await owner.patch(f"{URL}/{made['id']}", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid-request")
    assert (await owner.get(URL)).json() == [made]


async def test_strangers_and_members_without_the_grant(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World
) -> None:
    made = await _create(owner, "A")
    url = f"{URL}/{made['id']}"
    assert (await outsider.get(URL)).json() == []
    for answer in (
        await outsider.get(url),
        await outsider.patch(url, json={"name": "Hacked"}),
        await outsider.delete(url),
        await outsider.put(f"{URL}/order", json={"ids": [made["id"]]}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "category-not-found")
    agent = {"Authorization": f"Bearer {(await world.member('agent')).token}"}
    assert (await owner.get(url, headers=agent)).status_code == 200
    for answer in (
        await owner.post(URL, json={"name": "B"}, headers=agent),
        await owner.patch(url, json={"name": "B"}, headers=agent),
        await owner.delete(url, headers=agent),
        await owner.put(f"{URL}/order", json={"ids": [made["id"]]}, headers=agent),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "action-not-allowed")
    assert (await owner.get(URL)).json() == [made], "nothing changed"
