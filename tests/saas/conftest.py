"""The platform's own owner, and a plan that is sold for one test."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import httpx
import pytest

from app.kernel.tenants.service import ensure_tenant
from app.main import Largo
from app.saas.plans.schemas import PlanRead
from tests.factories.tenants import World, make_world
from tests.sandbox.server import http, sandbox, sandbox_url

__all__ = ["http", "sandbox", "sandbox_url"]

PLANS = "/api/v1/admin/central/plans"
TENANTS = "/api/v1/admin/central/tenants"


@pytest.fixture
async def platform(app: Largo) -> World:
    """A super-admin tenant with its owner."""
    world = await make_world(app.runtime)
    await ensure_tenant(world.runtime, world.tenant.slug, is_super_admin=True)
    return world


@pytest.fixture
async def root(app: Largo, platform: World) -> AsyncIterator[httpx.AsyncClient]:
    """The logged-in owner of the platform."""
    headers = {"Authorization": f"Bearer {platform.owner.token}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://largo.test", headers=headers
    ) as client:
        yield client


@pytest.fixture
async def plan(root: httpx.AsyncClient) -> AsyncIterator[PlanRead]:
    """A plan on sale for as long as the test runs."""
    body = {
        "code": f"p-{secrets.token_hex(5)}",
        "name": "Plano de teste",
        "price_cents": 1000,
        "modules": ["conversations"],
        "limits": {"users": 2, "documents": 7},
    }
    answer = await root.post(PLANS, json=body)
    assert answer.status_code == 201, answer.text
    made = PlanRead.model_validate(answer.json())
    yield made
    await root.patch(f"{PLANS}/{made.code}", json={"is_active": False})
