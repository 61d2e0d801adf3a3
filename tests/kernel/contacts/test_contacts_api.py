"""Contacts through HTTP: the person, what names them, notes, consent and the timeline."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from app.core.clock import now
from app.core.ids import new_id
from app.kernel.consents.models import ConsentEntry
from app.kernel.consents.service import ConsentService
from app.kernel.contacts.models import Contact, ContactIdentity
from app.kernel.contacts.rules import Sighting
from app.kernel.merging.service import MergeService
from tests.factories.commerce import key, make_shop
from tests.factories.tenants import World

BASE = "/api/v1/contacts"
MARIA = {"name": "Maria da Conceição", "phone": "(11) 98765-4321", "email": "Maria@Exemplo.com.br"}


async def create(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await client.post(BASE, json={**MARIA, **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ids(client: httpx.AsyncClient, **params: Any) -> list[str]:
    answer = await client.get(BASE, params=params)
    assert answer.status_code == 200, answer.text
    return [c["id"] for c in answer.json()["items"]]


async def count(world: World) -> int:
    async with world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(Contact)) or 0


async def test_profile_stage_and_owner(owner: httpx.AsyncClient, world: World) -> None:
    made = await create(owner)
    assert (made["phone"], made["email"]) == ("+5511987654321", "maria@exemplo.com.br")
    assert (made["stage"], made["score"], made["tags"], made["seen_at"]) == ("lead", 0, [], None)
    assert [(i["kind"], i["is_primary"]) for i in made["identities"]] == [
        ("phone", True), ("email", False),
    ]  # fmt: skip
    path = f"{BASE}/{made['id']}"
    assert (await owner.get(path)).json() == made
    sent = {
        "stage": "qualified", "company": "Padaria", "birth_date": "1990-02-28",
        "language": "pt-BR", "owner_id": str(world.owner.id), "score_adjustment": 7,
    }  # fmt: skip
    changed = (await owner.patch(path, json=sent)).json()
    assert changed == {**made, **sent, "score": 7}
    wrong = await owner.patch(path, json={"owner_id": str(new_id())})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid-request")
    assert (await owner.get(path)).json() == changed
    blocked = (await owner.patch(path, json={"is_blocked": True, "company": None})).json()
    assert blocked == {**changed, "is_blocked": True, "company": None}


async def test_the_stage_follows_orders(owner: httpx.AsyncClient, world: World) -> None:
    shop = await make_shop(world)
    pizza = await shop.product()
    made = await create(owner)
    path = f"{BASE}/{made['id']}"
    placed = await owner.post("/api/v1/checkout", json=shop.cart(pizza), headers=key())
    assert placed.status_code == 201, placed.text
    assert (await owner.get(path)).json()["stage"] == "customer"
    assert await ids(owner, stage="customer") == [made["id"]]
    await owner.patch(path, json={"stage": "churned"})
    assert (await owner.get(path)).json()["stage"] == "churned"
    assert (await owner.post("/api/v1/checkout", json=shop.cart(pizza), headers=key())).is_success
    assert (await owner.get(path)).json()["stage"] == "customer", "a new order brings them back"
    await owner.patch(path, json={"stage": "evangelist"})
    assert (await owner.post("/api/v1/checkout", json=shop.cart(pizza), headers=key())).is_success
    assert (await owner.get(path)).json()["stage"] == "evangelist"
    assert await ids(owner, stage="customer") == []


async def test_a_second_number_is_the_same_person(owner: httpx.AsyncClient, world: World) -> None:
    shop = await make_shop(world)
    pizza = await shop.product()
    maria, joao = await create(owner), await create(owner, phone="(11) 95555-0000", email=None)
    path = f"{BASE}/{maria['id']}/identities"
    added = await owner.post(path, json={"kind": "phone", "value": "(21) 97777-1234"})
    assert added.status_code == 201, added.text
    number = added.json()
    assert (number["value"], number["is_primary"]) == ("+5521977771234", False)
    assert (
        await owner.post(path, json={"kind": "phone", "value": "21 7777-1234"})
    ).json() == number
    taken = await owner.post(path, json={"kind": "phone", "value": "(11) 95555-0000"})
    assert (taken.status_code, taken.json()["code"], taken.json()["id"]) == (
        409, "identity-taken", joao["id"],
    )  # fmt: skip
    assert await ids(owner, query="(21) 97777-1234") == [maria["id"]]
    assert await ids(owner, query="7777-12") == [maria["id"]]

    cart = shop.cart(pizza, customer={"name": "Mari", "phone": "21 97777-1234"})
    placed = await owner.post("/api/v1/checkout", json=cart, headers=key())
    assert placed.status_code == 201, placed.text
    customer = (await owner.get(f"/api/v1/admin/customers/{maria['id']}")).json()
    assert customer["orders"]["count"] == 1, "the order with the second number is hers"
    assert customer["last_order_at"] is not None
    order = (await owner.get(f"/api/v1/admin/orders/{placed.json()['id']}")).json()
    assert (order["contact_id"], order["customer_phone"]) == (maria["id"], "+5521977771234")
    same = await owner.post("/api/v1/contacts", json={**MARIA, "phone": "(21) 97777-1234"})
    assert (same.status_code, same.json()["id"]) == (409, maria["id"])

    await owner.patch(f"{BASE}/{maria['id']}", json={"is_blocked": True})
    refused = await owner.post("/api/v1/checkout", json=cart, headers=key())
    assert (refused.status_code, refused.json()["code"]) == (403, "customer-blocked")
    merged = await owner.get(f"{BASE}/{number['id']}")
    assert (merged.status_code, merged.json()["id"]) == (410, maria["id"])
    assert (await owner.delete(f"{path}/{number['id']}")).status_code == 204
    assert await ids(owner, query="(21) 97777-1234") == []
    for gone in (number["id"], maria["id"], str(new_id())):
        answer = await owner.delete(f"{path}/{gone}")
        assert (answer.status_code, answer.json()["code"]) == (404, "identity-not-found")


async def test_identities_name_one_person_each(owner: httpx.AsyncClient, world: World) -> None:
    maria, joao = await create(owner), await create(owner, phone="(11) 95555-0000", email=None)
    for kind, value in (("wa_id", "5511987654321"), ("bsuid", "BR.13491208655302741918")):
        path = f"{BASE}/{maria['id']}/identities"
        assert (await owner.post(path, json={"kind": kind, "value": value})).status_code == 201
        taken = await owner.post(
            f"{BASE}/{joao['id']}/identities", json={"kind": kind, "value": value}
        )
        assert (taken.status_code, taken.json()["id"]) == (409, maria["id"])
    for kind, value in (("wa_id", "abc"), ("email", "sem arroba"), ("phone", "123")):
        wrong = await owner.post(path, json={"kind": kind, "value": value})
        assert wrong.status_code == 422, wrong.text
    other = await owner.post(BASE, json={**MARIA, "phone": "(11) 94444-0000"})
    assert (other.status_code, other.json()["code"]) == (409, "identity-taken")
    assert await count(world) == 2, "a refused contact leaves nothing"


async def test_fifty_first_messages_make_one_contact(world: World) -> None:
    async def met(number: int) -> Any:
        async with world.work() as work:
            seen = Sighting(
                name="Maria", wa_id=("551187654321", "5511987654321")[number % 2],
                bsuid="BR.1" if number % 3 else None,
            )  # fmt: skip
            return (await MergeService(work).meet(seen)).id

    found = await asyncio.gather(*(met(n) for n in range(50)))
    assert len(set(found)) == 1
    assert await count(world) == 1
    async with world.work() as work:
        known = {(i.kind, i.value) for i in await work.session.scalars(select(ContactIdentity))}
        contact = await work.session.scalar(select(Contact))
    assert known == {("bsuid", "BR.1"), ("wa_id", "551187654321"), ("wa_id", "5511987654321")}
    assert contact is not None
    assert contact.phone == "+5511987654321"


async def test_people_without_a_number_race_too(world: World) -> None:
    async def met(_: int) -> Any:
        async with world.work() as work:
            return (await MergeService(work).meet(Sighting(name="Ana", bsuid="BR.2"))).id

    assert len(set(await asyncio.gather(*(met(n) for n in range(20))))) == 1
    async with world.work() as work:
        merges = MergeService(work)
        one = await merges.meet(Sighting(bsuid="BR.2", wa_id="5521977771234"))
        assert one.phone == "+5521977771234", "what a message proves is noted"
        other = await merges.meet(Sighting(name="Bia", phone="(31) 96666-0000"))
        both = await merges.meet(Sighting(bsuid="BR.2", phone="(31) 96666-0000"))
        assert both.id == one.id, "the surest identity stays"
        assert (await merges.people.by_phone("31 96666-0000") or Contact()).id == one.id
        assert other.merged_into_id == one.id
    assert await count(world) == 2


async def test_search_and_filters(owner: httpx.AsyncClient, world: World) -> None:
    maria = await create(owner)
    joao = await create(owner, name="João Guimarães", phone="(21) 97777-0000", email="j@x.com")
    anon = await create(owner, name="100% Anônimo", phone=None, email="z@y.com")
    vip, cold = [
        (await owner.post("/api/v1/tags", json={"name": n})).json()["id"] for n in ("VIP", "Frio")
    ]
    await owner.put(f"{BASE}/{maria['id']}/tags", json={"tag_ids": [vip, cold]})
    await owner.put(f"{BASE}/{joao['id']}/tags", json={"tag_ids": [vip]})
    assert await ids(owner, query="conceicao maria") == [maria["id"]]
    assert await ids(owner, query="  JOAO gui") == [joao["id"]]
    assert await ids(owner, query="exemplo.com") == [maria["id"]]
    assert await ids(owner, query="%") == [anon["id"]]
    assert await ids(owner, query="0000", tags_any=[vip]) == [joao["id"]]
    assert await ids(owner, tags_all=[vip, cold]) == [maria["id"]]
    assert await ids(owner, tags_any=[vip, cold]) == [joao["id"], maria["id"]]
    assert await ids(owner, tags_none=[vip]) == [anon["id"]]
    assert await ids(owner, tags_none=[cold], tags_any=[vip], stage="lead") == [joao["id"]]
    async with world.work() as work:
        for row in await work.session.scalars(select(Contact).where(Contact.name.like("Jo%"))):
            row.last_seen_at = now() - timedelta(days=3)
    day_ago = (now() - timedelta(days=1)).isoformat()
    assert await ids(owner, seen_before=day_ago) == [joao["id"]]
    assert await ids(owner, seen_after=day_ago) == []
    assert await ids(owner, is_blocked=True) == []
    assert await ids(owner, owner_id=str(world.owner.id)) == []
    first = (await owner.get(BASE, params={"limit": 2, "query": "com"})).json()
    rest = await ids(owner, limit=2, query="com", cursor=first["next_cursor"])
    assert [c["id"] for c in first["items"]] + rest == [anon["id"], joao["id"], maria["id"]]


async def test_attributes_fit_their_definition(owner: httpx.AsyncClient) -> None:
    define = "/api/v1/contact-attributes"
    made = await create(owner)
    path = f"{BASE}/{made['id']}"
    for key_, kind, choices in (
        ("camiseta", "choice", ["P", "M"]), ("filhos", "number", []), ("desde", "date", []),
        ("vegano", "boolean", []), ("apelido", "text", []),
    ):  # fmt: skip
        body = {"key": key_, "label": key_.title(), "kind": kind, "choices": choices}
        assert (await owner.post(define, json=body)).status_code == 201
    again = await owner.post(define, json={"key": "filhos", "label": "x", "kind": "text"})
    assert (again.status_code, again.json()["code"]) == (409, "attribute-key-taken")
    facts = {"camiseta": "M", "filhos": 2, "desde": "2020-05-01", "vegano": True, "apelido": "Má"}
    assert (await owner.patch(path, json={"attributes": facts})).json()["attributes"] == facts
    for wrong in (
        {"camiseta": "G"}, {"filhos": "2"}, {"filhos": True}, {"desde": "01/05/2020"},
        {"vegano": "sim"}, {"apelido": ""}, {"signo": "leão"}, {"apelido": ["x"]},
    ):  # fmt: skip
        answer = await owner.patch(path, json={"attributes": wrong, "name": "Outra"})
        assert (answer.status_code, answer.json()["code"]) == (422, "attribute-invalid"), wrong
    assert (await owner.get(path)).json()["attributes"] == facts
    assert (await owner.get(path)).json()["name"] == MARIA["name"]
    assert await ids(owner, attribute="apelido:ma") == [made["id"]]
    assert await ids(owner, attribute="filhos:2") == [made["id"]]
    assert await ids(owner, attribute="filhos:3") == []
    changed = await owner.patch(path, json={"attributes": {"filhos": None}})
    assert "filhos" not in changed.json()["attributes"]
    listed = (await owner.get(define)).json()
    assert (await owner.delete(f"{define}/{listed[0]['id']}")).status_code == 204
    assert "camiseta" not in (await owner.get(path)).json()["attributes"]
    refused = await owner.patch(f"{define}/{listed[1]['id']}", json={"choices": ["x"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "attribute-invalid")


async def test_tags_are_one_in_any_spelling(owner: httpx.AsyncClient) -> None:
    made = await owner.post("/api/v1/tags", json={"name": "Atenção", "color": "#ff0000"})
    assert made.status_code == 201, made.text
    tag = made.json()
    twin = await owner.post("/api/v1/tags", json={"name": "ATENCAO"})
    assert (twin.status_code, twin.json()["code"]) == (409, "tag-name-taken")
    contact = await create(owner)
    unknown = await owner.put(
        f"{BASE}/{contact['id']}/tags", json={"tag_ids": [tag["id"], str(new_id())]}
    )
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/body/tag_ids/1")
    assert (await owner.get(f"{BASE}/{contact['id']}")).json()["tags"] == []
    await owner.put(f"{BASE}/{contact['id']}/tags", json={"tag_ids": [tag["id"]]})
    renamed = (await owner.patch(f"/api/v1/tags/{tag['id']}", json={"name": "Urgente"})).json()
    assert (renamed["name"], renamed["color"]) == ("Urgente", "#ff0000")
    answer = await owner.get("/api/v1/tags")
    assert answer.status_code == 200, answer.text
    (listed,) = answer.json()["items"]
    assert (listed["name"], listed["contacts"]) == ("Urgente", 1)
    assert (await owner.delete(f"/api/v1/tags/{tag['id']}")).status_code == 204
    assert (await owner.get(f"{BASE}/{contact['id']}")).json()["tags"] == []
    assert (await owner.delete(f"/api/v1/tags/{tag['id']}")).json()["code"] == "tag-not-found"


async def test_consent_is_a_ledger_that_is_asked_at_send_time(
    owner: httpx.AsyncClient, world: World
) -> None:
    made = await create(owner)
    path = f"{BASE}/{made['id']}"

    async def may(category: str = "marketing") -> tuple[bool, str]:
        params = {"channel": "whatsapp", "category": category}
        answer = (await owner.get(f"{path}/may-send", params=params)).json()
        return answer["is_allowed"], answer["reason"]

    assert (await may(), await may("utility")) == (
        (False, "not-opted-in"), (True, "not-opted-out"),
    )  # fmt: skip
    yes = {"channel": "whatsapp", "category": "marketing", "is_opt_in": True, "source": "form",
           "evidence": "Ficha 12"}  # fmt: skip
    assert (await owner.post(f"{path}/consents", json=yes)).status_code == 201
    assert await may() == (True, "opted-in")
    async with world.work() as work:
        consents = ConsentService(work)
        contact_id = made_id = (await work.session.scalars(select(Contact.id))).one()
        assert await consents.heed(contact_id, "whatsapp", "Obrigada!") is None
        assert await consents.heed(made_id, "whatsapp", "PARAR", evidence="wamid.1") == "stop"
    assert (await may(), await may("utility")) == ((False, "opted-out"), (False, "opted-out"))
    assert await may("service") == (True, "asked-for")
    future = {**yes, "decided_at": (now() + timedelta(hours=1)).isoformat()}
    assert (await owner.post(f"{path}/consents", json=future)).status_code == 422
    late = {**yes, "decided_at": (now() - timedelta(days=1)).isoformat()}
    assert (await owner.post(f"{path}/consents", json=late)).status_code == 201
    assert await may() == (False, "opted-out"), "an older yes noted later overrules no newer no"
    listed = (await owner.get(f"{path}/consents")).json()["items"]
    assert [(c["source"], c["evidence"]) for c in listed] == [
        ("form", "Ficha 12"), ("stop_word", "wamid.1"), ("form", "Ficha 12"),
    ]  # fmt: skip
    async with world.work() as work:
        assert await ConsentService(work).heed(contact_id, "whatsapp", "Quero receber") == "start"
    assert await may() == (True, "opted-in")
    await owner.patch(path, json={"is_blocked": True})
    assert (await may(), await may("service")) == ((False, "blocked"), (False, "blocked"))
    async with world.work() as work:
        with pytest.raises(Exception, match="permission denied"):
            await (await work.raw()).execute("DELETE FROM consent_entries")
    async with world.work() as work:
        kept = await work.session.scalar(select(func.count()).select_from(ConsentEntry))
    assert kept == 4


async def test_notes_and_timeline(owner: httpx.AsyncClient, world: World) -> None:
    shop = await make_shop(world)
    pizza = await shop.product()
    made = await create(owner)
    path = f"{BASE}/{made['id']}"
    notes = []
    for text in ("Prefere noite", "Ligou"):
        answer = await owner.post(f"{path}/notes", json={"text": text})
        assert answer.status_code == 201, answer.text
        notes.append(answer.json())
    assert (await owner.get(f"{path}/notes")).json()["items"] == notes[::-1]
    placed = await owner.post("/api/v1/checkout", json=shop.cart(pizza), headers=key())
    assert placed.is_success
    body = {"channel": "whatsapp", "category": "all", "is_opt_in": False}
    assert (await owner.post(f"{path}/consents", json=body)).status_code == 201
    whole = (await owner.get(f"{path}/timeline")).json()
    assert [e["kind"] for e in whole["items"]] == ["consent", "order.placed", "note", "note"]
    assert whole["items"][1]["text"] == "Pedido 1, R$ 49,90: pending"
    assert whole["items"][0]["text"] == "Recusou receber tudo por WhatsApp"
    paged: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        found = (await owner.get(f"{path}/timeline", params=params)).json()
        paged += found["items"]
        cursor = found["next_cursor"]
    assert paged == whole["items"]
    wrong = await owner.get(f"{path}/timeline", params={"cursor": "ontem"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid-request")
    assert (await owner.delete(f"{path}/notes/{notes[0]['id']}")).status_code == 204
    other = await create(owner, phone="(11) 95555-0000", email=None)
    gone = await owner.delete(f"{BASE}/{other['id']}/notes/{notes[1]['id']}")
    assert (gone.status_code, gone.json()["code"]) == (404, "note-not-found")
    assert (await owner.get(f"{path}/notes")).json()["items"] == notes[1:]
    kept = await owner.delete(path)
    assert (kept.status_code, kept.json()["code"]) == (409, "contact-in-use")
    assert (await owner.delete(f"{BASE}/{other['id']}")).status_code == 204
    assert await ids(owner) == [made["id"]]


async def test_strangers_and_lesser_roles(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    made = await create(owner)
    path = f"{BASE}/{made['id']}"
    for answer in (
        await outsider.get(path),
        await outsider.patch(path, json={"name": "X"}),
        await outsider.post(f"{path}/notes", json={"text": "x"}),
        await outsider.get(f"{path}/timeline"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "contact-not-found")
    assert await ids(outsider) == []
    assert await ids(outsider, query="conceicao") == []
    agent = await world.member("agent")
    seeing = {"Authorization": f"Bearer {agent.token}"}
    assert (await shopper.patch(path, json={"company": "A"}, headers=seeing)).status_code == 200
    for method, where in (("DELETE", path), ("GET", f"{BASE}/export")):
        answer = await shopper.request(method, where, headers=seeing)
        assert (answer.status_code, answer.json()["code"]) == (403, "action-not-allowed")
    assert (await owner.get(path)).json()["company"] == "A"
