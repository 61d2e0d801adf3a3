"""Merging and parting: everything follows, and undoing it leaves the same rows as before."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, date, datetime
from random import Random
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from app.commerce.customers.models import CustomerAddress
from app.commerce.orders.models import Order
from app.commerce.promotions.models import PromotionRedemption
from app.core.ids import new_id
from app.kernel.consents.models import ConsentEntry
from app.kernel.contacts.models import STAGES, Contact, ContactIdentity, ContactNote
from app.kernel.merging.rules import FIELDS, fill, kept, taken_back
from app.kernel.merging.service import MergeService
from app.kernel.tags.models import ContactTag, Tag
from app.kernel.work import UnitOfWork
from app.main import Largo
from tests.factories.commerce import PAULISTA, Shop, key, make_shop
from tests.factories.tenants import World, make_world

BASE = "/api/v1/contacts"
NUMBERS = itertools.count(970_000_000)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TABLES = (
    "contacts", "contact_identities", "contact_tags", "contact_notes", "consent_entries",
    "orders", "customer_addresses", "promotion_redemptions", "customer_moves",
)  # fmt: skip


async def state(work: UnitOfWork) -> dict[str, list[str]]:
    """All that a merge may touch; of the tags that were given anew, whose they are."""
    found = {}
    for table in TABLES:
        row = "(t.contact_id, t.tag_id)::text" if table == "contact_tags" else "t::text"
        rows = await work.session.scalars(text(f"SELECT {row} FROM {table} t ORDER BY 1"))  # noqa: S608
        found[table] = list(rows)
    return found


async def people(world: World, shop: Shop, random: Random) -> list[UUID]:
    """Four contacts with a bit of everything."""
    promotion = await shop.promotion()
    async with world.work() as work:
        add = work.session.add_all
        mark = next(NUMBERS)
        tags = [Tag(name=f"{n}{mark}", folded=f"{n}{mark}", color="#000000") for n in "abc"]
        add(tags)
        made = [
            Contact(
                name=random.choice(["", "Ana", "Bia"]), email=random.choice([None, "a@x.com"]),
                phone=f"+5511{next(NUMBERS)}" if random.random() < 0.8
                else None,
                stage=random.choice([None, *STAGES]), stage_at=random.choice([None, NOON]),
                birth_date=random.choice([None, date(1990, 1, 31)]),
                owner_id=random.choice([None, world.owner.id]),
                attributes=random.choice([{}, {"a": 1, "b": "x"}, {"a": 2}, {"c": True}]),
                score=(points := random.randrange(9)), score_adjustment=points,
                is_blocked=random.random() < 0.3, last_seen_at=random.choice([None, NOON]),
            )
            for _ in range(4)
        ]  # fmt: skip
        add(made)
        await work.session.flush()
        for contact in made:
            mine = random.sample(tags, random.randrange(3))
            add(ContactTag(contact_id=contact.id, tag_id=tag.id) for tag in mine)
            if random.random() < 0.7:
                add([ContactIdentity(contact_id=contact.id, kind="bsuid", value=new_id().hex)])
            add([ContactNote(contact_id=contact.id, text="n", author_name="t")])
            for _ in range(random.randrange(3)):
                home = {"street": random.choice(["Rua A", "Rua B"])}
                add([CustomerAddress(contact_id=contact.id, postal_code="01310100", address=home)])
                order = Order(
                    number=next(NUMBERS), store_id=shop.store_id, fulfilment="pickup",
                    contact_id=contact.id, customer_name="A", subtotal_cents=1, total_cents=1,
                )  # fmt: skip
                add([order])
                await work.session.flush()
                await work.session.refresh(order)
                contact.last_order_at = max(filter(None, (contact.last_order_at, order.placed_at)))
                add([PromotionRedemption(promotion_id=promotion, order_id=order.id, name="P",
                                         contact_id=contact.id, amount_cents=1)])  # fmt: skip
        return [contact.id for contact in made]


@pytest.fixture(scope="module")
async def shop(app: Largo) -> Shop:
    return await make_shop(await make_world(app.runtime))


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32), steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)),
                                                  min_size=1, max_size=3))  # fmt: skip
async def test_undoing_merges_backwards_restores_every_row(
    shop: Shop, seed: int, steps: list[tuple[int, int]]
) -> None:
    world = shop.world
    ids = await people(world, shop, Random(seed))
    async with world.work() as work:
        before = [await state(work)]
    merged: list[tuple[UUID, UUID]] = []
    standing = set(ids)
    for stays, goes in steps:
        if stays == goes or not {ids[stays], ids[goes]} <= standing:
            continue
        async with world.work() as work:
            row = await MergeService(work).merge(ids[stays], ids[goes])
            merged.append((row.contact_id, row.id))
        standing.discard(ids[goes])
        async with world.work() as work:
            left = await work.session.scalars(select(Order.contact_id).where(
                Order.contact_id == ids[goes]))  # fmt: skip
            assert not list(left), "no order stays with a merged contact"
            before.append(await state(work))
    for contact_id, merge_id in reversed(merged):
        before.pop()
        async with world.work() as work:
            await MergeService(work).undo(contact_id, merge_id)
        async with world.work() as work:
            now = await state(work)
        assert now == before[-1]


_PLAIN = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["", "Ana", "Bia"]),
        **{f: st.sampled_from([None, "x", "y"]) for f in ("email", "company", "language", "phone")},
        "birth_date": st.sampled_from([None, date(1990, 1, 1), date(2000, 2, 29)]),
        "owner_id": st.sampled_from([None, UUID(int=1), UUID(int=2)]),
        "stage": st.sampled_from([None, "lead", "churned"]),
        "stage_at": st.sampled_from([None, NOON]),
        "last_seen_at": st.sampled_from([None, NOON]),
        "score": st.integers(-5, 5),
        "score_adjustment": st.integers(-5, 5),
        "is_blocked": st.booleans(),
        "attributes": st.dictionaries(st.sampled_from("abc"), st.integers(0, 2), max_size=3),
    }
)


@settings(max_examples=150, deadline=None)
@given(_PLAIN, _PLAIN, _PLAIN, st.sets(st.sampled_from(FIELDS)))
def test_taking_back_restores_facts_and_keeps_what_was_changed_since(
    stays: dict[str, Any], merged: dict[str, Any], later: dict[str, Any], touched: set[str]
) -> None:
    changed = fill(stays, merged)
    for name in ("email", "company", "birth_date", "owner_id", "name"):
        assert (stays | changed)[name] == stays[name] or not stays[name], "nothing is overwritten"
    remembered, after = kept(stays, changed), stays | changed
    assert after | taken_back(after, remembered) == stays
    after |= {name: later[name] for name in touched}
    restored = after | taken_back(after, remembered)
    for name in touched - {"score", "score_adjustment", "attributes"}:
        if later[name] != (stays | changed)[name]:
            assert restored[name] == later[name], "somebody's own change stands"


async def test_a_merge_over_http_moves_everything_and_keeps_the_number(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World
) -> None:
    shop = await make_shop(world)
    pizza, cola = await shop.product("Pizza", 5000), await shop.product("Cola", 800)

    async def order(phone: str, *items: UUID) -> str:
        customer = {"name": "Maria", "phone": phone}
        address = {**PAULISTA, "number": phone[-4:]}
        cart = shop.cart(*items, customer=customer, fulfilment="delivery", address=address)
        placed = await owner.post("/api/v1/checkout", json=cart, headers=key())
        assert placed.status_code == 201, placed.text
        return str(
            (await owner.get(f"/api/v1/admin/orders/{placed.json()['id']}")).json()["contact_id"]
        )

    one, two = await order("11 98765-0001", pizza), await order("11 98765-0002", pizza, cola)
    customers = "/api/v1/admin/customers"
    views = [(await owner.get(f"{customers}/{id}")).json() for id in (one, two)]
    async with world.work() as work:
        work.session.add(ConsentEntry(
            contact_id=UUID(two), channel="whatsapp", category="all", is_opt_in=False,
            source="stop_word", decided_at=NOON, actor_name="x"))  # fmt: skip
        work.session.add(ContactNote(contact_id=UUID(two), text="VIP", author_name="x"))
    body = {"merged_id": two, "reason": "mesma pessoa"}
    for wrong, status, code in (
        ({"merged_id": one}, 409, "merge-into-itself"),
        ({"merged_id": str(new_id())}, 404, "contact-not-found"),
    ):
        refused = await owner.post(f"{customers}/{one}/merges", json=wrong)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert (await outsider.post(f"{customers}/{one}/merges", json=body)).status_code == 404
    assert (await owner.get(f"{customers}/{one}")).json() == views[0]

    header = key()
    for _ in range(2):
        answer = await owner.post(f"{customers}/{one}/merges", json=body, headers=header)
        assert answer.status_code == 201, answer.text
    both = answer.json()
    assert both["orders"]["count"] == 2
    assert both["orders"]["total_cents"] == sum(v["orders"]["total_cents"] for v in views)
    assert [(f["name"], f["quantity"]) for f in both["orders"]["favourites"]] == [
        ("Pizza", 2), ("Cola", 1),
    ]  # fmt: skip
    assert len(both["addresses"]) == 2
    gone = await owner.get(f"{customers}/{two}")
    assert (gone.status_code, gone.json()["code"], gone.json()["id"]) == (
        410,
        "contact-merged",
        one,
    )
    listed = (await owner.get(customers, params={"query": "98765-0002"})).json()["items"]
    assert [c["id"] for c in listed] == [one]
    assert [n["text"] for n in (await owner.get(f"{BASE}/{one}/notes")).json()["items"]] == ["VIP"]
    params = {"channel": "whatsapp", "category": "utility"}
    for id in (one, two):
        said = (await owner.get(f"{BASE}/{id}/may-send", params=params)).json()
        assert said == {"is_allowed": False, "reason": "opted-out"}
    assert await order("11 98765-0002", cola) == one, "the merged number orders for who stays"

    (merge,) = (await owner.get(f"{BASE}/{one}/merges")).json()
    path = f"{customers}/{one}/merges/{merge['id']}/undo"
    stays = (await owner.post(path)).json()
    assert (stays["orders"]["count"], len(stays["addresses"])) == (1, 1)
    assert stays["last_order_at"] == views[0]["last_order_at"]
    parted = (await owner.get(f"{customers}/{two}")).json()
    assert parted["orders"]["count"] == 2, "what came through it since is its own"
    again = await owner.post(path)
    assert (again.status_code, again.json()["code"]) == (409, "merge-undone")
    other = await owner.post(f"{BASE}/{two}/merges/{merge['id']}/undo")
    assert (other.status_code, other.json()["code"]) == (404, "merge-not-found")


async def test_a_block_of_either_holds_for_both_and_ends_with_the_merge(
    owner: httpx.AsyncClient, world: World
) -> None:
    shop = await make_shop(world)
    pizza = await shop.product()
    made = []
    for n in (1, 2):
        body = {"name": "Mia", "phone": f"(11) 98765-000{n}"}
        made.append((await owner.post(BASE, json=body)).json()["id"])
    await owner.patch(f"{BASE}/{made[1]}", json={"is_blocked": True})

    async def order(n: int) -> int:
        cart = shop.cart(pizza, customer={"name": "Mia", "phone": f"(11) 98765-000{n}"})
        return (await owner.post("/api/v1/checkout", json=cart, headers=key())).status_code

    assert (await order(1), await order(2)) == (201, 403)
    merge = (await owner.post(f"{BASE}/{made[0]}/merges", json={"merged_id": made[1]})).json()
    assert (await order(1), await order(2)) == (403, 403)
    await owner.patch(f"{BASE}/{made[0]}", json={"is_blocked": False})
    assert (await order(1), await order(2)) == (201, 201)
    undo = f"{BASE}/{made[0]}/merges/{merge['id']}/undo"
    assert (await owner.post(undo)).status_code == 200
    assert (await order(1), await order(2)) == (201, 403)


async def test_crosswise_merges_and_orders_at_once_end_in_one_person(
    owner: httpx.AsyncClient, world: World
) -> None:
    shop = await make_shop(world)
    pizza = await shop.product()
    made = []
    for n in (1, 2):
        body = {"name": "Mia", "phone": f"(11) 98765-000{n}"}
        made.append((await owner.post(BASE, json=body)).json()["id"])

    async def order(n: int) -> int:
        cart = shop.cart(pizza, customer={"name": "Mia", "phone": f"(11) 98765-000{n}"})
        return (await owner.post("/api/v1/checkout", json=cart, headers=key())).status_code

    async def merge(stays: str, goes: str) -> int:
        return (await owner.post(f"{BASE}/{stays}/merges", json={"merged_id": goes})).status_code

    answers = await asyncio.gather(
        merge(made[0], made[1]), merge(made[1], made[0]), *(order(1 + n % 2) for n in range(12))
    )
    assert sorted(answers[:2]) in ([201, 409], [201, 410]), "one of two crosswise merges loses"
    orders = answers[2:].count(201)
    for _ in range(10):
        if await order(1) == await order(2) == 201:
            break
    async with world.work() as work:
        holders = list(await work.session.scalars(select(Order.contact_id)))
        roots = select(Contact.id).where(Contact.merged_into_id.is_(None))
        (root,) = await work.session.scalars(roots)
    assert set(holders) == {root}
    assert len(holders) >= orders + 2


async def test_duplicates_are_reported(owner: httpx.AsyncClient, world: World) -> None:
    async with world.work() as work:
        work.session.add_all(
            Contact(name=n, phone=p, email=e)
            for n, p, e in (
                ("Novo", "+5511987654321", "m@x.com"), ("Velho", "+551187654321", None),
                ("Outro", "+5521987654321", "M@x.com"), ("Fixo", "+551132654321", ""),
                ("Fixo com nove", "+5511932654321", ""), ("Sem", None, None), ("Nada", None, None),
            )
        )  # fmt: skip
    for path in (f"{BASE}/duplicates", "/api/v1/admin/customers/duplicates"):
        found = (await owner.get(path)).json()
        assert [
            (d["reason"], d["value"], {c["name"] for c in d["contacts"]}) for d in found
        ] == [
            ("phone", "+5511987654321", {"Novo", "Velho"}),
            ("email", "m@x.com", {"Novo", "Outro"}),
        ]  # fmt: skip


async def test_orders_of_several_tenants_written_together_all_follow(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, stranger: World
) -> None:
    carts, roots = {}, {}
    for client, each in ((owner, world), (outsider, stranger)):
        shop = await make_shop(each)
        body = {"name": "Mia", "phone": "(11) 98765-0001"}
        roots[client] = (await client.post(BASE, json=body)).json()["id"]
        second = {"kind": "phone", "value": "(11) 98765-0002"}
        path = f"{BASE}/{roots[client]}/identities"
        assert (await client.post(path, json=second)).status_code == 201
        customer = {"name": "Mia", "phone": "(11) 98765-0002"}
        carts[client] = shop.cart(await shop.product(), customer=customer)
    answers = await asyncio.gather(
        *(
            client.post("/api/v1/checkout", json=carts[client], headers=key())
            for _ in range(8)
            for client in carts
        )
    )
    assert {a.status_code for a in answers} == {201}
    for client, root in roots.items():
        orders = (await client.get("/api/v1/admin/orders")).json()["items"]
        assert len(orders) == 8
        customer = (await client.get(f"/api/v1/admin/customers/{root}")).json()
        assert customer["orders"]["count"] == 8
