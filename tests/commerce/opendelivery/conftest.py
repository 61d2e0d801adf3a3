"""A shop, and a played point of sale that sees all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from app.main import Largo
from tests.commerce.opendelivery.pos import Pos, connected, credential
from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

Place = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def shop(world: World) -> Shop:
    return await make_shop(world)


@pytest.fixture
async def pos(app: Largo, owner: httpx.AsyncClient, shop: Shop) -> AsyncIterator[Pos]:
    async with connected(app, await credential(owner)) as found:
        yield found


@pytest.fixture
def place(shopper: httpx.AsyncClient, shop: Shop) -> Place:
    """Order from the shop, to be paid in cash at the door unless the fields say otherwise."""

    async def ordered(of: Shop = shop, **fields: Any) -> dict[str, Any]:
        product = of.products[0] if of.products else await of.product(stock=50)
        made = of.cart if fields.get("fulfilment") == "pickup" else of.delivery
        cart = made(product, **{"payment": {"method": "cash"}, **fields})
        answer = await shopper.post("/api/v1/checkout", json=cart, headers=key())
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return ordered
