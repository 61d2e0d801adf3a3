"""Which tenant a request is for: the order of the signs, the refusals, and prompt forgetting."""

from __future__ import annotations

import asyncio
import secrets
from typing import Literal
from uuid import uuid4

import httpx
import pytest

from app.core.settings import Settings
from app.kernel.tenancy import TenantDirectory, UnknownTenant
from app.kernel.tenants.service import ensure_tenant
from app.kernel.work import Runtime
from app.main import create_app
from app.worker import build_runtime, close_runtime
from tests.conftest import serving
from tests.factories.tenants import World, make_world

ME = "/api/v1/auth/me"
CATALOG = "/api/v1/catalog"


def _bearer(world: World) -> dict[str, str]:
    return {"Authorization": f"Bearer {world.owner.token}"}


async def _slug(client: httpx.AsyncClient, headers: dict[str, str]) -> str:
    """The slug that a member's own tenant answers with; else status and code."""
    answer = await client.get(ME, headers=headers)
    body = answer.json()
    return str(body.get("tenant_slug") or f"{answer.status_code} {body['code']}")


async def test_headers_come_in_order(
    anonymous: httpx.AsyncClient, world: World, stranger: World
) -> None:
    mine, other = world.tenant, stranger.tenant
    bearer = _bearer(world)
    by_id = bearer | {"X-Tenant-Id": str(mine.id)}
    assert await _slug(anonymous, by_id) == mine.slug
    assert await _slug(anonymous, by_id | {"X-Tenant": other.slug}) == mine.slug
    assert await _slug(anonymous, bearer | {"X-Tenant-Id": str(mine.id).upper()}) == mine.slug
    assert await _slug(anonymous, bearer | {"X-Tenant": mine.slug.upper()}) == mine.slug
    # Nothing named: the session's own.
    assert await _slug(anonymous, bearer) == mine.slug


async def test_header_against_session_is_refused(
    anonymous: httpx.AsyncClient, world: World, stranger: World
) -> None:
    for name, value in (
        ("X-Tenant-Id", str(stranger.tenant.id)),
        ("X-Tenant", stranger.tenant.slug),
    ):
        assert await _slug(anonymous, _bearer(world) | {name: value}) == "403 tenant-mismatch"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Tenant": "nobody-here"},
        {"X-Tenant": ""},
        {"X-Tenant": "x' OR 1=1 --"},
        {"X-Tenant": "caf\xe9"},
        {"X-Tenant-Id": str(uuid4())},
        {"X-Tenant-Id": "not-a-uuid"},
    ],
)
async def test_unknown_tenant(anonymous: httpx.AsyncClient, headers: dict[str, str]) -> None:
    encoded = {k: v.encode("latin-1") for k, v in headers.items()}
    answer = await anonymous.get(CATALOG, headers=encoded)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-tenant")


