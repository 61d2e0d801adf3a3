"""A shop that is open to agents, and a platform that knows it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from app.kernel.work import Runtime
from tests.commerce.ucp.platform import PIX, Platform, open_channel, platform
from tests.factories.commerce import Shop, make_shop
from tests.factories.tenants import World
from tests.sandbox.server import http, sandbox, sandbox_url

__all__ = ["http", "sandbox", "sandbox_url"]


@pytest.fixture(autouse=True)
def _nobody_is_known(runtime: Runtime) -> None:
    """Every test has platforms of its own, all at one address, which has a budget of them."""
    runtime.caches.pop("ucp.profiles", None)


@pytest.fixture
async def shop(world: World, owner: httpx.AsyncClient) -> Shop:
    """Paid by cash, card or Pix; pizza, soda, and agents let in."""
    found = await make_shop(world, name="Bella Massa Centro")
    await found.product("Pizza calabresa", 4990, stock=10, sku="CAL")
    await found.product("Guaraná", 800, sku="GUA")
    assert (await owner.put("/api/v1/admin/payments/settings", json=PIX)).is_success
    await open_channel(owner, found)
    return found


@pytest.fixture
async def agent(shopper: httpx.AsyncClient, shop: Shop) -> AsyncIterator[Platform]:
    async with platform(shopper) as found:
        yield found
