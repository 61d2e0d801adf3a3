"""A shop that takes PIX and cards, its Stripe account played by the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from app.core.settings import Settings
from app.main import Largo, create_app
from tests.commerce.payments.cashier import WHSEC, Cashier
from tests.conftest import serving
from tests.factories.commerce import key, make_shop
from tests.factories.tenants import World
from tests.sandbox.server import SandboxServer, http, sandbox, sandbox_url

__all__ = ["http", "sandbox", "sandbox_url"]


@pytest.fixture(scope="session")
async def app(config: Settings, sandbox_url: str) -> AsyncIterator[Largo]:
    """In place of the suite's: the same database, with Stripe at the sandbox."""
    playing = config.model_copy(update={"stripe_api_base_url": f"{sandbox_url}/stripe"})
    async with serving(create_app(playing)) as running:
        yield running


@pytest.fixture
async def cashier(
    app: Largo,
    world: World,
    owner: httpx.AsyncClient,
    shopper: httpx.AsyncClient,
    sandbox: SandboxServer,
) -> Cashier:
    """PIX key set, Stripe connected, thirty minutes to pay."""
    await sandbox.put("stripe/knobs")
    await sandbox.put("stripe", webhook_url="", accounts={}, slow_refunds=False, tokens=[])
    shop = await make_shop(world, payment_methods=["cash", "pix", "stripe"])
    await shop.product("Pizza", 4990, stock=10)
    settings = {
        "pix_key": "123e4567-e12b-12d1-a456-426655440000",
        "pix_key_type": "evp",
        "merchant_name": "Pizzaria Bella Massa",
        "merchant_city": "São Paulo",
        "unpaid_minutes": 30,
    }
    put = await owner.put("/api/v1/admin/payments/settings", json=settings)
    assert put.status_code == 200, put.text
    connected = await owner.post(
        "/api/v1/connections",
        json={
            "provider": "stripe",
            "name": "Stripe",
            "config": {"publishable_key": "pk_test_loja12345"},
            "secret": {"api_key": "sk_test_loja12345", "webhook_secret": WHSEC},
        },
        headers=key(),
    )
    assert connected.status_code == 201, connected.text
    return Cashier(app, world, shop, owner, shopper, sandbox)
