"""The ledger under concurrency: nothing lost, nothing below zero, nothing given back twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from app.commerce.inventory.models import StockLevel, StockMovement
from app.commerce.inventory.repository import InventoryRepository
from app.commerce.orders.models import Order
from app.kernel.contacts.models import Contact
from tests.commerce.inventory.stocked import BASE, Stock, facts, ledger
from tests.factories.commerce import Shop, make_shop
from tests.factories.tenants import World


async def test_fifty_parallel_receipts_lose_nothing(stock: Stock, world: World) -> None:
    answers = await asyncio.gather(*(stock.post("receipts", quantity=1) for _ in range(50)))
    assert Counter(a.status_code for a in answers) == {201: 50}
    levels, sums, lines = await ledger(world)
    assert list(levels.values()) == [50]
    assert (levels, lines) == (sums, 50)


async def test_parallel_losses_never_go_below_zero(stock: Stock, world: World) -> None:
    await stock.receive(10)
    answers = await asyncio.gather(
        *(stock.post("losses", quantity=1, reason="quebrou") for _ in range(30))
    )
    assert Counter(a.status_code for a in answers) == {201: 10, 409: 20}
    assert await stock.on_hand() == 0
    levels, sums, _ = await ledger(world)
    assert levels == sums
    sold_out = await facts(world, "commerce.catalog_changed")
    assert [f["kind"] for f in sold_out] == ["stock"], "told once, by the one that took the last"


async def test_parallel_counts_agree_on_what_was_counted(stock: Stock, world: World) -> None:
    await stock.receive(3)
    answers = await asyncio.gather(
        *(stock.post("adjustments", counted=5, reason="contagem") for _ in range(20))
    )
    assert {(a.status_code, a.json()["on_hand"]) for a in answers} == {(201, 5)}
    levels, sums, lines = await ledger(world)
    assert (levels, lines) == (sums, 2), "the first count found the difference, the others none"


async def test_opposite_transfers_never_wait_for_each_other(stock: Stock, world: World) -> None:
    other = await make_shop(world, slug="outra")
    here, there = str(stock.shop.store_id), str(other.store_id)
    await stock.receive(20)
    await stock.receive(20, store_id=there)
    bodies = [
        {
            "from_store_id": one,
            "to_store_id": two,
            "item_kind": "product",
            "item_id": str(stock.item),
            "quantity": 1,
        }
        for one, two in [(here, there), (there, here)] * 15
    ]
    answers = await asyncio.gather(
        *(stock.client.post(f"{BASE}/transfers", json=body) for body in bodies)
    )
    assert Counter(a.status_code for a in answers) == {201: 30}
    levels, sums, _ = await ledger(world)
    assert levels == sums
    assert list(levels.values()) == [20, 20]


@dataclass(slots=True)
class Storm:
    """Random changes of random items in two stores, from a fixed seed."""

    client: httpx.AsyncClient
    items: list[tuple[str, UUID]]
    stores: list[UUID]
    dice: random.Random = field(default_factory=lambda: random.Random(20261122))

    def step(self) -> tuple[str, dict[str, Any]]:
        kind, item = self.dice.choice(self.items)
        one, two = (str(s) for s in self.dice.sample(self.stores, 2))
        some = self.dice.randint(1, 6)
        named = {"item_kind": kind, "item_id": str(item)}
        here = {**named, "store_id": one}
        moved = {**named, "from_store_id": one, "to_store_id": two, "quantity": some}
        return self.dice.choice(
            [
                ("receipts", {**here, "quantity": some}),
                ("losses", {**here, "quantity": some, "reason": "quebrou"}),
                ("adjustments", {**here, "counted": some, "reason": "contagem"}),
                ("adjustments", {**here, "delta": -some, "reason": "engano"}),
                ("transfers", moved),
            ]
        )

    async def act(self) -> str:
        path, body = self.step()
        answer = await self.client.post(f"{BASE}/{path}", json=body)
        return "done" if answer.status_code == 201 else str(answer.json()["code"])

    async def forget(self) -> str:
        """Stop tracking one level amid the changes; a rival may have been faster."""
        levels = (await self.client.get(f"{BASE}/levels")).json()["items"]
        if not levels:
            return "forgotten"
        gone = await self.client.delete(f"{BASE}/levels/{self.dice.choice(levels)['id']}")
        return "forgotten" if gone.status_code in (204, 404) else str(gone.json()["code"])


async def test_after_a_random_storm_every_level_is_the_sum_of_its_movements(
    stock: Stock, world: World
) -> None:
    other = await make_shop(world, slug="outra")
    size = await stock.shop.variant(stock.item, "2 litros", 1200)
    cheese = (await stock.shop.group(stock.item, {"Queijo": 300}))["Queijo"]
    storm = Storm(
        stock.client,
        [("product", stock.item), ("variant", size), ("modifier", cheese)],
        [stock.shop.store_id, other.store_id],
    )
    outcomes: Counter[str] = Counter()
    for _ in range(6):
        outcomes.update(await asyncio.gather(*(storm.act() for _ in range(30)), storm.forget()))
    refusals = {"insufficient-stock", "stock-not-tracked"}
    assert set(outcomes) == {"done", "forgotten", *refusals}, outcomes
    assert outcomes["done"] > 50
    levels, sums, _ = await ledger(world)
    assert min(levels.values()) >= 0
    # Without movements the sum is 0; without a level, what was closed must sum to 0.
    for place in levels.keys() | sums.keys():
        assert levels.get(place, 0) == sums.get(place, 0), place


async def sold(shop: Shop, lines: dict[UUID, int]) -> UUID:
    """An order with the sale movements a checkout writes."""
    async with shop.world.work() as work:
        contact = Contact(name="Maria", phone="+5511987654321")
        work.session.add(contact)
        await work.session.flush()
        order = Order(
            number=1,
            store_id=shop.store_id,
            contact_id=contact.id,
            customer_name="Maria",
            fulfilment="pickup",
            subtotal_cents=0,
            total_cents=0,
        )
        work.session.add(order)
        await work.session.flush()
        for item, quantity in lines.items():
            level = (
                await work.session.scalars(select(StockLevel).where(StockLevel.item_id == item))
            ).one()
            level.on_hand -= quantity
            work.session.add(
                StockMovement(
                    store_id=shop.store_id,
                    item_kind="product",
                    item_id=item,
                    kind="sale",
                    quantity=-quantity,
                    order_id=order.id,
                )
            )
        return order.id


async def test_a_cancelled_order_gives_back_exactly_once(stock: Stock, world: World) -> None:
    second = await stock.shop.product("Água", 300)
    third = await stock.shop.product("Suco", 900)
    await stock.receive(5)
    await stock.receive(2, item_id=second)
    level = await stock.receive(4, item_id=third)
    order = await sold(stock.shop, {stock.item: 3, second: 2, third: 1})
    await stock.client.delete(f"{BASE}/levels/{level['id']}")

    async def cancel() -> bool:
        async with world.work() as work:
            return await InventoryRepository(work.session).give_back(order, "Ana")

    outcomes = await asyncio.gather(*(cancel() for _ in range(5)))
    assert sorted(outcomes) == [False] * 4 + [True], "one returns it, and the second item reopened"
    levels, sums, _ = await ledger(world)
    store = stock.shop.store_id
    assert levels == {(store, stock.item): 5, (store, second): 2}
    assert sums == {**levels, (store, third): 0}, "what is no longer tracked stays so"
    answer = await stock.client.get(f"{BASE}/movements", params={"order_id": str(order)})
    kinds = Counter((m["kind"], m["quantity"]) for m in answer.json()["items"])
    assert kinds == {
        ("sale", -3): 1,
        ("sale", -2): 1,
        ("sale", -1): 1,
        ("cancellation", 3): 1,
        ("cancellation", 2): 1,
    }
