"""What we are measured against: the least a Python server can do for the same answer.

``catalogue``: an ASGI function that sends bytes it has been given. ``checkout``: FastAPI with a
validated body and nine statements over asyncpg in one transaction, as a plain service layer
sends them: no tenant isolation, no idempotency, no ledger, no events, no audit.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import orjson
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field

POOL = 12
"""Connections, as many as DATABASE_POOL_SIZE gives us."""

_Message = MutableMapping[str, Any]


class Bytes:
    """Sends the same body to everybody, with the least an ASGI application can do."""

    def __init__(self, body: bytes, media_type: str) -> None:
        self._end = {"type": "http.response.body", "body": body}
        self._start = {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", media_type.encode()),
                (b"content-length", str(len(body)).encode()),
            ],
        }

    async def __call__(
        self,
        scope: _Message,
        receive: Callable[[], Awaitable[_Message]],
        send: Callable[[_Message], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            raise RuntimeError("only requests are served")  # uvicorn then goes without a lifespan
        await send(self._start)
        await send(self._end)


def catalogue() -> Bytes:
    """The bare application; BENCH_BODY names a file, BENCH_MEDIA_TYPE says what it holds."""
    return Bytes(Path(os.environ["BENCH_BODY"]).read_bytes(), os.environ["BENCH_MEDIA_TYPE"])


class Line(BaseModel):
    product_id: int
    quantity: int = Field(ge=1, le=99)


class Order(BaseModel):
    store_id: int
    customer_name: str = Field(min_length=1, max_length=120)
    phone: str = Field(pattern=r"^\+\d{10,15}$")
    payment_method: str
    address: dict[str, str]
    items: Annotated[list[Line], Field(min_length=1, max_length=50)]


class Placed(BaseModel):
    id: int
    total_cents: int
    status: str = "pending"


_STORE = "SELECT id, name, is_open, fee_cents FROM stores WHERE tenant_id = $1 AND id = $2"
_PRODUCTS = """
SELECT id, price_cents, stock, is_active FROM products
WHERE tenant_id = $1 AND id = ANY ($2::bigint[]) ORDER BY id FOR UPDATE
"""
_ORDER = """
INSERT INTO orders (tenant_id, store_id, customer_name, phone, subtotal_cents, fee_cents,
  total_cents, status) VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending') RETURNING id
"""
_ITEMS = """
INSERT INTO order_items (tenant_id, order_id, product_id, quantity, unit_price_cents)
SELECT $1, $2, line.* FROM unnest($3::bigint[], $4::int[], $5::int[]) AS line
"""
_PAYMENT = """
INSERT INTO payments (tenant_id, order_id, method, amount_cents, status)
VALUES ($1, $2, $3, $4, 'pending')
"""
_DELIVERY = """
INSERT INTO deliveries (tenant_id, order_id, address, fee_cents, status)
VALUES ($1, $2, $3::text::jsonb, $4, 'pending')
"""
_STOCK = """
UPDATE products p SET stock = p.stock - taken.quantity, updated_at = now()
FROM unnest($1::bigint[], $2::int[]) AS taken(id, quantity) WHERE p.id = taken.id
"""


def tenant_of(store_id: int) -> UUID:
    """The tenant of a store, as ``shop_tenant`` in sql/schema.sql computes it."""
    return UUID(f"00000000-0000-4000-8000-{store_id:012d}")


async def _place(connection: asyncpg.Connection[asyncpg.Record], order: Order) -> Placed:
    """Begin, seven statements, commit: nine round trips."""
    tenant = tenant_of(order.store_id)
    quantities = {line.product_id: line.quantity for line in order.items}
    ids = sorted(quantities)
    counts = [quantities[id_] for id_ in ids]
    async with connection.transaction():
        store = await connection.fetchrow(_STORE, tenant, order.store_id)
        products = await connection.fetch(_PRODUCTS, tenant, ids)
        if store is None or not store["is_open"] or len(products) != len(ids):
            raise HTTPException(409, "closed or unknown")
        if any(p["stock"] < quantities[p["id"]] or not p["is_active"] for p in products):
            raise HTTPException(409, "out of stock")
        prices = [product["price_cents"] for product in products]
        subtotal = sum(price * count for price, count in zip(prices, counts, strict=True))
        fee = store["fee_cents"]
        who = (order.customer_name, order.phone)
        amounts = (subtotal, fee, subtotal + fee)
        order_id = await connection.fetchval(_ORDER, tenant, order.store_id, *who, *amounts)
        await connection.execute(_ITEMS, tenant, order_id, ids, counts, prices)
        await connection.execute(_PAYMENT, tenant, order_id, order.payment_method, amounts[2])
        address = orjson.dumps(order.address).decode()
        await connection.execute(_DELIVERY, tenant, order_id, address, fee)
        await connection.execute(_STOCK, ids, counts)
    return Placed(id=order_id, total_cents=amounts[2])


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(
        os.environ["BENCH_DATABASE_URL"], min_size=POOL, max_size=POOL
    ) as pool:
        app.state.pool = pool
        yield


checkout = FastAPI(lifespan=_lifespan, openapi_url=None)


@checkout.post("/orders")
async def place(order: Order, request: Request) -> Placed:
    """The nine-trip checkout."""
    async with request.app.state.pool.acquire() as connection:
        return await _place(connection, order)
