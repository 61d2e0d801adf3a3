"""The counter: board in a fixed number of statements, notes, timeline, paper, export."""

from __future__ import annotations

import csv
import io
from typing import Any

import httpx
import pytest
from sqlalchemy import event, select, update

from app.commerce.orders.models import Order
from app.core.clock import now
from app.kernel.work import Runtime
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

ADMIN = "/api/v1/admin/orders"


@pytest.fixture
async def shop(world: World) -> Shop:
    return await make_shop(world)


async def place(client: httpx.AsyncClient, shop: Shop, **fields: Any) -> dict[str, Any]:
    product = shop.products[0] if shop.products else await shop.product()
    cart = shop.delivery(product, **fields)
    answer = await client.post("/api/v1/checkout", json=cart, headers=key())
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def move(client: httpx.AsyncClient, order_id: str, to: str) -> None:
    answer = await client.post(f"{ADMIN}/{order_id}/transitions", json={"to": to})
    assert answer.status_code == 200, answer.text


async def test_the_board_counts_and_shows_the_newest(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, world: World, shop: Shop
) -> None:
    other = await make_shop(world, slug="outra")
    placed = [await place(shopper, shop) for _ in range(5)]
    beyond = await place(shopper, other)
    await move(owner, placed[0]["id"], "confirmed")
    for to in ("confirmed", "preparing", "ready", "out_for_delivery", "delivered"):
        await move(owner, placed[1]["id"], to)
    async with world.work() as work:
        await work.session.execute(
            update(Order).where(Order.id == placed[2]["id"]).values(promised_at=Order.placed_at)
        )
    board = (await owner.get(f"{ADMIN}/board", params={"each": 2})).json()["columns"]
    shown = {
        (c["store_id"], c["status"]): (c["count"], c["late"], [o["number"] for o in c["newest"]])
        for c in board
    }
    assert shown == {
        (str(shop.store_id), "pending"): (3, 1, [5, 4]),
        (str(shop.store_id), "confirmed"): (1, 0, [1]),
        (str(other.store_id), "pending"): (1, 0, [beyond["number"]]),
    }
    one = await owner.get(f"{ADMIN}/board", params={"store_id": str(other.store_id)})
    assert [c["count"] for c in one.json()["columns"]] == [1]


async def test_board_and_list_cost_the_same_statements_whatever_there_is(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, runtime: Runtime, shop: Shop
) -> None:
    costs = []
    for _ in range(2):
        for _ in range(4):
            await place(shopper, shop)
        for path in ("/board", "", "?payment_method=pix&city=S%C3%A3o%20Paulo&late=false"):
            seen: list[str] = []

            def note(*args: Any, seen: list[str] = seen) -> None:
                seen.append(args[2])

            engine = runtime.database.tenant_engine.sync_engine
            event.listen(engine, "before_cursor_execute", note)
            answer = await owner.get(f"{ADMIN}{path}")
            event.remove(engine, "before_cursor_execute", note)
            assert answer.status_code == 200, answer.text
            costs.append(len([s for s in seen if s.lstrip().startswith("SELECT")]))
    assert costs[:3] == costs[3:]
    assert max(costs) <= 3


async def test_time_in_status_and_lateness(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, world: World, shop: Shop
) -> None:
    placed = await place(shopper, shop)
    before = (await owner.get(f"{ADMIN}/{placed['id']}")).json()
    assert before["status_since"] == before["placed_at"]
    assert before["is_late"] is False
    at = now()
    for to in ("confirmed", "preparing", "ready"):
        await move(owner, placed["id"], to)
    found = (await owner.get(f"{ADMIN}/{placed['id']}")).json()
    instants = [found[n] for n in ("confirmed_at", "preparing_at", "ready_at")]
    assert instants == sorted(instants)
    assert found["status_since"] == found["ready_at"] >= at.isoformat()[:19]
    assert found["dispatched_at"] is found["closed_at"] is None
    async with world.work() as work:
        await work.session.execute(update(Order).values(promised_at=Order.placed_at))
    for to in ("out_for_delivery", "delivered"):
        await move(owner, placed["id"], to)
    late = (await owner.get(f"{ADMIN}/{placed['id']}")).json()
    assert late["is_late"] is True, "it came later than promised"
    listed = await owner.get(ADMIN, params={"late": True})
    assert listed.json()["items"] == [], "late is for whoever can still hurry"


