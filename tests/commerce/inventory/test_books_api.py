"""The books of stock: the ledger with its balance, as a file, and the check that finds drift."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from app.commerce.inventory import jobs
from app.core.clock import now
from app.core.ids import new_id
from app.kernel.jobs.service import JobContext
from app.kernel.work import Runtime
from tests.commerce.inventory.stocked import BASE, Stock, facts
from tests.factories.tenants import World


async def lines(stock: Stock, **asked: Any) -> list[dict[str, Any]]:
    answer = await stock.client.get(f"{BASE}/movements", params=asked)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


@pytest.fixture
async def moved(stock: Stock) -> dict[str, str]:
    """In 10, out 3, counted 9: what a list of exactly this item is asked with."""
    await stock.receive(10, reason="Nota 1532")
    await stock.post("losses", quantity=3, reason="Vencido")
    await stock.post("adjustments", counted=9, reason="Contagem")
    return {"item_id": str(stock.item), "store_id": str(stock.shop.store_id)}


async def test_each_line_says_what_was_on_hand_after_it(
    stock: Stock, moved: dict[str, str]
) -> None:
    found = await lines(stock, **moved)
    assert [(line["quantity"], line["balance"]) for line in found] == [(2, 9), (-3, 7), (10, 10)]
    of_one_kind = await lines(stock, **moved, kind="loss")
    assert [(line["quantity"], line["balance"]) for line in of_one_kind] == [(-3, 7)]
    page = await stock.client.get(f"{BASE}/movements", params={**moved, "limit": 1})
    rest = await lines(stock, **moved, cursor=page.json()["next_cursor"])
    assert [line["balance"] for line in rest] == [7, 10], "a page goes on where the last ended"
    assert {line["balance"] for line in await lines(stock, item_id=stock.item)} == {None}


async def test_the_ledger_of_a_span_of_time(stock: Stock, moved: dict[str, str]) -> None:
    soon, long_ago = now() + timedelta(minutes=1), now() - timedelta(days=1)
    assert len(await lines(stock, **moved, since=long_ago.isoformat())) == 3
    assert await lines(stock, **moved, until=long_ago.isoformat()) == []
    assert await lines(stock, **moved, since=soon.isoformat()) == []


async def test_the_ledger_as_a_file(stock: Stock, world: World, moved: dict[str, str]) -> None:
    answer = await stock.client.get(f"{BASE}/movements/export", params={**moved, "kind": "receipt"})
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["movimento"], row["quantidade"], row["saldo"]) == ("receipt", "10", "10")
    assert (row["loja"], row["item"], row["motivo"]) == (
        "Loja Centro", "Guaraná Açaí 350 ml", "Nota 1532",
    )  # fmt: skip
    told = await facts(world, "commerce.stock_ledger_exported")
    assert [fact["filters"] for fact in told] == [["item_id", "kind", "store_id"]]


async def drift(client: httpx.AsyncClient) -> list[tuple[Any, ...]]:
    answer = await client.get(f"{BASE}/drift")
    assert answer.status_code == 200, answer.text
    return [
        (i["item_id"], i["on_hand"], i["ledger"], i["difference"]) for i in answer.json()["items"]
    ]


async def run_check(world: World) -> None:
    run = {"run_id": str(new_id())}
    await jobs.check(JobContext(world.runtime, world.work, world.tenant.id, run, 1))


async def test_exact_books_are_silent(stock: Stock, world: World, moved: dict[str, str]) -> None:
    assert await drift(stock.client) == []
    await run_check(world)
    assert await facts(world, "commerce.stock_drifted") == []


async def test_a_corrupted_level_is_found_told_and_counted(
    stock: Stock,
    world: World,
    runtime: Runtime,
    environment: dict[str, str],
    shopper: httpx.AsyncClient,
    moved: dict[str, str],
) -> None:
    await run_check(world)
    before = runtime.vitals.findings["stock"]
    await corrupt(environment, "UPDATE stock_levels SET on_hand = 14 WHERE item_id = $1", stock)
    assert await drift(stock.client) == [(str(stock.item), 14, 9, 5)]
    await run_check(world)
    (told,) = await facts(world, "commerce.stock_drifted")
    assert told["lines"] == ["Guaraná Açaí 350 ml, Loja Centro: 14 em estoque, 9 pelos movimentos"]
    assert runtime.vitals.findings["stock"] == before + 1
    scraped = (await shopper.get("/metrics")).text
    assert f'largo_invariant_breaches_total{{invariant="stock"}} {before + 1:.1f}' in scraped


async def test_a_lost_line_and_a_lost_level_are_found(
    stock: Stock, environment: dict[str, str], moved: dict[str, str]
) -> None:
    await corrupt(
        environment, "DELETE FROM stock_movements WHERE item_id = $1 AND kind = 'loss'", stock
    )
    assert await drift(stock.client) == [(str(stock.item), 9, 12, -3)]
    await corrupt(environment, "DELETE FROM stock_levels WHERE item_id = $1", stock)
    assert await drift(stock.client) == [(str(stock.item), None, 12, -12)]


async def test_tracking_that_ended_is_no_drift(stock: Stock, moved: dict[str, str]) -> None:
    level = (await stock.client.get(f"{BASE}/levels")).json()["items"][0]["id"]
    assert (await stock.client.delete(f"{BASE}/levels/{level}")).status_code == 204
    assert await drift(stock.client) == []


async def test_another_tenant_sees_no_drift_of_ours(
    stock: Stock, outsider: httpx.AsyncClient, environment: dict[str, str], moved: dict[str, str]
) -> None:
    await corrupt(environment, "UPDATE stock_levels SET on_hand = 1 WHERE item_id = $1", stock)
    assert await drift(outsider) == []


async def corrupt(environment: dict[str, str], statement: str, stock: Stock) -> None:
    """Change a row behind the product's back, as the owner of the tables."""
    connection = await asyncpg.connect(environment["DATABASE_URL"])
    await connection.execute(statement, stock.item)
    await connection.close()
