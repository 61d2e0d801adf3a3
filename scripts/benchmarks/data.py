"""The shops that our own routes are measured on, and the requests that are sent to them.

Every tenant has one store that never closes, 50 products in five categories with two extras
each, tracked stock and a flat freight: what the nine steps of a checkout look at is all there.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from app.core.ids import new_id
from scripts.benchmarks.load import KEY

PRODUCTS = 50
STOCK = 1_000_000_000
CATEGORIES = ("Pizzas", "Massas", "Bebidas", "Sobremesas", "Combos")
GROUPS = {"Adicionais": (("Bacon", 500), ("Queijo extra", 600))}
STORE = "matriz"
LINES = 3
YARDSTICK_STORES = 1000
ADDRESS = {
    "postal_code": "01310-100",
    "street": "Avenida Paulista",
    "number": "1578",
    "complement": "ap 42",
    "district": "Bela Vista",
    "city": "São Paulo",
    "state": "SP",
}

Row = tuple[object, ...]


@dataclass(frozen=True)
class Shop:
    """One tenant as a client sees it."""

    slug: str
    products: tuple[UUID, ...]


@dataclass
class _Rows:
    """Rows by table, in an order that foreign keys allow."""

    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, table: str, **values: object) -> None:
        self.columns.setdefault(table, tuple(values))
        self.rows.setdefault(table, []).append(tuple(values.values()))


async def fill(url: str, tenants: int) -> list[Shop]:
    """Make the shops with COPY, as owner of the tables, and answer with them."""
    rows = _Rows()
    shops = [_shop(rows, number) for number in range(tenants)]
    rows.add(
        "postal_areas",
        id=new_id(),
        prefix=ADDRESS["postal_code"][:5],
        latitude=-23.5614,
        longitude=-46.6559,
        city="São Paulo",
        state="SP",
    )
    connection = await asyncpg.connect(url)
    try:
        for table, records in rows.rows.items():
            await connection.copy_records_to_table(
                table, records=records, columns=rows.columns[table]
            )
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()
    return shops


def _shop(rows: _Rows, number: int) -> Shop:
    tenant, store, slug = new_id(), new_id(), f"bench-{number}"
    rows.add(
        "tenants",
        id=tenant,
        slug=slug,
        name=f"Cantina {number}",
        subscription_status="active",
        modules=["commerce"],
    )
    day = [{"weekday": weekday, "opens": "00:00", "closes": "24:00"} for weekday in range(7)]
    rows.add(
        "stores",
        tenant_id=tenant,
        id=store,
        name="Matriz",
        slug=STORE,
        phone="+551130000000",
        address=json.dumps(ADDRESS),
        latitude=-23.5505,
        longitude=-46.6333,
        timezone="America/Sao_Paulo",
        hours=json.dumps(day),
    )
    rows.add(
        "shipping_rules", tenant_id=tenant, id=new_id(), store_id=store, kind="flat",
        fee_cents=700, minutes=25,
    )  # fmt: skip
    groups = [_group(rows, tenant, name, extras) for name, extras in GROUPS.items()]
    categories = [new_id() for _ in CATEGORIES]
    for position, (category, name) in enumerate(zip(categories, CATEGORIES, strict=True)):
        rows.add(
            "categories", tenant_id=tenant, id=category, name=name, slug=name.lower(),
            position=position,
        )  # fmt: skip
    products = tuple(
        _product(rows, tenant, store, categories[place % len(categories)], groups, place)
        for place in range(PRODUCTS)
    )
    return Shop(slug, products)


def _group(rows: _Rows, tenant: UUID, name: str, extras: Sequence[tuple[str, int]]) -> UUID:
    group = new_id()
    rows.add("modifier_groups", tenant_id=tenant, id=group, name=name, max_choices=3)
    for position, (extra, cents) in enumerate(extras):
        rows.add(
            "modifiers", tenant_id=tenant, id=new_id(), group_id=group, name=extra,
            price_cents=cents, position=position,
        )  # fmt: skip
    return group


def _product(
    rows: _Rows, tenant: UUID, store: UUID, category: UUID, groups: Sequence[UUID], place: int
) -> UUID:
    product = new_id()
    rows.add(
        "products",
        tenant_id=tenant,
        id=product,
        category_id=category,
        name=f"Especial da casa {place + 1}",
        slug=f"especial-{place + 1}",
        description=f"Feito na hora com ingredientes frescos; serve bem duas pessoas. {place + 1}",
        price_cents=1900 + 35 * place,
        position=place,
    )
    for position, group in enumerate(groups):
        rows.add(
            "product_modifier_groups", tenant_id=tenant, id=new_id(), product_id=product,
            group_id=group, position=position,
        )  # fmt: skip
    rows.add(
        "stock_levels", tenant_id=tenant, id=new_id(), store_id=store, item_kind="product",
        item_id=product, on_hand=STOCK,
    )  # fmt: skip
    return product


def get(path: str, **headers: str) -> bytes:
    """A GET as bytes, ready to send again and again."""
    return request("GET", path, headers, b"")


def checkouts(shops: Sequence[Shop], count: int) -> list[bytes]:
    """``count`` different orders of three products at random shops; each shop at least once."""
    chosen = [shops[number % len(shops)] for number in range(count)]
    return [
        request(
            "POST",
            "/api/v1/checkout",
            {
                "X-Tenant": shop.slug,
                "Content-Type": "application/json",
                "Idempotency-Key": KEY.decode(),
            },
            json.dumps(_order(shop)).encode(),
        )
        for shop in chosen
    ]


def _order(shop: Shop) -> dict[str, object]:
    wanted = random.sample(shop.products, min(LINES, len(shop.products)))
    return {
        "store": STORE,
        "fulfilment": "delivery",
        "address": ADDRESS,
        "items": [{"product_id": str(product), "quantity": 1} for product in wanted],
        "customer": {"name": "Joana Pereira", "phone": f"+55119{random.randrange(10**8):08d}"},
        "payment": {"method": "pix"},
    }


def yardstick_checkouts(count: int) -> list[bytes]:
    """The same for the yardstick's shops."""
    return [
        request("POST", "/orders", {"Content-Type": "application/json"}, json.dumps(order).encode())
        for order in _yardstick_orders(count)
    ]


def _yardstick_orders(count: int) -> Iterator[dict[str, object]]:
    for _ in range(count):
        store = random.randint(1, YARDSTICK_STORES)
        wanted = random.sample(range((store - 1) * 50 + 1, store * 50 + 1), LINES)
        yield {
            "store_id": store,
            "customer_name": "Joana Pereira",
            "phone": f"+55119{random.randrange(10**8):08d}",
            "payment_method": "pix",
            "address": ADDRESS,
            "items": [{"product_id": product, "quantity": 1} for product in wanted],
        }


def request(method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """The bytes of one HTTP request."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Accept: application/json",
        "User-Agent: largo-bench",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