async def test_timeline_tells_status_edit_payment_note_in_order(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, outsider: httpx.AsyncClient, shop: Shop
) -> None:
    placed = await place(shopper, shop)
    url = f"{ADMIN}/{placed['id']}"
    note = await owner.post(f"{url}/notes", json={"body": "ligar antes"}, headers=key())
    assert note.status_code == 201, note.text
    await owner.patch(url, json={"note": "portaria 2", "reason": "cliente ligou"})
    await move(owner, placed["id"], "confirmed")
    moments = (await owner.get(f"{url}/timeline")).json()["moments"]
    assert [m["at"] for m in moments] == sorted(m["at"] for m in moments)
    assert {m["kind"] for m in moments[:2]} == {"status", "payment"}
    assert [(m["kind"], m["text"]) for m in moments[2:]] == [
        ("note", "ligar antes"),
        ("edit", "Pedido alterado: de R$ 56,90 para R$ 56,90 (cliente ligou)"),
        ("status", "Pedido confirmado"),
    ]
    tracked = (await shopper.get(placed["tracking_path"])).text
    assert "ligar antes" not in tracked, "notes are internal"
    for method, path in (
        ("GET", f"{url}/timeline"),
        ("GET", f"{url}/print"),
        ("GET", f"{url}/ticket"),
        ("DELETE", f"{url}/notes/{note.json()['id']}"),
    ):
        assert (await outsider.request(method, path)).status_code == 404, path
    theirs = await outsider.post(f"{url}/notes", json={"body": "x"}, headers=key())
    assert (theirs.status_code, theirs.json()["code"]) == (404, "order-not-found")
    gone = await owner.delete(f"{url}/notes/{note.json()['id']}")
    assert gone.status_code == 204
    assert (await owner.get(url)).json()["notes"] == []


async def test_paper(shopper: httpx.AsyncClient, owner: httpx.AsyncClient, shop: Shop) -> None:
    placed = await place(shopper, shop, note="<b>interfone</b> 42")
    page = await owner.get(f"{ADMIN}/{placed['id']}/print", params={"width": 32})
    assert page.headers["content-type"].startswith("text/html")
    assert "script" not in page.headers["content-security-policy"]
    assert "80mm" in page.text
    assert "&lt;b&gt;interfone&lt;/b&gt; 42" in page.text
    slip = await owner.get(f"{ADMIN}/{placed['id']}/ticket", params={"code_page": "cp850"})
    assert slip.content.startswith(b"\x1b@\x1bt\x02")
    assert "São Paulo".encode("cp850") in slip.content
    wrong = await owner.get(f"{ADMIN}/{placed['id']}/ticket", params={"width": 40})
    assert wrong.status_code == 422


async def test_export_holds_every_order_of_the_filter(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, world: World, shop: Shop
) -> None:
    placed = [await place(shopper, shop, note="=1+1") for _ in range(3)]
    await move(owner, placed[0]["id"], "confirmed")
    answer = await owner.get(f"{ADMIN}/export", params={"status": "pending"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["number"] for row in rows] == ["3", "2"]
    assert rows[0]["note"] == "'=1+1", "a spreadsheet runs nothing that a customer typed"
    assert (rows[0]["city"], rows[0]["payment_methods"]) == ("São Paulo", "pix")
    trail = await owner.get("/api/v1/admin/audit", params={"action": "commerce.orders_exported"})
    assert trail.json()["items"][0]["facts"]["filters"] == ["sort", "status"]
    async with world.work() as work:
        assert len((await work.session.scalars(select(Order.id))).all()) == 3
