"""A pre-order that staff move to another slot takes its place there and leaves its old one."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.commerce.checkout.test_slots import buy, held, slots
from tests.commerce.desk.test_edits import edit
from tests.factories.commerce import Shop, make_shop
from tests.factories.tenants import World


@pytest.fixture
async def shop(world: World) -> Shop:
    shop = await make_shop(world, preorder_enabled=True, preorder_capacity=2)
    await shop.product("Bolo de fubá", 3500, stock=1000)
    return shop


async def ordered(shopper: httpx.AsyncClient, shop: Shop, start: str | None, number: int) -> str:
    answer = await buy(shopper, shop, start, number)
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


async def test_the_place_follows_the_order(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    early, late, *_ = [slot["start"] for slot in await slots(shopper, shop)]
    order = await ordered(shopper, shop, early, 1)
    for asked, counted in (
        (late, [(0, 0), (0, 1)]),
        (late, [(0, 0), (0, 1)]),
        (None, [(0, 0), (0, 0)]),
        (early, [(0, 1), (0, 0)]),
    ):
        moved = await edit(owner, order, {"scheduled_for": asked})
        assert moved.status_code == 200, moved.text
        assert await held(shop) == counted
    path = f"/api/v1/admin/orders/{order}/transitions"
    gone = await owner.post(path, json={"to": "rejected", "reason": "Sem forno"})
    assert gone.status_code == 200
    assert await held(shop) == [(0, 0), (0, 0)]


async def test_a_full_slot_refuses_the_edit_and_nothing_moves(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    early, late, *_ = [slot["start"] for slot in await slots(shopper, shop)]
    moving = await ordered(shopper, shop, early, 1)
    for number in (2, 3):
        await ordered(shopper, shop, late, number)
    own = await ordered(shopper, shop, early, 4)
    for asked in (
        {"scheduled_for": late},
        {"scheduled_for": late, "despite_closed": True, "reason": "cliente pediu"},
    ):
        refused = await edit(owner, moving, asked)
        assert (refused.status_code, refused.json()["reasons"]) == (409, ["slot-full"])
        assert refused.json()["next_available_at"]
    assert await held(shop) == [(0, 2), (0, 2)]
    shown = (await owner.get(f"/api/v1/admin/orders/{moving}")).json()
    assert (shown["scheduled_for"], shown["version"]) == (early, 1)
    # The slot is full of themselves: what they have they may keep.
    for order in (moving, own):
        kept = await edit(owner, order, {"scheduled_for": early, "note": "sem açúcar"})
        assert kept.status_code == 200, kept.text
    assert await held(shop) == [(0, 2), (0, 2)]


async def test_many_edits_and_buyers_at_once_never_overfill_nor_deadlock(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop
) -> None:
    early, late, *_ = [slot["start"] for slot in await slots(shopper, shop)]
    await shop.change_store(preorder_capacity=4)
    places = [early, late, None, early, late, None]
    orders = [await ordered(shopper, shop, start, n) for n, start in enumerate(places)]
    swaps = [
        edit(owner, order, {"scheduled_for": start})
        for start in (late, early, None, early)
        for order in orders
    ]
    buyers = [buy(shopper, shop, start, 50 + n) for n, start in enumerate((early, late) * 4)]
    answers = await asyncio.gather(*swaps, *buyers)
    assert {a.status_code for a in answers} <= {200, 201, 409}, [a.text for a in answers]
    assert not any("deadlock" in a.text for a in answers)
    await shop.change_store(preorder_capacity=None)
    counted = await held(shop)
    assert len(counted) == 2
    assert all(delivery + pickup <= 4 for delivery, pickup in counted)
    asked = [(await owner.get(f"/api/v1/admin/orders/{o}")).json()["scheduled_for"] for o in orders]
    bought = [a.json()["scheduled_for"] for a in answers[len(swaps) :] if a.status_code == 201]
    for slot, (delivery, pickup) in zip((early, late), counted, strict=True):
        assert delivery + pickup == (asked + bought).count(slot)
