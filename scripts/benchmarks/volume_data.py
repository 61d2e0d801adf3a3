"""A shop of two years: 10,000 products and a million orders with all their parts, by COPY."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import cast
from uuid import UUID

import asyncpg

from app.core.clock import now
from app.core.ids import new_id
from scripts.benchmarks.bulk import Row, at_rest, copy
from scripts.benchmarks.volume_rest import Shop, rest

PRODUCTS, CATEGORIES, CONTACTS, STORES = 10_000, 40, 200_000, 3
ORDERS, DAYS = 1_000_000, 730
CHUNK = 20_000
SEED = 4
_NAMES = ("Maria", "João", "Ana", "José", "Antônia", "Francisco", "Luíza", "Paulo", "Íris", "Caio")
_DISTRICTS = ("Pinheiros", "Vila Madalena", "Bela Vista", "Moema", "Santana", "Tatuapé", "Lapa")
_FOODS = ("Pizza", "Esfiha", "Lasanha", "Açaí", "Pão de queijo", "Brigadeiro", "Suco", "Coxinha")
_TASTES = ("calabresa", "frango", "palmito", "queijo", "chocolate", "limão", "camarão", "alho")
# Nobody eats at four in the morning; Fridays and Saturdays are twice a Monday.
_HOURS = (2, 1, 0, 0, 0, 0, 1, 2, 3, 3, 4, 9, 14, 11, 6, 4, 4, 6, 12, 20, 24, 20, 12, 5)
_WEEKDAYS = (5, 5, 6, 7, 10, 11, 8)


@dataclass
class Made:
    """What the questions name."""

    slug: str
    tenant: UUID
    owner: UUID
    session: UUID
    store_slug: str = "loja-1"
    stores: list[UUID] = field(default_factory=list)
    categories: list[UUID] = field(default_factory=list)
    products: list[UUID] = field(default_factory=list)
    contacts: list[UUID] = field(default_factory=list)
    promotions: list[UUID] = field(default_factory=list)
    orders: list[UUID] = field(default_factory=list)
    ids: dict[str, UUID] = field(default_factory=dict)
    """By table: one row of it."""


async def fill(url: str, *, orders: int = ORDERS) -> Made:
    """Make the shop as owner of the tables. Triggers of changes rest: nothing is summed yet."""
    began = time.perf_counter()
    chance = random.Random(SEED)
    made = Made("volume", new_id(), new_id(), new_id())
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET synchronous_commit = off")
        for name, rows in _ground(made, chance):
            await copy(connection, name, rows)
        shop = Shop(
            made.tenant, made.owner, made.stores, made.products, made.contacts, made.categories
        )
        for name, rows in rest(shop, chance, orders / ORDERS):
            made.ids.setdefault(name, cast(UUID, rows[len(rows) // 2]["id"]))
            await copy(connection, name, rows)
        async with at_rest(connection, _PARTS):
            work = _orders(made, chance, orders)
            while chunk := list(islice(work, CHUNK)):
                for name in _PARTS:
                    found = [row for part in chunk for row in part.get(name, ())]
                    await copy(connection, name, found)
        await connection.execute(
            "INSERT INTO order_counters (tenant_id, id, last_number) VALUES ($1, $1, $2)",
            made.tenant,
            orders,
        )
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()
    print(f"  {orders:,} orders made in {time.perf_counter() - began:.0f} s", flush=True)
    return made


async def settle(url: str) -> None:
    """Let the planner know what has been summed up."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("VACUUM (ANALYZE) insight_cells")
    finally:
        await connection.close()


