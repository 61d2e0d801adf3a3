"""The one-statement checkout: the same order as the long way, and never by facts that moved on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.commerce.checkout.prices import PriceBooks, price_books
from app.commerce.checkout.schemas import PlacedRead
from app.core.database import RawConnection
from app.core.ids import new_id
from app.kernel.work import Runtime
from tests.factories.commerce import Shop, make_shop
from tests.factories.tenants import World


@pytest.fixture
async def shop(world: World) -> Shop:
    shop = await make_shop(world)
    await shop.product("Calabresa", 4990, stock=100)
    await shop.product("Guaraná", 700, stock=100)
    await shop.promotion(name="Panfletos", by_codes=True, is_active=False)
    return shop


@pytest.fixture
def books(runtime: Runtime) -> PriceBooks:
    return price_books(runtime)


@pytest.fixture
async def owner_driver(runtime: Runtime) -> Any:
    async with runtime.database.system_driver() as driver:
        yield driver


async def buy(
    shopper: httpx.AsyncClient, body: dict[str, Any], key: str | None = None
) -> httpx.Response:
    headers = {"Idempotency-Key": key or str(new_id())}
    return await shopper.post("/api/v1/checkout", json=body, headers=headers)


async def ordinary(shopper: httpx.AsyncClient, shop: Shop) -> dict[str, Any]:
    """An order that goes at once: the first one of the store taught what it needs."""
    body = shop.delivery(shop.products[0])
    answer = await buy(shopper, body)
    assert answer.status_code == 201, answer.text
    return body


_VOLATILE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\d[T ][\d:.]+(\+00:00|Z)?|\b[0-9a-f]{16}\b"
    r'|"seq":\d+'
)
_WHAT_IS_LEFT = """
SELECT (SELECT json_agg(x) FROM (SELECT * FROM orders WHERE id = :id) x)::text AS orders,
 (SELECT json_agg(x ORDER BY x.position) FROM order_items x WHERE order_id = :id)::text AS items,
 (SELECT json_agg(x) FROM payments x WHERE order_id = :id)::text AS payments,
 (SELECT json_agg(x) FROM deliveries x WHERE order_id = :id)::text AS deliveries,
 (SELECT json_agg(x) FROM order_status_changes x WHERE order_id = :id)::text AS history,
 (SELECT json_agg(x ORDER BY x.item_id) FROM stock_movements x WHERE order_id = :id)::text AS moves,
 (SELECT json_agg(x) FROM promotion_redemptions x WHERE order_id = :id)::text AS uses,
 (SELECT json_agg(x) FROM audit_entries x WHERE resource_id = :id)::text AS audit,
 (SELECT json_agg(x) FROM stream_events x WHERE data->>'order_id' = :text)::text AS stream
