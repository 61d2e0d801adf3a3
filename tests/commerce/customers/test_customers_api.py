"""Customers through HTTP, and contacts found and made by phone without a race."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select

from app.commerce.customers.models import CustomerAddress
from app.commerce.orders.models import Order
from app.core.clock import now
from app.core.ids import new_id
from app.core.pagination import PageRequest
from app.kernel.audit.models import AuditEntry
from app.kernel.contacts.models import Contact
from app.kernel.contacts.problems import ContactPhoneInvalid
from app.kernel.contacts.service import ContactService
from tests.factories.commerce import PAULISTA, key, make_shop
from tests.factories.tenants import World

BASE = "/api/v1/admin/customers"
MARIA = {"name": "Maria da Conceição", "phone": "(11) 98765-4321", "email": "Maria@Exemplo.com.br"}


async def create(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post(BASE, json={**MARIA, **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def contact(world: World, name: str, phone: str | None, **fields: Any) -> UUID:
    """A contact as an import may have left it: any E.164 form."""
    async with world.work() as work:
        row = Contact(name=name, phone=phone, **fields)
        work.session.add(row)
        await work.session.flush()
        return row.id


async def count(world: World, model: type[Contact] | type[CustomerAddress] = Contact) -> int:
    async with world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(model)) or 0


async def test_create_read_correct_and_block(owner: httpx.AsyncClient, world: World) -> None:
    made = await create(owner)
    assert made["phone"] == "+5511987654321"
    assert made["email"] == "maria@exemplo.com.br"
    assert (made["source"], made["is_blocked"], made["addresses"]) == ("admin", False, [])
    assert made["orders"] == {
        "count": 0,
        "total_cents": 0,
        "average_cents": 0,
        "last_order": None,
        "first_order_at": None,
        "favourites": [],
    }
    path = f"{BASE}/{made['id']}"
    assert (await owner.get(path)).json() == made

    blocked = await owner.patch(path, json={"is_blocked": True})
    assert blocked.json() == {**made, "is_blocked": True}
    renamed = await owner.patch(path, json={"name": " Maria Souza ", "email": None})
    assert renamed.json() == {**made, "is_blocked": True, "name": "Maria Souza", "email": None}
    same = await owner.patch(path, json={"name": "Maria Souza"})
    assert same.json() == renamed.json()
    async with world.work() as work:
        told = await work.session.scalars(
            select(AuditEntry.facts)
            .where(AuditEntry.action == "contact.updated")
            .order_by(AuditEntry.id)
        )
        assert [f["after"] for f in told] == [
            {"is_blocked": True},
            {"name": "Maria Souza", "email": None},
        ]


async def test_a_known_number_is_refused_in_every_form(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World
) -> None:
    made = await create(owner)
    for phone in ("+55 11 98765-4321", "11 8765-4321", "5511987654321"):
        taken = await owner.post(BASE, json={**MARIA, "phone": phone, "name": "Outra"})
        assert (taken.status_code, taken.json()["code"]) == (409, "contact-exists")
        assert taken.json()["id"] == made["id"]
    old = await contact(world, "Importado", "+551187650000")
    twin = await owner.post(BASE, json={**MARIA, "phone": "(11) 98765-0000"})
    assert (twin.status_code, twin.json()["id"]) == (409, str(old))
    assert await count(world) == 2
    assert (await owner.get(f"{BASE}/{made['id']}")).json() == made
    await create(outsider)

    racers = await asyncio.gather(
        *(owner.post(BASE, json={**MARIA, "phone": "(21) 99876-5432"}) for _ in range(6))
    )
    assert Counter(a.status_code for a in racers) == {201: 1, 409: 5}
    winner = next(a.json()["id"] for a in racers if a.status_code == 201)
    assert {a.json()["id"] for a in racers} == {winner}


async def test_a_retried_creation_makes_one(owner: httpx.AsyncClient, world: World) -> None:
    header = key()
    answers = [await owner.post(BASE, json=MARIA, headers=header) for _ in range(2)]
    assert [a.status_code for a in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert await count(world) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"phone": "98765-4321"},
        {"phone": "não tenho"},
        {"email": "sem arroba"},
        {"name": "M"},
        {"phone": None},
        {"note": "?"},
    ],
)
async def test_malformed_customers_are_refused(
    owner: httpx.AsyncClient, world: World, fields: dict[str, Any]
) -> None:
    answer = await owner.post(BASE, json={**MARIA, **fields})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert await count(world) == 0


async def test_search_by_name_phone_and_email(owner: httpx.AsyncClient, world: World) -> None:
    maria = (await create(owner))["id"]
    old = str(await contact(world, "João Guimarães", "+551187650000", email="joao@x.com"))
    nobody = str(await contact(world, "100% Anônimo", None, is_blocked=True))

    async def found(**params: Any) -> list[str]:
        answer = await owner.get(BASE, params=params)
        assert answer.status_code == 200, answer.text
        return [c["id"] for c in answer.json()["items"]]

    assert await found() == sorted([maria, old, nobody], reverse=True)
    assert await found(query="conceicao") == [maria]
    assert await found(query="  JOAO gui") == [old]
    assert await found(query="exemplo.com") == [maria]
    assert await found(query="98765-43") == [maria]
    assert await found(query="(11) 98765-0000") == [old], "found by its form with the ninth digit"
    assert await found(query="%") == [nobody], "a wildcard is a plain character"
    assert await found(is_blocked=True) == [nobody]
    assert await found(query="ninguém") == []
    first = (await owner.get(BASE, params={"limit": 2})).json()
    rest = (await owner.get(BASE, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [c["id"] for c in first["items"] + rest["items"]] == await found()
    assert rest["next_cursor"] is None


async def test_statistics_count_what_was_not_cancelled(
    owner: httpx.AsyncClient, world: World
) -> None:
    shop = await make_shop(world)
    maria = UUID((await create(owner))["id"])
    other = await contact(world, "Outra", "+5511900000000")
    placed = [
        (maria, 1, "delivered", 1000, 5),
        (maria, 2, "pending", 1001, 1),
        (maria, 3, "cancelled", 9000, 0),
        (maria, 4, "rejected", 9000, 0),
        (maria, 5, "delivered", 1000, 3),
        (other, 6, "delivered", 7000, 0),
    ]
    async with world.work() as work:
        for who, number, status, cents, days_ago in placed:
            work.session.add(
                Order(
                    number=number,
                    store_id=shop.store_id,
                    contact_id=who,
                    customer_name="Maria",
                    fulfilment="pickup",
                    status=status,
                    subtotal_cents=cents,
                    total_cents=cents,
                    placed_at=now() - timedelta(days=days_ago),
                )
            )
    found = (await owner.get(f"{BASE}/{maria}")).json()["orders"]
    assert (found["count"], found["total_cents"], found["average_cents"]) == (3, 3001, 1000)
    assert found["last_order"]["number"] == 2
    assert found["last_order"]["total_cents"] == 1001
    assert found["last_order"]["status"] == "pending"


async def test_addresses(owner: httpx.AsyncClient, world: World) -> None:
    maria = (await create(owner))["id"]
    joao = (await create(owner, phone="(11) 97777-0000"))["id"]
    path = f"{BASE}/{maria}/addresses"
    made = await owner.post(path, json={**PAULISTA, "state": "sp"})
    assert made.status_code == 201, made.text
    address = made.json()
    assert (address["postal_code"], address["state"]) == ("01310100", "SP")
    assert (address["street"], address["complement"]) == ("Avenida Paulista", None)

    wrong = await owner.post(path, json={**PAULISTA, "postal_code": "1310-100"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid-request")
    changed = await owner.patch(
        f"{path}/{address['id']}", json={"number": "99", "postal_code": "04538-133"}
    )
    assert changed.json() == {**address, "number": "99", "postal_code": "04538133"}
    newer = (await owner.post(path, json=PAULISTA)).json()
    listed = (await owner.get(path)).json()
    assert {a["id"] for a in listed} == {address["id"], newer["id"]}
    assert (await owner.get(f"{BASE}/{maria}")).json()["addresses"] == listed

    for where in (f"{BASE}/{joao}/addresses/{address['id']}", f"{path}/{new_id()}"):
        for answer in (await owner.patch(where, json={"number": "1"}), await owner.delete(where)):
            assert (answer.status_code, answer.json()["code"]) == (404, "address-not-found")
    assert (await owner.get(path)).json() == listed
    assert (await owner.delete(f"{path}/{address['id']}")).status_code == 204
    assert [a["id"] for a in (await owner.get(path)).json()] == [newer["id"]]


async def test_unknown_customers_and_strangers(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, stranger: World
) -> None:
    made = await create(owner)
    address = (await owner.post(f"{BASE}/{made['id']}/addresses", json=PAULISTA)).json()
    before = (await owner.get(f"{BASE}/{made['id']}")).json()
    for client, id in ((owner, new_id()), (outsider, made["id"])):
        for answer in (
            await client.get(f"{BASE}/{id}"),
            await client.patch(f"{BASE}/{id}", json={"name": "Outra"}),
            await client.get(f"{BASE}/{id}/addresses"),
            await client.post(f"{BASE}/{id}/addresses", json=PAULISTA),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "contact-not-found")
        where = f"{BASE}/{id}/addresses/{address['id']}"
        if client is outsider:
            assert (await client.patch(where, json={"number": "1"})).status_code == 404
            assert (await client.delete(where)).status_code == 404
    assert (await outsider.get(BASE)).json()["items"] == []
    assert (await owner.get(f"{BASE}/{made['id']}")).json() == before
    assert await count(stranger, CustomerAddress) == 0


async def test_grants(owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World) -> None:
    made = await create(owner)
    address = (await owner.post(f"{BASE}/{made['id']}/addresses", json=PAULISTA)).json()
    before = (await owner.get(f"{BASE}/{made['id']}")).json()
    agent = await world.member("agent")
    seeing = {"Authorization": f"Bearer {agent.token}"}
    path = f"{BASE}/{made['id']}"
    for where in (BASE, path, f"{path}/addresses"):
        assert (await shopper.get(where, headers=seeing)).status_code == 200
        assert (await shopper.get(where)).status_code == 401
    calls: list[tuple[str, str, dict[str, Any] | None]] = [
        ("POST", BASE, {**MARIA, "phone": "(11) 97777-0000"}),
        ("PATCH", path, {"is_blocked": True}),
        ("POST", f"{path}/addresses", dict(PAULISTA)),
        ("PATCH", f"{path}/addresses/{address['id']}", {"number": "1"}),
        ("DELETE", f"{path}/addresses/{address['id']}", None),
    ]
    for method, where, body in calls:
        answer = await shopper.request(method, where, json=body, headers=seeing)
        assert (answer.status_code, answer.json()["code"]) == (403, "action-not-allowed")
    assert (await owner.get(path)).json() == before
    assert await count(world) == 1


async def test_upsert_is_race_free_and_finds_twins(world: World) -> None:
    async def upsert(name: str, phone: str, email: str | None = None) -> Contact:
        async with world.work() as work:
            return await ContactService(work).upsert_by_phone(name, phone, email, "whatsapp")

    forms = ("(11) 98765-4321", "+551187654321", "5511987654321", "011 8765-4321") * 5
    rows = await asyncio.gather(*(upsert("Maria", phone) for phone in forms))
    assert len({r.id for r in rows}) == 1
    assert {(r.phone, r.source) for r in rows} == {("+5511987654321", "whatsapp")}
    assert await count(world) == 1

    old = await contact(world, "", "+552187650000")
    filled = await upsert("João", "+5521987650000", "Joao@X.com")
    assert (filled.id, filled.phone) == (old, "+552187650000")
    assert (filled.name, filled.email) == ("João", "joao@x.com")
    kept = await upsert("Golpista", "(21) 98765-0000", "golpe@x.com")
    assert (kept.name, kept.email) == ("João", "joao@x.com"), "knowing a number rewrites nothing"
    async with world.work() as work:
        contacts = ContactService(work)
        assert (await contacts.by_phone("21 8765-0000") or Contact()).id == old
        assert await contacts.by_phone("(31) 98765-0000") is None
        assert [c.id for c in (await contacts.search(PageRequest(), "joão")).items] == [old]
        with pytest.raises(ContactPhoneInvalid):
            await contacts.upsert_by_phone("X", "123")
    assert await count(world) == 2


async def test_upsert_stays_within_the_tenant(world: World, stranger: World) -> None:
    ids = set()
    for each in (world, stranger):
        async with each.work() as work:
            row = await ContactService(work).upsert_by_phone("Maria", "+5511987654321")
            ids.add(row.id)
    assert len(ids) == 2
    assert (await count(world), await count(stranger)) == (1, 1)
