"""Stores through the API: what the merchant changes, the plan's limit, and every refusal."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select, update

from app.commerce.inventory.models import StockMovement
from app.commerce.orders.models import Order
from app.commerce.stores.models import Store
from app.kernel.audit.models import AuditEntry
from app.kernel.contacts.models import Contact
from app.kernel.files.models import StoredFile
from app.kernel.tenants.models import Tenant
from app.kernel.work import Runtime
from tests.factories.stores import ADDRESS, ADMIN, DAILY, a_store, open_store
from tests.factories.tenants import World


async def stores_of(world: World) -> list[Store]:
    async with world.work() as work:
        return list((await work.session.execute(select(Store).order_by(Store.id))).scalars())


async def limit_stores(runtime: Runtime, world: World, allowed: int) -> None:
    async with runtime.database.system_engine.begin() as connection:
        await connection.execute(
            update(Tenant).where(Tenant.id == world.tenant.id).values(limits={"stores": allowed})
        )
    await runtime.bus.ring("tenants", str(world.tenant.id))


async def test_create_normalises_and_fills_in(owner: httpx.AsyncClient, world: World) -> None:
    created = await open_store(owner, phone="(11) 98765-4321")
    assert created["slug"] == "pizzaria-sao-joao"
    assert created["phone"] == "+5511987654321"
    assert created["address"]["postal_code"] == "05435000"
    assert created["timezone"] == "America/Sao_Paulo", "the tenant's, when absent"
    assert created["payment_methods"] == ["cash", "card_on_delivery", "pix"]
    again = await open_store(owner)
    assert again["slug"] == "pizzaria-sao-joao-2"
    assert (await owner.get(f"{ADMIN}/{created['id']}")).json() == created
    listed = (await owner.get(ADMIN)).json()
    assert [s["id"] for s in listed["items"]] == [again["id"], created["id"]]
    async with world.work() as work:
        told = select(func.count()).where(
            AuditEntry.action.in_(("commerce.catalog_changed", "stores.created")),
            AuditEntry.actor_id == world.owner.id,
        )
        assert await work.session.scalar(told) == 4


async def test_create_twice_with_one_key_opens_one_store(
    owner: httpx.AsyncClient, world: World
) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    first = await owner.post(ADMIN, json=a_store(), headers=key)
    second = await owner.post(ADMIN, json=a_store(), headers=key)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert len(await stores_of(world)) == 1


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("timezone", "America/Atlantida", "IANA"),
        ("timezone", "../etc/passwd", "IANA"),
        ("phone", "98765-4321", "missing-area-code"),
        ("slug", "Com Espaço", "pattern"),
        ("latitude", 91, "90"),
        ("payment_methods", [], "at least 1"),
        ("payment_methods", ["cheque"], "cash"),
        ("preorder_slot_minutes", 0, "15"),
        ("address", ADDRESS | {"postal_code": "123"}, "not-eight-digits"),
        ("name", "x" * 81, "80"),
        ("hours", [{"weekday": 7, "opens": "10:00", "closes": "12:00"}], "6"),
        ("hours", [{"weekday": 1, "opens": "9:00", "closes": "12:00"}], "pattern"),
        ("tenant_id", "01931b2e-7c00-7000-8000-000000000001", "not permitted"),
    ],
)
async def test_create_refuses_what_is_wrong(
    owner: httpx.AsyncClient, world: World, field: str, value: object, says: str
) -> None:
    answer = await owner.post(ADMIN, json=a_store(**{field: value}))
    assert answer.status_code == 422, answer.text
    found = answer.json()
    assert found["code"] == "invalid-request"
    assert any(e["pointer"].startswith(f"/body/{field}") for e in found["errors"])
    assert any(says in e["detail"] for e in found["errors"]), found["errors"]
    assert await stores_of(world) == []


async def test_taken_slug_is_refused(owner: httpx.AsyncClient, world: World) -> None:
    await open_store(owner, slug="centro")
    other = await open_store(owner, slug="jardins")
    made = await owner.post(ADMIN, json=a_store(slug="centro"))
    moved = await owner.patch(f"{ADMIN}/{other['id']}", json={"slug": "centro"})
    for answer in (made, moved):
        assert answer.status_code == 409
        assert answer.json()["code"] == "store-slug-taken"
    assert [s.slug for s in await stores_of(world)] == ["centro", "jardins"]


async def test_media_must_be_a_file_of_the_tenant(
    owner: httpx.AsyncClient, world: World, stranger: World
) -> None:
    ids: dict[str, UUID] = {}
    for whose, somebody in (("own", world), ("foreign", stranger)):
        async with somebody.work() as work:
            file = StoredFile(
                key=f"t/{somebody.tenant.id}/logo.png",
                media_type="image/png",
                size_bytes=10,
                sha256="0" * 64,
                original_name="logo.png",
            )
            work.session.add(file)
            await work.session.flush()
            ids[whose] = file.id
    store = await open_store(owner, logo_file_id=str(ids["own"]))
    path = f"{ADMIN}/{store['id']}"
    refused = await owner.patch(path, json={"logo_file_id": str(ids["foreign"])})
    assert refused.status_code == 422
    assert refused.json()["code"] == "store-media-unknown"
    assert refused.json()["errors"][0]["pointer"] == "/body/logo_file_id"
    assert (await owner.get(path)).json()["logo_file_id"] == str(ids["own"])
    emptied = await owner.patch(path, json={"logo_file_id": None})
    assert emptied.json()["logo_file_id"] is None


async def test_patch_changes_only_what_is_sent(owner: httpx.AsyncClient, world: World) -> None:
    created = await open_store(owner, phone="(11) 98765-4321", free_shipping_above_cents=9000)
    path = f"{ADMIN}/{created['id']}"
    changed = await owner.patch(
        path, json={"preparation_minutes": 45, "free_shipping_above_cents": None}
    )
    assert changed.status_code == 200, changed.text
    wanted = created | {"preparation_minutes": 45, "free_shipping_above_cents": None}
    assert changed.json() == wanted
    async with world.work() as work:
        facts = await work.session.scalar(
            select(AuditEntry.facts).where(AuditEntry.action == "stores.updated")
        )
    assert facts == {
        "before": {"preparation_minutes": 30, "free_shipping_above_cents": 9000},
        "after": {"preparation_minutes": 45, "free_shipping_above_cents": None},
    }
    refused = await owner.patch(path, json={"name": None, "timezone": None})
    assert refused.status_code == 422
    assert "name, timezone" in refused.json()["errors"][0]["detail"]
    assert (await owner.get(path)).json() == wanted


async def test_only_a_change_is_told(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    rung: list[str] = []
    runtime.bus.listen("catalog", rung.append)
    try:
        store = await open_store(owner)
        assert str(world.tenant.id) in rung
    finally:
        runtime.bus.unlisten("catalog", rung.append)
    path = f"{ADMIN}/{store['id']}"
    assert (await owner.patch(path, json={"name": store["name"]})).json() == store
    assert (await owner.put(f"{path}/hours", json={"hours": DAILY})).json() == store
    assert await told(world) == ["created"]
    assert (await owner.put(f"{path}/hours", json={"hours": []})).json()["hours"] == []
    assert await told(world) == ["created", "updated"]
    assert (await owner.delete(path)).status_code == 204
    assert await told(world) == ["created", "updated", "deleted"]


async def told(world: World) -> list[str]:
    async with world.work() as work:
        found = await work.session.execute(
            select(AuditEntry.facts)
            .where(AuditEntry.action == "commerce.catalog_changed")
            .order_by(AuditEntry.id)
        )
        facts = list(found.scalars())
    assert all(f["kind"] == "store" for f in facts)
    return [f["change"] for f in facts]


async def test_storefront_hides_inactive_stores_and_other_tenants(
    owner: httpx.AsyncClient,
    shopper: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
) -> None:
    store = await open_store(owner, slug="centro")
    assert (await owner.patch(f"{ADMIN}/{store['id']}", json={"is_active": False})).is_success
    for client in (shopper, outsider):
        assert (await client.get("/api/v1/stores")).json()["items"] == []
        gone = await client.get("/api/v1/stores/centro")
        assert gone.status_code == 404
        assert gone.json()["code"] == "store-not-found"
    assert (await anonymous.get("/api/v1/stores")).json()["code"] == "tenant-required"
    off = (await owner.get(ADMIN, params={"is_active": "false"})).json()["items"]
    assert [s["id"] for s in off] == [store["id"]]
    assert (await owner.get(ADMIN, params={"is_active": "true"})).json()["items"] == []


async def test_strangers_and_the_ungranted_change_nothing(
    owner: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
    shopper: httpx.AsyncClient,
    world: World,
) -> None:
    store = await open_store(owner)
    path = f"{ADMIN}/{store['id']}"
    agent = {"Authorization": f"Bearer {(await world.member('agent')).token}"}
    calls: list[tuple[str, str, Any]] = [
        ("PATCH", path, {"name": "Outra"}),
        ("PUT", f"{path}/hours", {"hours": []}),
        ("PUT", f"{path}/exceptions", {"exceptions": [{"date": "2026-12-25"}]}),
        ("DELETE", path, None),
    ]
    for method, url, body in [*calls, ("GET", path, None)]:
        answer = await outsider.request(method, url, json=body)
        assert answer.status_code == 404, (method, url)
        assert answer.json()["code"] == "store-not-found"
        assert (await shopper.request(method, url, json=body)).status_code == 401
    for method, url, body in [*calls, ("POST", ADMIN, a_store())]:
        refused = await shopper.request(method, url, json=body, headers=agent)
        assert refused.status_code == 403, (method, url)
        assert refused.json()["code"] == "action-not-allowed"
    assert (await shopper.get(path, headers=agent)).status_code == 200, "an agent may read"
    assert (await owner.get(path)).json() == store
    assert len(await stores_of(world)) == 1


async def test_delete_only_without_orders(owner: httpx.AsyncClient, world: World) -> None:
    used, unused = await open_store(owner, slug="usada"), await open_store(owner, slug="nova")
    async with world.work() as work:
        contact = Contact(name="Maria da Silva", phone="+5511987654321")
        work.session.add(contact)
        await work.session.flush()
        work.session.add(
            Order(
                number=1,
                store_id=UUID(used["id"]),
                contact_id=contact.id,
                customer_name=contact.name,
                fulfilment="pickup",
                subtotal_cents=1000,
                total_cents=1000,
            )
        )
        work.session.add(
            StockMovement(
                store_id=UUID(unused["id"]),
                item_kind="product",
                item_id=uuid4(),
                kind="receipt",
                quantity=5,
            )
        )
    refused = await owner.delete(f"{ADMIN}/{used['id']}")
    assert refused.status_code == 409
    assert refused.json()["code"] == "store-in-use"
    assert (await owner.delete(f"{ADMIN}/{unused['id']}")).status_code == 204
    assert (await owner.get(f"{ADMIN}/{unused['id']}")).status_code == 404
    assert [s.slug for s in await stores_of(world)] == ["usada"]


async def test_limit_is_exact_under_parallel_creates(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    await limit_stores(runtime, world, 3)
    answers = await asyncio.gather(*(owner.post(ADMIN, json=a_store()) for _ in range(10)))
    codes = sorted(a.status_code for a in answers)
    assert codes == [201] * 3 + [409] * 7, [a.text for a in answers]
    refused = next(a for a in answers if a.status_code == 409).json()
    assert refused["code"] == "limit-reached"
    assert (refused["limit"], refused["allowed"], refused["used"]) == ("stores", 3, 3)
    assert "3 stores" in refused["detail"]
    stores = await stores_of(world)
    assert len(stores) == 3
    assert len({s.slug for s in stores}) == 3


async def test_limit_counts_active_stores_on_reactivation(
    owner: httpx.AsyncClient, world: World, runtime: Runtime
) -> None:
    await limit_stores(runtime, world, 1)
    first = await open_store(owner, slug="primeira")
    spare = await open_store(owner, slug="reserva", is_active=False)
    path = f"{ADMIN}/{spare['id']}"
    refused = await owner.patch(path, json={"is_active": True, "name": "Reserva aberta"})
    assert refused.status_code == 409
    assert refused.json()["code"] == "limit-reached"
    assert (await owner.get(path)).json() == spare
    same = await owner.patch(f"{ADMIN}/{first['id']}", json={"is_active": True})
    assert same.status_code == 200, "an active store needs no room"

    await owner.patch(f"{ADMIN}/{first['id']}", json={"is_active": False})
    both = await asyncio.gather(
        *(owner.patch(f"{ADMIN}/{s['id']}", json={"is_active": True}) for s in (first, spare))
    )
    assert sorted(a.status_code for a in both) == [200, 409]
    assert [s.is_active for s in await stores_of(world)].count(True) == 1