"""
_JOBS = """
SELECT entrypoint, convert_from(payload, 'UTF8') AS payload FROM pgqueuer
WHERE position($1 IN convert_from(payload, 'UTF8')) > 0 ORDER BY entrypoint
"""


async def left_by(world: World, driver: RawConnection, placed: dict[str, Any]) -> dict[str, str]:
    """All rows of one order, with ids and instants made alike."""
    async with world.work() as work:
        found = await work.session.execute(
            text(_WHAT_IS_LEFT), {"id": placed["id"], "text": placed["id"]}
        )
        rows = {name: str(value) for name, value in found.mappings().one().items()}
    rows["jobs"] = str([tuple(row) for row in await driver.fetch(_JOBS, placed["id"])])
    number = rf"\b{placed['number']}\b"
    return {name: re.sub(number, "N", _VOLATILE.sub("V", value)) for name, value in rows.items()}


async def test_both_ways_leave_the_same_order(
    world: World, shopper: httpx.AsyncClient, shop: Shop, books: PriceBooks, owner_driver: Any
) -> None:
    await shop.promotion(kind="percent", value=1000)
    async with world.work() as work:  # a number that nothing else in the rows looks like
        await work.session.execute(
            text("INSERT INTO order_counters (id, last_number) VALUES (gen_random_uuid(), 734000)")
        )
    body = shop.delivery(shop.products[0], shop.products[1])
    before = books.at_once
    long = await buy(shopper, body)
    assert (long.status_code, books.at_once) == (201, before), long.text
    quick = await buy(shopper, body)
    assert (quick.status_code, books.at_once) == (201, before + 1), quick.text
    one, other = long.json(), quick.json()
    assert other["number"] == one["number"] + 1
    rows = await left_by(world, owner_driver, one), await left_by(world, owner_driver, other)
    for name in rows[0]:
        assert rows[0][name] == rows[1][name], name
    assert rows[0]["jobs"] != "[]", "there is something to compare"
    assert "None" not in {rows[0][n] for n in ("orders", "items", "moves", "uses", "audit")}
    varying = {"id", "number", "promised_at", "tracking_token", "tracking_path"}
    assert {k: v for k, v in one.items() if k not in varying} == {
        k: v for k, v in other.items() if k not in varying
    }


async def test_the_answer_is_what_the_document_promises(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    await ordinary(shopper, shop)
    for answer in [await buy(shopper, shop.delivery(shop.products[0])) for _ in range(2)]:
        assert PlacedRead.model_validate_json(answer.content).model_dump(mode="json") == (
            answer.json()
        )


async def test_a_twin_of_an_order_at_once_gets_its_answer(
    world: World, shopper: httpx.AsyncClient, shop: Shop, books: PriceBooks
) -> None:
    body, key = await ordinary(shopper, shop), str(new_id())
    before = books.at_once
    answers = await asyncio.gather(*(buy(shopper, body, key) for _ in range(8)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.content for a in answers}) == 1
    assert sum("idempotency-replayed" in a.headers for a in answers) == 7
    assert books.at_once == before + 1
    other = await buy(shopper, body | {"note": "outra"}, key)
    assert other.json()["code"] == "idempotency-key-reused"
    async with world.work() as work:
        assert await work.session.scalar(text("SELECT count(*) FROM orders")) == 2


CHANGES = {
    "stores": "UPDATE stores SET min_order_cents = min_order_cents",
    "categories": "UPDATE categories SET position = position + 1",
    "products": "UPDATE products SET price_cents = price_cents + 100",
    "products, their hours and pauses": "UPDATE products SET windows = '[]', is_paused = false",
    "categories, theirs": "UPDATE categories SET windows = '[]', paused_until = NULL",
    "shipping_rules": "UPDATE shipping_rules SET fee_cents = fee_cents + 1",
    "stock_levels": "DELETE FROM stock_levels",
    "store_products": "INSERT INTO store_products (id, store_id, product_id, price_cents) "
    "SELECT gen_random_uuid(), s.id, p.id, 1 FROM stores s, products p LIMIT 1",
    "promotions": "INSERT INTO promotions (id, name, kind, value) "
    "VALUES (gen_random_uuid(), 'x', 'percent', 100)",
    "promotion_codes": "INSERT INTO promotion_codes (id, promotion_id, batch_id, code) "
    "SELECT gen_random_uuid(), id, gen_random_uuid(), 'FEIRA-C7KM4TQX' FROM promotions "
    "WHERE by_codes",
    "promotions, put away": "UPDATE promotions SET archived_at = now(), is_active = false",
    "variants": "INSERT INTO variants (id, product_id, name, price_cents) "
    "SELECT gen_random_uuid(), id, 'G', 1 FROM products LIMIT 1",
    "modifier_groups": "INSERT INTO modifier_groups (id, name) VALUES (gen_random_uuid(), 'x')",
}


async def version(world: World) -> int:
    async with world.work() as work:
        found = await work.session.scalar(text("SELECT version FROM price_versions"))
        return found or 0


@pytest.mark.parametrize("table", CHANGES)
async def test_what_prices_a_cart_raises_the_version_once(
    world: World, stranger: World, shop: Shop, table: str
) -> None:
    theirs, before = await version(stranger), await version(world)
    async with world.work() as work:
        await work.session.execute(text(CHANGES[table]))
        await work.session.execute(text(CHANGES["stores"]))
    assert await version(world) == before + 1
    assert await version(stranger) == theirs


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE promotions SET used_count = used_count + 1, spent_cents = spent_cents + 5",
        "UPDATE stock_levels SET on_hand = on_hand - 1",
        "UPDATE promotion_codes SET used_count = 1",
    ],
)
async def test_what_orders_move_does_not(world: World, shop: Shop, statement: str) -> None:
    await shop.promotion(kind="percent", value=1000)
    async with world.work() as work:
        await work.session.execute(text(CHANGES["promotion_codes"]))
    before = await version(world)
    async with world.work() as work:
        await work.session.execute(text(statement))
    assert await version(world) == before


async def test_a_change_undone_raises_nothing(world: World, shop: Shop) -> None:
    before = await version(world)

    async def fail() -> None:
        async with world.work() as work:
            await work.session.execute(text(CHANGES["products"]))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await version(world) == before


async def test_every_column_of_a_promotion_counts_but_its_counters(owner_driver: Any) -> None:
    """A column added later must be named in the trigger, or a stale discount would be given; its
    picture alone prices nothing."""
    watched = await owner_driver.fetchval(
        "SELECT array_agg(a.attname ORDER BY a.attname) FROM pg_trigger t "
        "JOIN pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr) "
        "WHERE t.tgname = 'price_version' AND t.tgrelid = 'promotions'::regclass"
    )
    columns = await owner_driver.fetchval(
        "SELECT array_agg(attname ORDER BY attname) FROM pg_attribute "
        "WHERE attrelid = 'promotions'::regclass AND attnum > 0 AND NOT attisdropped"
    )
    assert set(columns) - set(watched) == {
        "tenant_id", "id", "created_at", "used_count", "spent_cents", "image_file_id"
    }  # fmt: skip


async def test_every_table_that_prices_has_its_trigger(owner_driver: Any) -> None:
    found = await owner_driver.fetch(
        "SELECT tgrelid::regclass::text AS name FROM pg_trigger WHERE tgname = 'price_version'"
    )
    assert {row["name"] for row in found} == {table.partition(",")[0] for table in CHANGES} | {
        "modifiers", "product_modifier_groups", "postal_areas"
    }  # fmt: skip


async def test_a_new_price_is_charged_at_once(
    world: World, shopper: httpx.AsyncClient, shop: Shop, books: PriceBooks
) -> None:
    """As if another process had changed it: this one hears of it from the statement alone."""
    body = await ordinary(shopper, shop)
    first = (await buy(shopper, body)).json()
    before = books.at_once
    async with world.work() as work:
        await work.session.execute(text(CHANGES["products"]))
    second = (await buy(shopper, body)).json()
    assert second["subtotal_cents"] == first["subtotal_cents"] + 100
    assert books.at_once == before, "the memory was old: the long way"
    third = (await buy(shopper, body)).json()
    assert third["subtotal_cents"] == second["subtotal_cents"]
    assert books.at_once == before + 1, "and learnt"


async def test_an_item_tracked_from_now_on_cannot_be_oversold(
    world: World, shopper: httpx.AsyncClient, shop: Shop
) -> None:
    loose = await shop.product("Sem estoque", 900)
    body = shop.delivery(loose)
    assert [(await buy(shopper, body)).status_code for _ in range(2)] == [201, 201]
    async with world.work() as work:
        await work.session.execute(
            text(
                "INSERT INTO stock_levels (id, store_id, item_kind, item_id, on_hand) "
                "VALUES (gen_random_uuid(), :store, 'product', :item, 1)"
            ),
            {"store": shop.store_id, "item": loose},
        )
    answers = [await buy(shopper, body) for _ in range(2)]
    assert [a.status_code for a in answers] == [201, 409]
    assert answers[1].json()["code"] == "out-of-stock"


Unusual = Callable[[World, Shop], Awaitable[None]]


async def _block(world: World, shop: Shop) -> None:
    async with world.work() as work:
        await work.session.execute(text("UPDATE contacts SET is_blocked = true"))


async def _sell_out(world: World, shop: Shop) -> None:
    async with world.work() as work:
        await work.session.execute(text("UPDATE stock_levels SET on_hand = 0"))


@pytest.mark.parametrize(
    ("change", "code"), [(_block, "customer-blocked"), (_sell_out, "out-of-stock")]
)
async def test_a_refusal_is_that_of_the_long_way_and_leaves_nothing(
    world: World, shopper: httpx.AsyncClient, shop: Shop, change: Unusual, code: str
) -> None:
    body = await ordinary(shopper, shop)
    await change(world, shop)
    count = text(
        "SELECT (SELECT count(*) FROM orders), (SELECT last_number FROM order_counters), "
        "(SELECT count(*) FROM stock_movements), (SELECT count(*) FROM idempotency_records)"
    )
    async with world.work() as work:
        before = (await work.session.execute(count)).one()
    refused = await buy(shopper, body)
    assert refused.json()["code"] == code
    async with world.work() as work:
        assert (await work.session.execute(count)).one() == before


async def test_the_last_piece_is_told(
    world: World, shopper: httpx.AsyncClient, shop: Shop, books: PriceBooks
) -> None:
    """Selling out changes the menu, so it goes the long way, which tells everybody."""
    item = await shop.product("Última", 1000, stock=2)
    body = shop.delivery(item)
    assert (await buy(shopper, body)).status_code == 201
    before = books.at_once
    assert (await buy(shopper, body)).status_code == 201
    assert books.at_once == before
    async with world.work() as work:
        told = await work.session.scalar(
            text("SELECT count(*) FROM audit_entries WHERE facts->>'change' = 'sold_out'")
        )
    assert told == 1


async def test_a_limited_coupon_is_settled_under_its_lock(
    shopper: httpx.AsyncClient, shop: Shop, books: PriceBooks
) -> None:
    await shop.promotion(kind="percent", value=1000, code="DOIS", usage_limit=2)
    body = shop.delivery(shop.products[0]) | {"coupons": ["DOIS"]}
    before = books.at_once
    answers = [await buy(shopper, body) for _ in range(3)]
    assert [a.status_code for a in answers] == [201, 201, 409], answers[-1].text
    assert books.at_once == before
