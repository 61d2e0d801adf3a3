"""A shop, and what staff ask of its orders."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.factories.commerce import Shop, key, make_shop
from tests.factories.tenants import World

Placing = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def shop(world: World) -> Shop:
    return await make_shop(world)


@pytest.fixture
def place(shopper: httpx.AsyncClient) -> Placing:
    """Order a cart as a customer does."""

    async def placed(cart: dict[str, Any]) -> dict[str, Any]:
        answer = await shopper.post("/api/v1/checkout", json=cart, headers=key())
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return placed
