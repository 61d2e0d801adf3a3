"""What the tests of stock start from."""

from __future__ import annotations

import httpx
import pytest

from tests.commerce.inventory.stocked import Stock
from tests.factories.commerce import make_shop
from tests.factories.tenants import World


@pytest.fixture
async def stock(owner: httpx.AsyncClient, world: World) -> Stock:
    shop = await make_shop(world)
    return Stock(owner, shop, await shop.product("Guaraná Açaí 350 ml", 700))