async def test_no_tenant_at_all(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get(CATALOG)
    assert (answer.status_code, answer.json()["code"]) == (400, "tenant-required")
    assert (await anonymous.get("/health")).status_code == 200


async def test_suspended_tenant_is_refused_until_it_is_not(
    anonymous: httpx.AsyncClient, world: World
) -> None:
    await ensure_tenant(world.runtime, world.tenant.slug, status="suspended")
    for headers in ({"X-Tenant": world.tenant.slug}, _bearer(world)):
        answer = await anonymous.get(CATALOG, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "tenant-suspended")
    await ensure_tenant(world.runtime, world.tenant.slug, status="active")
    assert await _slug(anonymous, _bearer(world)) == world.tenant.slug


@pytest.mark.parametrize("status", ["past_due", "canceled", "unpaid"])
async def test_unpaid_subscription_has_no_modules(
    owner: httpx.AsyncClient,
    world: World,
    status: Literal["past_due", "canceled", "unpaid"],
) -> None:
    runtime, slug = world.runtime, world.tenant.slug
    assert (await owner.get("/api/v1/admin/stores")).status_code == 200
    await ensure_tenant(runtime, slug, subscription_status=status)
    for path in ("/api/v1/admin/stores", CATALOG):
        answer = await owner.get(path)
        assert (answer.status_code, answer.json()["code"]) == (403, "module-not-enabled")
    me = (await owner.get(ME)).json()
    assert me["modules"] == ["platform"], "one can still log in and settle it"
    await ensure_tenant(runtime, slug, subscription_status="trialing")
    assert (await owner.get("/api/v1/admin/stores")).status_code == 200


async def test_plan_without_the_module(runtime: Runtime, anonymous: httpx.AsyncClient) -> None:
    world = await make_world(runtime, modules=("conversations",))
    answer = await anonymous.get("/api/v1/admin/stores", headers=_bearer(world))
    assert (answer.status_code, answer.json()["code"]) == (403, "module-not-enabled")


async def test_hosts_subdomains_and_the_legacy_tenant(config: Settings, world: World) -> None:
    host = f"{secrets.token_hex(4)}.pizza.example"
    await ensure_tenant(world.runtime, world.tenant.slug, hosts=[host])
    other = await make_world(world.runtime)
    legacy = await make_world(world.runtime)
    special = config.model_copy(
        update={"base_domain": "lojas.example", "legacy_tenant": legacy.tenant.slug}
    )
    async with serving(create_app(special)) as app:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:

            async def at(name: str, of: World, **headers: str) -> str:
                return await _slug(client, _bearer(of) | {"Host": name} | headers)

            assert await at(host, world) == world.tenant.slug
            assert await at(f"{host.upper()}:8443", world) == world.tenant.slug
            assert await at(host, other) == "403 tenant-mismatch"
            sub = f"{other.tenant.slug}.lojas.example"
            assert await at(sub, other) == other.tenant.slug
            assert await at(sub, world) == "403 tenant-mismatch"
            # Headers before host; host before session; session before legacy.
            assert await at(sub, world, **{"X-Tenant": world.tenant.slug}) == world.tenant.slug
            assert await at("localhost", world) == world.tenant.slug
            assert await at("127.0.0.1:8000", other) == other.tenant.slug
            assert await at("nobody.lojas.example", legacy) == legacy.tenant.slug
            named = {"Host": "localhost", "X-Tenant": legacy.tenant.slug}
            front = [await client.get(CATALOG, headers=h) for h in ({"Host": "localhost"}, named)]
            codes = [a.json().get("code") for a in front]
            assert codes[0] == codes[1]
            assert codes[0] not in ("tenant-required", "unknown-tenant")
            bad = {"Host": "localhost", "Authorization": "Bearer not.a.token"}
            answer = await client.get(ME, headers=bad)
            assert answer.json()["code"] == "session-ended"


async def test_change_is_heard_in_another_process(config: Settings, world: World) -> None:
    other = build_runtime(config)
    await other.bus.start()
    try:
        before = await other.tenants.find("slug", world.tenant.slug)
        assert before is not None
        assert before.name == world.tenant.name
        assert other.tenants.cached("slug", world.tenant.slug) is before
        await ensure_tenant(world.runtime, world.tenant.slug, name="Outro nome")
        await asyncio.sleep(0.2)
        after = await other.tenants.find("slug", world.tenant.slug)
        assert after is not None
        assert after.name == "Outro nome"
        assert after.modules == before.modules, "what was not named stays"
        by_id = await other.tenants.by_id(world.tenant.id)
        assert by_id.name == "Outro nome"
        with pytest.raises(UnknownTenant):
            await other.tenants.by_id(uuid4())
    finally:
        await close_runtime(other)


async def test_a_ring_during_the_look_up_is_not_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look-up read the old row, then the change rang, then the look-up came home."""
    directory = TenantDirectory(world.runtime.database, world.runtime.bus)
    load = directory._load

    async def slow(kind: str, key: str) -> object:
        found = await load(kind, key)
        await ensure_tenant(world.runtime, world.tenant.slug, name="Nome novo")
        return found

    monkeypatch.setattr(directory, "_load", slow)
    await directory.find("slug", world.tenant.slug)
    monkeypatch.setattr(directory, "_load", load)
    found = await directory.find("slug", world.tenant.slug)
    assert found is not None
    assert found.name == "Nome novo"


async def test_ensure_creates_once_and_then_changes_only_what_is_said(runtime: Runtime) -> None:
    slug = f"t-{secrets.token_hex(6)}"
    made = await asyncio.gather(*(ensure_tenant(runtime, slug, name="Nova") for _ in range(5)))
    assert len({m.id for m in made}) == 1
    assert made[0].subscription_status == "trialing"
    changed = await ensure_tenant(runtime, slug, modules=["commerce"], limits={"users": 3})
    assert (changed.id, changed.name) == (made[0].id, "Nova")
    assert (changed.modules, changed.limits) == (frozenset({"commerce"}), {"users": 3})
