"""API keys: what a program may do with one, how it ends, and that it never hands out access."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from app.core.clock import now
from app.core.settings import Settings
from app.kernel.access import MODULES, NOT_FOR_KEYS
from app.kernel.apikeys import service as apikeys
from app.kernel.apikeys.models import ApiKey
from app.kernel.audit.models import AuditEntry
from app.kernel.users.models import User
from app.main import Largo, create_app
from tests.conftest import serving
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf

KEYS, ORDERS = "/api/v1/admin/api-keys", "/api/v1/admin/orders"
READS = ["commerce.orders:read"]


async def _make(owner: httpx.AsyncClient, scopes: list[str], **other: Any) -> dict[str, Any]:
    answer = await owner.post(KEYS, json={"name": "ERP", "scopes": scopes} | other)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def _bearer(made: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {made['key']}"}


async def _rows(world: World) -> list[ApiKey]:
    async with world.work() as work:
        return list((await work.session.scalars(select(ApiKey).order_by(ApiKey.id))).all())


async def _told(world: World, action: str) -> int:
    async with world.work() as work:
        found = await work.session.scalar(select(func.count()).where(AuditEntry.action == action))
    return found or 0


async def _set(world: World, **values: Any) -> None:
    async with world.work() as work:
        await work.session.execute(update(ApiKey).values(**values))


async def test_the_secret_is_shown_once_and_kept_as_a_hash(
    owner: httpx.AsyncClient, world: World
) -> None:
    made = await _make(owner, [*READS, *READS], expires_in_days=30)
    assert made["key"].startswith("lgk_")
    assert len(made["key"]) > 40
    assert made["prefix"] == made["key"][:12]
    assert made["scopes"] == READS
    assert made["created_by"] == str(world.owner.id)
    listed = await owner.get(KEYS)
    assert made["key"] not in listed.text
    assert listed.json()["items"][0]["id"] == made["id"]
    (row,) = await _rows(world)
    assert made["key"].encode() not in row.key_hash
    assert row.expires_at is not None
    assert timedelta(days=29) < row.expires_at - now() < timedelta(days=31)
    trail = await owner.get("/api/v1/admin/audit", params={"resource": "api_key"})
    assert made["key"] not in trail.text


async def test_both_headers_open_what_the_scopes_say_and_nothing_else(
    owner: httpx.AsyncClient, anonymous: httpx.AsyncClient, world: World
) -> None:
    made = await _make(owner, READS)
    for headers in (_bearer(made), {"X-Api-Key": made["key"]}):
        answer = await anonymous.get(ORDERS, headers=headers)
        assert answer.status_code == 200, "the key itself names the tenant"
        named = headers | {"X-Tenant": world.tenant.slug}
        assert (await anonymous.get(ORDERS, headers=named)).status_code == 200
        refused = await anonymous.get("/api/v1/admin/customers", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "action-not-allowed")


async def test_what_a_person_does_is_closed_to_keys(
    owner: httpx.AsyncClient, anonymous: httpx.AsyncClient, world: World
) -> None:
    made = await _make(owner, READS)
    for method, path in (
        ("GET", "/api/v1/auth/me"),
        ("POST", "/api/v1/auth/logout"),
        ("GET", "/api/v1/user/profile"),
        ("GET", "/api/v1/events"),
        ("GET", "/api/v1/admin/central/tenants"),
    ):
        answer = await anonymous.request(method, path, headers=_bearer(made))
        assert (answer.status_code, answer.json()["code"]) == (403, "person-only"), path
    assert (await owner.get("/api/v1/auth/me")).status_code == 200


async def test_a_key_of_another_tenant_is_refused(
    owner: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    world: World,
) -> None:
    theirs = await _make(outsider, READS)
    headers = _bearer(theirs) | {"X-Tenant": world.tenant.slug}
    answer = await anonymous.get(ORDERS, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "tenant-mismatch")
    mine = await _make(owner, READS)
    gone = await outsider.delete(f"{KEYS}/{mine['id']}")
    assert (gone.status_code, gone.json()["code"]) == (404, "api-key-not-found")
    assert mine["id"] not in (await outsider.get(KEYS)).text
    assert (await anonymous.get(ORDERS, headers=_bearer(mine))).status_code == 200


@pytest.mark.parametrize("key", ["lgk_unknown", "lgk_" + "x" * 43, "lgk_é", "lgk_"])
async def test_an_unknown_key_is_refused(shopper: httpx.AsyncClient, key: str) -> None:
    for name, value in (("Authorization", f"Bearer {key}"), ("X-Api-Key", key)):
        answer = await shopper.get(ORDERS, headers=[(name.encode(), value.encode())])
        assert (answer.status_code, answer.json()["code"]) == (401, "api-key-invalid")


async def test_a_session_token_is_no_api_key(shopper: httpx.AsyncClient, world: World) -> None:
    answer = await shopper.get(ORDERS, headers={"X-Api-Key": world.owner.token})
    assert (answer.status_code, answer.json()["code"]) == (401, "api-key-invalid")


async def test_scopes_stay_within_what_the_maker_may(
    owner: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    everything = {f"{m}.{a}" for m, actions in MODULES.items() for a in actions}
    for scope in NOT_FOR_KEYS:
        refused = await owner.post(KEYS, json={"name": "ERP", "scopes": [*READS, scope]})
        assert (refused.status_code, refused.json()["code"]) == (403, "scope-beyond-yours")
        assert refused.json()["scopes"] == [scope]
    for scopes in (["commerce.orders:eat"], [], ["orders"]):
        assert (await owner.post(KEYS, json={"name": "E", "scopes": scopes})).status_code == 422
    assert await _rows(world) == []
    await _make(owner, sorted(everything - NOT_FOR_KEYS))

    group = {"name": "Integração", "grants": ["platform.api-keys:write"]}
    group_id = (await owner.post("/api/v1/admin/groups", json=group)).json()["id"]
    agent = await world.member("agent")
    await owner.put(f"/api/v1/admin/groups/{group_id}/members", json={"user_ids": [str(agent.id)]})
    client = await client_of(world, agent)
    await _make(client, READS)
    beyond = await client.post(KEYS, json={"name": "ERP", "scopes": ["commerce.stores:write"]})
    assert beyond.status_code == 403
    assert len(await _rows(world)) == 2


async def test_without_the_grant(world: World, client_of: ClientOf) -> None:
    manager = await client_of(world, await world.member("manager"))
    assert (await manager.get(KEYS)).status_code == 200
    refused = await manager.post(KEYS, json={"name": "ERP", "scopes": READS})
    assert (refused.status_code, refused.json()["code"]) == (403, "action-not-allowed")
    agent = await client_of(world, await world.member("agent"))
    assert (await agent.get(KEYS)).status_code == 403
    assert await _rows(world) == []


async def test_a_key_shrinks_and_dies_with_its_maker(
    owner: httpx.AsyncClient, anonymous: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    admin = await world.member("admin")
    made = await _make(await client_of(world, admin), [*READS, "platform.users:read"])
    users = "/api/v1/admin/users"
    assert (await anonymous.get(users, headers=_bearer(made))).status_code == 200
    await owner.patch(f"{users}/{admin.id}", json={"role": "agent"})
    assert (await anonymous.get(users, headers=_bearer(made))).status_code == 403
    assert (await anonymous.get(ORDERS, headers=_bearer(made))).status_code == 200
    await owner.delete(f"{users}/{admin.id}")
    answer = await anonymous.get(ORDERS, headers=_bearer(made) | {"X-Tenant": world.tenant.slug})
    assert (answer.status_code, answer.json()["code"]) == (401, "api-key-invalid")


async def test_an_expired_key_is_refused(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    made = await _make(owner, READS)
    await _set(world, expires_at=now() - timedelta(seconds=1))
    assert (await shopper.get(ORDERS, headers=_bearer(made))).status_code == 401
    forever = await _make(owner, READS, expires_in_days=None)
    assert forever["expires_at"] is None
    assert (await shopper.get(ORDERS, headers=_bearer(forever))).status_code == 200


async def test_a_plan_without_the_module_closes_it_to_keys(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    made = await _make(owner, READS)
    async with world.runtime.database.system_engine.begin() as connection:
        await connection.exec_driver_sql(
            f"UPDATE tenants SET modules = '{{}}' WHERE id = '{world.tenant.id}'"  # noqa: S608
        )
    await world.runtime.bus.ring("tenants", str(world.tenant.id))
    answer = await shopper.get(ORDERS, headers=_bearer(made))
    assert (answer.status_code, answer.json()["code"]) == (403, "module-not-enabled")


async def test_revoking_twice_at_once_is_one_revocation(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    made = await _make(owner, READS)
    assert (await shopper.get(ORDERS, headers=_bearer(made))).status_code == 200
    url = f"{KEYS}/{made['id']}"
    answers = await asyncio.gather(*(owner.delete(url) for _ in range(5)))
    assert [a.status_code for a in answers] == [204] * 5
    assert await _told(world, "api_key.revoked") == 1
    answer = await shopper.get(ORDERS, headers=_bearer(made))
    assert (answer.status_code, answer.json()["code"]) == (401, "api-key-invalid")
    assert (await owner.get(KEYS)).json()["items"][0]["revoked_at"] is not None


async def test_every_process_refuses_a_revoked_key_within_a_second(
    owner: httpx.AsyncClient, world: World, config: Settings
) -> None:
    made = await _make(owner, READS)
    async with serving(create_app(config)) as elsewhere:
        transport = httpx.ASGITransport(elsewhere)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://largo.test", headers=_bearer(made)
        ) as client:
            assert (await client.get(ORDERS)).status_code == 200
            # Deaf to the doorbell: the cache's own life is the bound.
            elsewhere.runtime.bus._listeners.clear()
            await owner.delete(f"{KEYS}/{made['id']}")
            await asyncio.sleep(1)
            assert (await client.get(ORDERS)).status_code == 401


async def test_use_is_noted_once_a_minute(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World, app: Largo
) -> None:
    made = await _make(owner, READS)

    async def use() -> Any:
        app.runtime.keys._cache.clear()
        assert (await shopper.get(ORDERS, headers=_bearer(made))).status_code == 200
        return (await _rows(world))[0].last_used_at

    first = await use()
    assert now() - first < timedelta(seconds=10)
    assert await use() == first
    await _set(world, last_used_at=first - timedelta(seconds=61))
    assert await use() > first


async def test_whoever_revokes_holds_up_no_request(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    made = await _make(owner, READS)
    async with world.work() as work:
        await (await work.raw()).execute("SELECT FROM api_keys FOR UPDATE")
        async with asyncio.timeout(1):
            answer = await shopper.get(ORDERS, headers=_bearer(made))
    assert answer.status_code == 200


async def test_the_trail_names_the_key(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    made = await _make(owner, ["platform.departments:write"])
    body = {"name": "Entregas"}
    done = await shopper.post("/api/v1/admin/departments", json=body, headers=_bearer(made))
    assert done.status_code == 201, done.text
    (entry,) = (
        await owner.get("/api/v1/admin/audit", params={"action": "department.created"})
    ).json()["items"]
    assert entry["actor_kind"] == "api_key"
    assert entry["actor_id"] == made["id"]
    assert entry["actor_name"] == f"ERP ({made['prefix']}…)"


async def test_there_is_an_end_to_keys_even_for_many_at_once(
    owner: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apikeys, "MOST", 3)
    body = {"name": "ERP", "scopes": READS}
    answers = await asyncio.gather(*(owner.post(KEYS, json=body) for _ in range(6)))
    assert sorted(a.status_code for a in answers) == [201] * 3 + [409] * 3
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"too-many-api-keys"}
    assert len(await _rows(world)) == 3
    await owner.delete(f"{KEYS}/{(await _rows(world))[0].id}")
    assert (await owner.post(KEYS, json=body)).status_code == 201


async def test_an_integration_is_not_counted_as_a_stranger(
    owner: httpx.AsyncClient, config: Settings, world: World
) -> None:
    made = await _make(owner, ["platform.departments:write"])
    strict = config.model_copy(update={"environment": "development", "rate_limit_anonymous": 2})
    async with serving(create_app(strict)) as elsewhere:
        transport = httpx.ASGITransport(elsewhere)
        async with httpx.AsyncClient(transport=transport, base_url="http://largo.test") as client:

            async def post(key: str, n: int) -> int:
                headers = {"X-Api-Key": key, "X-Tenant": world.tenant.slug}
                body = {"name": f"D{n}"}
                answer = await client.post("/api/v1/admin/departments", json=body, headers=headers)
                return answer.status_code

            assert [await post(made["key"], n) for n in range(5)] == [201] * 5
            invented = [await post("lgk_invented", n) for n in range(3)]
    assert invented == [401, 429, 429]
    async with world.work() as work:
        assert await work.session.scalar(select(func.count()).select_from(User)) == 1
