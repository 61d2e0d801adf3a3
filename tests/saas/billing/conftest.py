"""The app with payments connected to the sandbox's Stripe, and plans whose prices are there."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from pydantic import SecretStr

from app.core.settings import Settings
from app.main import Largo, create_app
from tests.conftest import serving
from tests.factories.tenants import World, make_world
from tests.saas.billing.till import HMAC, WHSEC, Till, signed_in
from tests.saas.conftest import PLANS
from tests.sandbox.server import http, sandbox, sandbox_url

__all__ = ["http", "sandbox", "sandbox_url"]


@pytest.fixture(scope="session")
async def app(config: Settings, sandbox_url: str) -> AsyncIterator[Largo]:
    """In place of the suite's: the same database, with Stripe."""
    paid = config.model_copy(
        update={
            "stripe_api_base_url": f"{sandbox_url}/stripe",
            "stripe_secret_key": SecretStr("sk_test_largo"),
            "stripe_publishable_key": "pk_test_largo",
            "stripe_webhook_secret": (SecretStr("whsec_the_next_one_of_them"), SecretStr(WHSEC)),
            "billing_webhook_secret": (SecretStr(HMAC),),
            "billing_webhook_secrets": (SecretStr(HMAC[::-1]),),
        }
    )
    async with serving(create_app(paid)) as running:
        yield running


@pytest.fixture
async def till(
    app: Largo, world: World, sandbox_url: str, http: httpx.AsyncClient, root: httpx.AsyncClient
) -> AsyncIterator[Till]:
    """A tenant in its trial, its owner, and two plans on sale: small and big."""
    await http.put(f"{sandbox_url}/_sandbox/stripe/knobs", json={})
    await http.put(f"{sandbox_url}/_sandbox/stripe", json={"webhook_url": ""})
    prices: list[str] = []
    codes: list[str] = []
    for name, cents, modules in (
        ("small", 4900, ["commerce"]),
        ("big", 14900, ["commerce", "conversations"]),
    ):
        made = await http.post(
            f"{sandbox_url}/stripe/v1/prices",
            data={
                "unit_amount": str(cents),
                "currency": "brl",
                "product": f"prod_{name}",
                "recurring[interval]": "month",
            },
            headers={"authorization": "Bearer sk_test_largo"},
        )
        prices.append(made.json()["id"])
        body = {
            "code": f"{name}-{secrets.token_hex(5)}",
            "name": name.title(),
            "price_cents": cents,
            "modules": modules,
            "limits": {"users": len(prices)},
            "stripe_price_ids": [prices[-1]],
        }
        codes.append(str(body["code"]))
        answer = await root.post(PLANS, json=body)
        assert answer.status_code == 201, answer.text
    async with signed_in(app, world) as owner:
        yield Till(app, world, owner, http, sandbox_url, tuple(prices), tuple(codes))
    for code in codes:
        await root.patch(f"{PLANS}/{code}", json={"is_active": False})


@pytest.fixture
async def another(till: Till, app: Largo) -> AsyncIterator[Till]:
    """A second tenant at the same till."""
    world = await make_world(app.runtime)
    async with signed_in(app, world) as owner:
        yield replace(till, world=world, owner=owner)
