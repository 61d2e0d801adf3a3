"""Placing an order over HTTP: what is written, and each refusal that must write nothing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, text

from app.commerce.inventory.models import StockLevel, StockMovement
from app.commerce.orders.models import Order, OrderStatusChange
from app.commerce.payments.models import Payment
from app.kernel.audit.models import AuditEntry
from app.kernel.contacts.models import Contact
from tests.factories.commerce import PAULISTA, Shop, key, make_shop
from tests.factories.tenants import World

URL = "/api/v1/checkout"


@pytest.fixture
async def shop(world: World) -> Shop:
    return await make_shop(world)


async def footprint(world: World) -> dict[str, Any]:
    """Everything a checkout may write; a refusal must leave it as it was."""
    tables = (
        "orders order_items payments deliveries stock_movements promotion_redemptions contacts"
        " order_status_changes audit_entries stream_events idempotency_records order_counters"
    )
    async with world.work() as work:
        counts = {
            table: await work.session.scalar(text(f"SELECT count(*) FROM {table}"))  # noqa: S608
            for table in tables.split()
        }
        on_hand = await work.session.scalar(select(func.sum(StockLevel.on_hand)))
    return {**counts, "on_hand": on_hand}


async def test_order_is_placed_with_all_that_belongs_to_it(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    product = await shop.product("Pizza calabresa", 4990, stock=10)
    extras = await shop.group(product, {"Bacon": 600, "Catupiry": 800})
    body = shop.delivery(
        product,
        items=[
            {
                "product_id": str(product),
                "quantity": 2,
                "modifiers": [{"id": str(extras["Bacon"]), "quantity": 1}],
                "note": "sem cebola",
            }
        ],
        expected_total_cents=(4990 + 600) * 2 + 700,
    )
    answer = await shopper.post(URL, json=body, headers=key())
    assert answer.status_code == 201, answer.text
    placed = answer.json()
    assert placed["number"] == 1
    assert placed["total_cents"] == 11880
    assert placed["shipping_cents"] == 700
    assert placed["status"] == "pending"
    assert placed["eta_minutes"] == 50

    async with shop.world.work() as work:
        order = (await work.session.execute(select(Order))).scalar_one()
        payment = (await work.session.execute(select(Payment))).scalar_one()
        level = (await work.session.execute(select(StockLevel))).scalar_one()
        ledger = await work.session.scalar(select(func.sum(StockMovement.quantity)))
        history = (await work.session.execute(select(OrderStatusChange))).scalar_one()
        contact = (await work.session.execute(select(Contact))).scalar_one()
        audited = await work.session.scalar(
            select(func.count()).where(AuditEntry.action == "commerce.order_placed")
        )
    assert str(order.id) == placed["id"]
    assert (payment.method, payment.amount_cents, payment.status) == ("pix", 11880, "pending")
    assert level.on_hand == ledger == 8
    assert (history.before, history.after) == (None, "pending")
    assert contact.phone == "+5511987654321"
    assert audited == 1

    tracking = await shopper.get(placed["tracking_path"])
    assert tracking.status_code == 200, tracking.text
    assert tracking.json()["items"][0]["modifiers"][0]["name"] == "Bacon"
    assert tracking.json()["may_cancel"] is True


async def test_same_key_answers_the_same_order(shopper: httpx.AsyncClient, shop: Shop) -> None:
    product = await shop.product(stock=5)
    headers, body = key(), shop.cart(product)
    first = await shopper.post(URL, json=body, headers=headers)
    again = await shopper.post(URL, json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again.headers["idempotency-replayed"] == "true"
    other = await shopper.post(URL, json=shop.cart(product, note="x"), headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert (await footprint(shop.world))["orders"] == 1


Change = dict[str, Any]

REFUSALS: list[tuple[str, Change, Change, int, str]] = [
    ("unknown store", {"store": "nowhere"}, {}, 404, "store-not-found"),
    ("closed store", {}, {"hours": []}, 409, "store-closed"),
    ("inactive store", {}, {"is_active": False}, 409, "store-closed"),
    ("no pickup here", {}, {"pickup_enabled": False}, 409, "store-closed"),
    ("below minimum", {}, {"min_order_cents": 999_900}, 409, "below-minimum-order"),
    ("bad phone", {"customer": {"name": "Zé Lima", "phone": "12345678"}}, {}, 422, "invalid-phone"),
    ("no address", {"fulfilment": "delivery"}, {}, 422, "address-required"),
    (
        "bad CEP",
        {"fulfilment": "delivery", "address": {**PAULISTA, "postal_code": "0131A-100"}},
        {},
        422,
        "invalid-postal-code",
    ),
    ("coupon", {"coupons": ["NADA"]}, {}, 409, "coupon-not-applicable"),
    ("payment", {"payment": {"method": "cash"}}, {"payment_methods": ["pix"]}, 409,
     "payment-method-not-accepted"),
    ("change", {"payment": {"method": "cash", "change_for_cents": 100}}, {}, 422,
     "change-too-small"),
    ("price", {"expected_total_cents": 1}, {}, 409, "price-changed"),
    (
        "tampered quote",
        {"fulfilment": "delivery", "address": PAULISTA, "quote": "abc.def"},
        {},
        409,
        "shipping-changed",
    ),
    ("unknown field", {"surprise": 1}, {}, 422, "invalid-request"),
    ("empty cart", {"items": []}, {}, 422, "invalid-request"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "store", "status", "code"), REFUSALS)
async def test_refusal_is_typed_and_writes_nothing(
    shopper: httpx.AsyncClient,
    shop: Shop,
    name: str,
    body: Change,
    store: Change,
    status: int,
    code: str,
) -> None:
    product = await shop.product(stock=3)
    if store:
        await shop.change_store(**store)
    before = await footprint(shop.world)
    answer = await shopper.post(URL, json=shop.cart(product) | body, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert await footprint(shop.world) == before


async def test_missing_key_bad_json_and_unknown_tenant_are_refused(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    product = await shop.product(stock=3)
    before = await footprint(shop.world)
    missing = await shopper.post(URL, json=shop.cart(product))
    assert (missing.status_code, missing.json()["code"]) == (400, "idempotency-key-missing")
    broken = await shopper.post(
        URL, content=b'{"store": ', headers=key() | {"content-type": "application/json"}
    )
    assert (broken.status_code, broken.json()["code"]) == (400, "malformed-request")
    nobody = await shopper.post(
        URL, json=shop.cart(product), headers=key() | {"X-Tenant": "no-such-tenant"}
    )
    assert (nobody.status_code, nobody.json()["code"]) == (404, "unknown-tenant")
    assert await footprint(shop.world) == before


async def test_every_short_item_is_named(shopper: httpx.AsyncClient, shop: Shop) -> None:
    plenty = await shop.product("Guaraná", stock=50)
    last = await shop.product("Petit gâteau", stock=1)
    body = shop.cart(plenty, last, last)
    before = await footprint(shop.world)
    answer = await shopper.post(URL, json=body, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (409, "out-of-stock")
    (line,) = answer.json()["lines"]
    assert (line["name"], line["asked"], line["available"]) == ("Petit gâteau", 2, 1)
    assert await footprint(shop.world) == before


async def test_choices_and_variants_are_checked_line_by_line(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    pizza = await shop.product("Pizza", 0)
    large = await shop.variant(pizza, "Grande", 6990)
    dough = await shop.group(pizza, {"Fina": 0, "Pan": 0}, min_choices=1, max_choices=1)
    foreign = await shop.product("Suco", 900)
    items = [
        {"product_id": str(pizza), "quantity": 1},
        {"product_id": str(pizza), "variant_id": str(large), "quantity": 1},
        {"product_id": str(foreign), "variant_id": str(large), "quantity": 1},
        {"product_id": str(UUID(int=7)), "quantity": 1},
    ]
    answer = await shopper.post(URL, json=shop.cart(items=items), headers=key())
    assert answer.json()["code"] == "items-unavailable"
    reasons = {line["index"]: line["reason"] for line in answer.json()["lines"]}
    assert reasons == {
        0: "variant-required",
        1: "choices-invalid",
        2: "variant-not-available",
        3: "not-available",
    }
    good = {
        "product_id": str(pizza),
        "variant_id": str(large),
        "quantity": 1,
        "modifiers": [{"id": str(dough["Fina"])}],
    }
    placed = await shopper.post(URL, json=shop.cart(items=[good]), headers=key())
    assert placed.status_code == 201, placed.text
    assert placed.json()["lines"][0]["variant_name"] == "Grande"
    assert placed.json()["total_cents"] == 6990


async def test_preview_computes_the_same_and_writes_nothing(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    product = await shop.product(price_cents=10_000, stock=3)
    await shop.promotion(name="Dez", kind="percent", value=1000, code="DEZ")
    cart = shop.delivery(product, coupons=["dez", "OUTRO"])
    preview_body = {k: v for k, v in cart.items() if k not in ("customer", "payment")}
    before = await footprint(shop.world)
    preview = await shopper.post(f"{URL}/preview", json=preview_body)
    assert preview.status_code == 200, preview.text
    shown = preview.json()
    assert shown["discount_cents"] == 1000
    assert shown["coupons_not_applied"] == [
        {
            "code": "OUTRO",
            "reason": "unknown",
            "text": "Não encontramos o cupom OUTRO.",
            "missing_cents": None,
            "missing_units": None,
        }
    ]
    assert await footprint(shop.world) == before
    placed = await shopper.post(
        URL,
        json=cart | {"coupons": ["DEZ"], "expected_total_cents": shown["total_cents"]},
        headers=key(),
    )
    assert placed.status_code == 201, placed.text
    for name in ("subtotal_cents", "discount_cents", "shipping_cents", "total_cents"):
        assert placed.json()[name] == shown[name]


async def test_what_an_order_leaves_with_the_customer_and_the_staff(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    product = await shop.product("Suco de uva", stock=6)
    async with shop.world.work() as work:
        level = (await work.session.scalars(select(StockLevel))).one()
        level.low_at = 4
    for name in ("Maria da Silva", "Outro Nome"):
        body = shop.delivery(product, customer={"name": name, "phone": "(11) 98765-4321"})
        answer = await shopper.post(URL, json=body, headers=key())
        assert answer.status_code == 201, answer.text
    async with shop.world.work() as work:
        contact = (await work.session.scalars(select(Contact))).one()
        names = (await work.session.scalars(select(Order.customer_name))).all()
        addresses = await work.session.scalar(text("SELECT count(*) FROM customer_addresses"))
        low = await work.session.scalar(
            select(func.count()).where(AuditEntry.action == "commerce.stock_low")
        )
        movements = (await work.session.scalars(select(StockMovement.id))).all()
    assert contact.name == "Maria da Silva", "a stranger with the number renames nobody"
    assert set(names) == {"Maria da Silva", "Outro Nome"}
    assert addresses == 1, "the same address is remembered once"
    assert low == 1, "told when it fell to the level, not again"
    assert all(movement.version == 7 for movement in movements)
