"""Stock through HTTP: every way it changes, every refusal, and that the ledger never drifts."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.core.ids import new_id
from app.kernel.work import Runtime
from tests.commerce.inventory.stocked import BASE, Stock, facts, ledger
from tests.factories.commerce import key, make_shop
from tests.factories.tenants import World


async def test_receipt_begins_tracking_and_writes_the_ledger(stock: Stock, world: World) -> None:
    level = await stock.receive(24, reason="Nota 1532")
    assert (level["on_hand"], level["item_name"]) == (24, "Guaraná Açaí 350 ml")
    assert level["store_name"] == "Loja Centro"
    assert (await stock.receive(6))["on_hand"] == 30

    answer = await stock.client.get(f"{BASE}/movements", params={"item_id": str(stock.item)})
    newest, oldest = answer.json()["items"]
    assert answer.json()["next_cursor"] is None
    assert {m["quantity"] for m in (newest, oldest)} == {6, 24}
    first = next(m for m in (newest, oldest) if m["quantity"] == 24)
    assert (first["kind"], first["reason"]) == ("receipt", "Nota 1532")
    assert first["actor_name"] == world.owner.email
    assert [f["quantity"] for f in await facts(world, "commerce.stock_receipt")] == [24, 6]


async def test_a_retried_receipt_counts_once(stock: Stock) -> None:
    header = key()
    answers = [
        await stock.client.post(f"{BASE}/receipts", json=stock.body(quantity=5), headers=header)
        for _ in range(2)
    ]
    assert [a.status_code for a in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert await stock.on_hand() == 5


async def test_levels_are_filtered_and_paged(stock: Stock) -> None:
    size = await stock.shop.variant(stock.item, "2 litros", 1200)
    cheese = (await stock.shop.group(stock.item, {"Queijo": 300}))["Queijo"]
    await stock.receive(10)
    await stock.receive(2, item_kind="variant", item_id=size)
    await stock.receive(9, item_kind="modifier", item_id=cheese)

    async def listed(**params: Any) -> list[dict[str, Any]]:
        answer = await stock.client.get(f"{BASE}/levels", params=params)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    assert [r["item_name"] for r in await listed(query=" ACAI 350 ml - 2 L")] == [
        "Guaraná Açaí 350 ml - 2 litros"
    ]
    assert len(await listed(query="guarana")) == 2
    assert await listed(query="100%") == [], "a wildcard is a plain character"
    assert await listed(store_id=new_id()) == []
    assert await listed(low=True) == []
    two = next(r for r in await listed() if r["item_kind"] == "variant")
    done = await stock.client.patch(f"{BASE}/levels/{two['id']}", json={"low_at": 2})
    assert (done.json()["low_at"], done.json()["is_low"]) == (2, True)
    assert [r["id"] for r in await listed(low=True)] == [two["id"]]
    cleared = await stock.client.patch(f"{BASE}/levels/{two['id']}", json={"low_at": None})
    assert cleared.json()["low_at"] is None

    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        params = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = (await stock.client.get(f"{BASE}/levels", params=params)).json()
        seen += [r["id"] for r in page["items"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert seen == [r["id"] for r in await listed()]


async def test_counting_and_correcting(stock: Stock, world: World) -> None:
    untracked = await stock.post("adjustments", delta=3, reason="engano")
    assert (untracked.status_code, untracked.json()["code"]) == (409, "stock-not-tracked")
    assert await stock.on_hand() is None

    begun = await stock.post("adjustments", counted=0, reason="acabou")
    assert (begun.status_code, begun.json()["on_hand"]) == (201, 0)
    assert len(await facts(world, "commerce.catalog_changed")) == 1, "it ran out by being counted"
    assert (await stock.post("adjustments", counted=17, reason="contagem")).json()["on_hand"] == 17
    assert (await stock.post("adjustments", counted=17, reason="de novo")).json()["on_hand"] == 17
    assert (await stock.post("adjustments", delta=-2, reason="engano")).json()["on_hand"] == 15

    levels, sums, lines = await ledger(world)
    assert levels == sums
    assert lines == 2, "what changes nothing leaves no line"


@pytest.mark.parametrize(
    "fields",
    [
        {"counted": 1, "delta": 1, "reason": "os dois"},
        {"reason": "nenhum"},
        {"delta": 0, "reason": "nada"},
        {"counted": -1, "reason": "menos"},
        {"counted": 1},
    ],
)
async def test_contradictory_adjustments_are_refused(stock: Stock, fields: dict[str, Any]) -> None:
    await stock.receive(4)
    answer = await stock.post("adjustments", **fields)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert await stock.on_hand() == 4


async def test_more_than_there_is_is_refused_and_changes_nothing(
    stock: Stock, world: World
) -> None:
    other = await make_shop(world, slug="outra")
    await stock.receive(3)
    before = await ledger(world)
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("losses", stock.body(quantity=4, reason="vencido")),
        ("adjustments", stock.body(delta=-4, reason="engano")),
        (
            "transfers",
            {
                "from_store_id": str(stock.shop.store_id),
                "to_store_id": str(other.store_id),
                "item_kind": "product",
                "item_id": str(stock.item),
                "quantity": 4,
            },
        ),
    ]
    for path, body in bodies:
        answer = await stock.client.post(f"{BASE}/{path}", json=body)
        assert answer.status_code == 409, path
        assert answer.json()["code"] == "insufficient-stock"
        assert (answer.json()["on_hand"], answer.json()["asked"]) == (3, 4)
    assert await ledger(world) == before


async def test_transfer_moves_and_refuses_the_same_store(stock: Stock, world: World) -> None:
    other = await make_shop(world, slug="outra")
    await stock.receive(10)

    async def transfer(to: UUID) -> httpx.Response:
        body = stock.body(from_store_id=stock.shop.store_id, to_store_id=to, quantity=4)
        del body["store_id"]
        return await stock.client.post(f"{BASE}/transfers", json=body)

    done = await transfer(other.store_id)
    assert done.status_code == 201, done.text
    assert done.json()["source"]["on_hand"] == 6
    assert done.json()["destination"]["on_hand"] == 4
    same = await transfer(stock.shop.store_id)
    assert (same.status_code, same.json()["code"]) == (422, "transfer-same-store")
    nowhere = await transfer(new_id())
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "store-not-found")
    levels, sums, _ = await ledger(world)
    assert levels == sums
    assert sorted(levels.values()) == [4, 6]


async def test_crossing_zero_tells_the_catalogue_and_rings(
    stock: Stock, world: World, runtime: Runtime
) -> None:
    heard: list[str] = []

    def listener(ring_key: str) -> None:
        if ring_key == str(world.tenant.id):
            heard.append(ring_key)

    async def rings(change: Coroutine[Any, Any, Any]) -> bool:
        heard.clear()
        await change
        # Past the echo through Redis, so that it cannot count for the next change.
        await asyncio.sleep(0.1)
        return bool(heard)

    runtime.bus.listen("catalog", listener)
    try:
        assert not await rings(stock.receive(2))
        assert not await rings(stock.post("losses", quantity=1, reason="quebrou"))
        assert await rings(stock.post("losses", quantity=1, reason="quebrou")), "sold out"
        assert await rings(stock.receive(5)), "back again"
    finally:
        runtime.bus.unlisten("catalog", listener)
    told = await facts(world, "commerce.catalog_changed")
    assert [(f["kind"], f["item_id"]) for f in told] == [("stock", str(stock.item))] * 2


async def test_low_stock_is_told_once_per_fall(stock: Stock, world: World) -> None:
    level = await stock.receive(10)
    await stock.client.patch(f"{BASE}/levels/{level['id']}", json={"low_at": 5})
    for quantity in (4, 1, 1):
        await stock.post("losses", quantity=quantity, reason="consumo")
    told = await facts(world, "commerce.stock_low")
    assert [(f["on_hand"], f["low_at"]) for f in told] == [(5, 5)]
    await stock.receive(10)
    await stock.post("adjustments", counted=1, reason="contagem")
    assert [f["on_hand"] for f in await facts(world, "commerce.stock_low")] == [5, 1]


async def test_stop_tracking_closes_the_ledger_at_zero(stock: Stock, world: World) -> None:
    level = await stock.receive(7)
    gone = await stock.client.delete(f"{BASE}/levels/{level['id']}")
    assert gone.status_code == 204
    levels, sums, lines = await ledger(world)
    assert (levels, list(sums.values()), lines) == ({}, [0], 2)
    again = await stock.client.delete(f"{BASE}/levels/{level['id']}")
    assert (again.status_code, again.json()["code"]) == (404, "stock-level-not-found")
    assert await facts(world, "commerce.catalog_changed") == [], "it was and stays available"

    await stock.post("adjustments", counted=0, reason="acabou")
    empty = (await stock.client.get(f"{BASE}/levels")).json()["items"][0]
    await stock.client.delete(f"{BASE}/levels/{empty['id']}")
    assert len(await facts(world, "commerce.catalog_changed")) == 2, "gone, then available again"


async def test_unknown_things_are_404(stock: Stock, world: World) -> None:
    for fields, code in (
        ({"item_id": new_id()}, "item-not-found"),
        ({"item_kind": "variant"}, "item-not-found"),
        ({"item_kind": "modifier"}, "item-not-found"),
        ({"store_id": new_id()}, "store-not-found"),
    ):
        for path, more in (
            ("receipts", {}),
            ("losses", {"reason": "xx"}),
        ):
            answer = await stock.post(path, quantity=1, **fields, **more)
            assert (answer.status_code, answer.json()["code"]) == (404, code)
        answer = await stock.post("adjustments", counted=1, reason="xx", **fields)
        assert (answer.status_code, answer.json()["code"]) == (404, code)
    missing = await stock.client.patch(f"{BASE}/levels/{new_id()}", json={"low_at": 1})
    assert (missing.status_code, missing.json()["code"]) == (404, "stock-level-not-found")
    assert await ledger(world) == ({}, {}, 0)


async def test_another_tenant_sees_and_changes_nothing(
    stock: Stock, world: World, outsider: httpx.AsyncClient, stranger: World
) -> None:
    level = await stock.receive(8)
    before = await ledger(world)
    theirs = await make_shop(stranger)
    assert (await outsider.get(f"{BASE}/levels")).json()["items"] == []
    assert (await outsider.get(f"{BASE}/movements")).json()["items"] == []
    path = f"{BASE}/levels/{level['id']}"
    assert (await outsider.patch(path, json={"low_at": 1})).status_code == 404
    assert (await outsider.delete(path)).status_code == 404
    for body in (stock.body(quantity=1), stock.body(quantity=1, store_id=theirs.store_id)):
        answer = await outsider.post(f"{BASE}/receipts", json=body)
        assert answer.status_code == 404
    assert await ledger(world) == before
    assert await ledger(stranger) == ({}, {}, 0)


async def test_grants(stock: Stock, world: World, shopper: httpx.AsyncClient) -> None:
    level = await stock.receive(8)
    viewer, agent = await world.member("viewer"), await world.member("agent")
    calls: list[tuple[str, str, dict[str, Any] | None]] = [
        ("POST", "receipts", stock.body(quantity=1)),
        ("POST", "losses", stock.body(quantity=1, reason="xx")),
        ("POST", "adjustments", stock.body(counted=1, reason="xx")),
        ("POST", "transfers", {}),
        ("PATCH", f"levels/{level['id']}", {"low_at": 1}),
        ("DELETE", f"levels/{level['id']}", None),
    ]
    seeing = {"Authorization": f"Bearer {viewer.token}"}
    assert (await shopper.get(f"{BASE}/levels", headers=seeing)).status_code == 200
    assert (await shopper.get(f"{BASE}/movements", headers=seeing)).status_code == 200
    for method, path, body in calls:
        answer = await shopper.request(method, f"{BASE}/{path}", json=body, headers=seeing)
        assert (answer.status_code, answer.json()["code"]) == (403, "action-not-allowed"), path
    for path in ("levels", "movements"):
        blind = {"Authorization": f"Bearer {agent.token}"}
        assert (await shopper.get(f"{BASE}/{path}", headers=blind)).status_code == 403
        assert (await shopper.get(f"{BASE}/{path}")).status_code == 401
    assert await stock.on_hand() == 8