async def sizes(url: str) -> dict[str, int]:
    """Rows by table, about."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT relname, reltuples::bigint AS rows FROM pg_class WHERE relkind = 'r'"
        )
        return {row["relname"]: row["rows"] for row in rows}
    finally:
        await connection.close()


def _ground(made: Made, chance: random.Random) -> Iterator[tuple[str, list[Row]]]:
    tenant = made.tenant
    yield "tenants", [
        {
            "id": tenant, "slug": made.slug, "name": "Volume", "subscription_status": "active",
            "modules": ["commerce", "conversations"],
        }
    ]  # fmt: skip
    yield "users", [
        {
            "tenant_id": tenant, "id": made.owner, "email": "dona@volume.example", "name": "Dona",
            "password_hash": "x", "role": "owner",
        }
    ]  # fmt: skip
    yield "user_sessions", [
        {
            "tenant_id": tenant, "id": made.session, "user_id": made.owner,
            "expires_at": now() + timedelta(days=1),
        }
    ]  # fmt: skip
    day = json.dumps([{"weekday": n, "opens": "00:00", "closes": "24:00"} for n in range(7)])
    made.stores = [new_id() for _ in range(STORES)]
    yield "stores", [
        {
            "tenant_id": tenant, "id": store, "name": f"Loja {n}", "slug": f"loja-{n}",
            "address": "{}", "latitude": -23.55, "longitude": -46.63,
            "timezone": "America/Sao_Paulo", "hours": day,
        }
        for n, store in enumerate(made.stores, 1)
    ]  # fmt: skip
    made.categories = [new_id() for _ in range(CATEGORIES)]
    yield (
        "categories",
        [
            {"tenant_id": tenant, "id": c, "name": f"Categoria {n}", "slug": f"categoria-{n}"}
            for n, c in enumerate(made.categories)
        ],
    )
    made.products = [new_id() for _ in range(PRODUCTS)]
    yield "products", [
        {
            "tenant_id": tenant, "id": product, "category_id": chance.choice(made.categories),
            "name": f"{chance.choice(_FOODS)} de {chance.choice(_TASTES)} {n}",
            "slug": f"produto-{n}", "description": "Feito na hora.", "sku": f"SKU-{n}",
            "price_cents": 900 + n % 9000, "position": n,
        }
        for n, product in enumerate(made.products)
    ]  # fmt: skip
    yield "stock_levels", [
        {
            "tenant_id": tenant, "id": new_id(), "store_id": made.stores[0],
            "item_kind": "product", "item_id": product, "on_hand": n % 500, "low_at": 10,
        }
        for n, product in enumerate(made.products)
    ]  # fmt: skip
    made.contacts = [new_id() for _ in range(CONTACTS)]
    yield "contacts", [
        {
            "tenant_id": tenant, "id": contact, "name": f"{_NAMES[n % 10]} Cliente {n}",
            "phone": f"+55119{n:08d}", "source": "storefront", "is_blocked": n % 9_973 == 0,
            "stage": "churned" if n % 5_003 == 0 else None,
            "owner_id": made.owner if n % 2_003 == 0 else None,
            "attributes": json.dumps({"tamanho": "GG"} if n % 1_009 == 0 else {}),
            "last_order_at": now() - timedelta(hours=n % 9_000) if n % 3 else None,
        }
        for n, contact in enumerate(made.contacts)
    ]  # fmt: skip
    made.promotions = [new_id() for _ in range(200)]
    yield "promotions", [
        {
            "tenant_id": tenant, "id": promotion, "name": f"Campanha {n}", "kind": "fixed",
            "value": 500, "code": f"CUPOM{n}",
        }
        for n, promotion in enumerate(made.promotions)
    ]  # fmt: skip


_PARTS = (
    "orders", "order_items", "payments", "deliveries", "order_status_changes",
    "promotion_redemptions", "stock_movements", "audit_entries",
)  # fmt: skip


def _instants(chance: random.Random, count: int) -> list[datetime]:
    """In order: growing over two years, by weekday and hour as shops are."""
    today = now().replace(hour=3, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=DAYS - n) for n in range(DAYS + 1)]
    weights = [_WEEKDAYS[d.weekday()] * (1 + n / DAYS) for n, d in enumerate(days)]
    picked = chance.choices(days, weights, k=count)
    hours = chance.choices(range(24), _HOURS, k=count)
    found = sorted(
        d + timedelta(hours=h, seconds=chance.randrange(3600))
        for d, h in zip(picked, hours, strict=True)
    )
    return [min(at, now()) for at in found]


def _id(at: datetime, chance: random.Random) -> UUID:
    head = int(at.timestamp() * 1000) << 80 | 7 << 76 | chance.getrandbits(12) << 64
    return UUID(int=head | 2 << 62 | chance.getrandbits(62))


def _orders(made: Made, chance: random.Random, count: int) -> Iterator[dict[str, list[Row]]]:
    recent = now() - timedelta(hours=2)
    # A few products make most of the sales, and a few customers come again and again.
    popular = chance.choices(made.products, [1 / (n + 3) for n in range(PRODUCTS)], k=200_003)
    regular = chance.choices(made.contacts, [1 / (n + 500) for n in range(CONTACTS)], k=300_007)
    every = max(1, count // 1000)
    for number, at in enumerate(_instants(chance, count), 1):
        order = _id(at, chance)
        if number % every == every // 2:
            made.orders.append(order)
        yield _order(made, chance, number, at, order, popular, regular, is_open=at > recent)


def _order(
    made: Made, chance: random.Random, number: int, at: datetime, order: UUID,
    popular: Sequence[UUID], regular: Sequence[UUID], *, is_open: bool,
) -> dict[str, list[Row]]:  # fmt: skip
    tenant, contact = made.tenant, regular[chance.randrange(len(regular))]
    store = made.stores[min(chance.randrange(6) // 2, STORES - 1)]
    is_delivery, fate = chance.random() < 0.7, chance.random()
    status = "pending" if is_open else "cancelled" if fate < 0.05 else "delivered"
    lines = [popular[chance.randrange(len(popular))] for _ in range(1 + chance.randrange(3))]
    prices = [900 + chance.randrange(8000) for _ in lines]
    freight, cut = (700 if is_delivery else 0), (500 if fate > 0.95 else 0)
    subtotal = sum(prices)
    total = subtotal - cut + freight
    who = {"tenant_id": tenant, "order_id": order, "created_at": at}
    found: dict[str, list[Row]] = {
        "orders": [
            {
                "tenant_id": tenant, "id": order, "number": number, "store_id": store,
                "contact_id": contact, "customer_name": f"{_NAMES[number % 10]} Cliente",
                "customer_phone": f"+55119{number % CONTACTS:08d}",
                "fulfilment": "delivery" if is_delivery else "pickup", "status": status,
                "subtotal_cents": subtotal, "discount_cents": cut, "shipping_cents": freight,
                "total_cents": total, "placed_at": at, "created_at": at,
                "promised_at": at + timedelta(minutes=50),
                "cancel_reason": "desistiu" if status == "cancelled" else None,
                "source": "storefront" if fate > 0.2 else "whatsapp" if fate > 0.1 else "admin",
                "scheduled_for": at + timedelta(hours=5) if fate < 0.02 else None,
                "closed_at": None if is_open else at + timedelta(minutes=45),
            }
        ],
        "audit_entries": [
            {
                "tenant_id": tenant, "id": _id(at, chance), "created_at": at, "facts": "{}",
                "actor_kind": "shopper", "actor_name": "storefront", "resource": "order",
                "action": "commerce.order_placed", "resource_id": order,
            }
        ],
        "order_items": [
            {
                **who, "id": _id(at, chance), "position": n, "product_id": product,
                "name": "Produto", "unit_price_cents": price, "quantity": 1, "total_cents": price,
            }
            for n, (product, price) in enumerate(zip(lines, prices, strict=True))
        ],
        "payments": [
            {
                **who, "id": order, "method": chance.choice(("pix", "pix", "cash", "stripe")),
                "amount_cents": total,
                "status": "pending" if is_open else "failed" if fate < 0.0005 else "paid",
            }
        ],
        "stock_movements": [
            {
                **who, "id": _id(at, chance), "store_id": store, "item_kind": "product",
                "item_id": product, "kind": "sale", "quantity": -1,
            }
            for product in lines[:1]
        ],
    }  # fmt: skip
    if is_delivery:
        address = {"city": "São Paulo", "district": chance.choice(_DISTRICTS), "street": "Rua A"}
        found["deliveries"] = [
            {
                **who, "id": order, "postal_code": "05422010", "address": json.dumps(address),
                "distance_meters": chance.randrange(15_000), "fee_cents": freight, "minutes": 50,
            }
        ]  # fmt: skip
    if cut:
        found["promotion_redemptions"] = [
            {
                **who, "id": _id(at, chance), "promotion_id": chance.choice(made.promotions),
                "contact_id": contact, "name": "Campanha", "amount_cents": cut,
            }
        ]  # fmt: skip
    found["order_status_changes"] = _steps(who, at, status, chance)
    return found


def _steps(who: Row, at: datetime, status: str, chance: random.Random) -> list[Row]:
    path = ["pending"] if status == "pending" else ["pending", "cancelled"]
    if status == "delivered":
        path = ["pending", "confirmed", "ready", "out_for_delivery", "delivered"]
    rows, then = [], at
    for before, after in zip([None, *path], path, strict=False):
        rows.append(
            {
                **who, "created_at": then, "id": _id(then, chance), "before": before,
                "after": after, "actor_kind": "user", "actor_name": "balcao",
            }
        )  # fmt: skip
        then += timedelta(seconds=chance.randrange(120, 1500))
    return rows
