"""Tenants at the central console: made whole, changed everywhere at once, deleted on purpose."""

from __future__ import annotations

import asyncio
import re
import secrets
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.kernel.files.models import StoredFile
from app.kernel.jobs.service import JobContext
from app.kernel.tenants.rules import effective_limits, effective_modules
from app.kernel.tenants.service import ensure_tenant
from app.main import Largo
from app.saas.billing.models import BillingAccount
from app.saas.central.jobs import ERASE_LEFT_FILES, erase_left_files
from tests.architecture.routes import endpoints
from tests.factories.commerce import key
from tests.factories.images import image
from tests.factories.tenants import World, make_world
from tests.saas.conftest import TENANTS
from tests.saas.console import CENTRAL, client_with, system_rows, tenant_body, trail

LOGIN = "/api/v1/auth/login"


async def _count(world: World) -> tuple[int, int]:
    found = await system_rows(
        world.runtime,
        "SELECT (SELECT count(*) FROM tenants) AS t, (SELECT count(*) FROM users) AS u",
    )
    return found[0]["t"], found[0]["u"]


async def test_a_tenant_is_made_with_its_owner(
    root: httpx.AsyncClient, anonymous: httpx.AsyncClient, platform: World
) -> None:
    host = f"pedidos.{secrets.token_hex(4)}.example.com"
    body = tenant_body(
        hosts=[host],
        timezone="America/Manaus",
        locale="en",
        module_overrides={"conversations": True, "commerce": True},
        limit_overrides={"users": 1, "stores": None},
    )
    made = await root.post(TENANTS, json=body, headers=key())
    assert made.status_code == 201, made.text
    shown = made.json()
    assert shown["slug"] == body["slug"]
    assert (shown["timezone"], shown["locale"], shown["status"]) == (
        "America/Manaus",
        "en",
        "active",
    )
    assert {"commerce", "conversations"} <= set(shown["modules"])
    assert shown["limits"]["users"] == 1
    assert "stores" not in shown["limits"]
    assert (await root.get(f"{TENANTS}/{shown['id']}")).json() == shown

    given = {k: body["owner"][k] for k in ("email", "password")}
    entered = await anonymous.post(LOGIN, json=given, headers={"Host": host})
    assert entered.status_code == 200, entered.text
    assert entered.json()["user"]["role"] == "owner"
    token = {"Authorization": f"Bearer {entered.json()['access_token']}"}
    new = {"email": "dois@padaria.example", "name": "Dois", "role": "agent", "password": "farinha9"}
    anonymous.cookies.clear()
    refused = await anonymous.post("/api/v1/admin/users", json=new, headers=token | key())
    assert (refused.status_code, refused.json()["code"]) == (409, "limit-reached")

    told = await trail(platform, UUID(shown["id"]))
    assert [line.action for line in told] == ["tenant.created"]
    assert told[0].actor_id == platform.owner.id
    assert body["owner"]["password"] not in str(told[0].facts)
    own = await system_rows(
        platform.runtime,
        "SELECT action, actor_kind FROM audit_entries WHERE tenant_id = :id ORDER BY id",
        id=UUID(shown["id"]),
    )
    assert ("tenant.created", "platform") in {(r["action"], r["actor_kind"]) for r in own}


async def test_one_slug_and_one_host_lead_to_one_tenant(
    root: httpx.AsyncClient, platform: World
) -> None:
    slug = f"corrida-{secrets.token_hex(4)}"
    answers = await asyncio.gather(
        *(root.post(TENANTS, json=tenant_body(slug=slug), headers=key()) for _ in range(4))
    )
    assert sorted(a.status_code for a in answers) == [201, 409, 409, 409]
    assert {a.json()["code"] for a in answers if a.is_error} == {"organization-slug-taken"}

    host = f"loja.{secrets.token_hex(4)}.example.com"
    answers = await asyncio.gather(
        *(root.post(TENANTS, json=tenant_body(hosts=[host]), headers=key()) for _ in range(4))
    )
    assert sorted(a.status_code for a in answers) == [201, 409, 409, 409]
    assert {(a.json()["code"], a.json()["host"]) for a in answers if a.is_error} == {
        ("host-taken", host)
    }
    rows = await system_rows(
        platform.runtime,
        "SELECT count(*) FILTER (WHERE slug = :slug) AS slugs, "
        "count(*) FILTER (WHERE :host = ANY (hosts)) AS hosts FROM tenants",
        slug=slug,
        host=host,
    )
    assert rows == [{"slugs": 1, "hosts": 1}]


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"plan_code": "no-such-plan"}, 404, "plan-not-found"),
        ({"limit_overrides": {"users": 0}}, 409, "limit-reached"),
        ({"slug": "Com Espaço"}, 422, "invalid-request"),
        ({"hosts": ["https://loja.example.com"]}, 422, "invalid-request"),
        ({"hosts": ["127.0.0.1"]}, 422, "invalid-request"),
        ({"timezone": "Mars/Olympus"}, 422, "invalid-request"),
        ({"module_overrides": {"platform": False}}, 422, "invalid-request"),
        ({"limit_overrides": {"unicorns": 1}}, 422, "invalid-request"),
        ({"owner": {"email": "a@b.example", "name": "A", "password": "12345678"}}, 422, None),
    ],
)
async def test_what_cannot_be_made_leaves_nothing(
    root: httpx.AsyncClient, platform: World, wrong: dict[str, Any], status: int, code: str | None
) -> None:
    before = await _count(platform)
    answer = await root.post(TENANTS, json=tenant_body(**wrong), headers=key())
    assert answer.status_code == status, answer.text
    assert code is None or answer.json()["code"] == code
    assert await _count(platform) == before


async def test_create_twice_with_one_key_is_one_tenant(
    root: httpx.AsyncClient, platform: World
) -> None:
    body, once = tenant_body(), key()
    first = await root.post(TENANTS, json=body, headers=once)
    before = await _count(platform)
    again = await root.post(TENANTS, json=body, headers=once)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert await _count(platform) == before


async def test_changes_are_in_force_at_once(
    root: httpx.AsyncClient, owner: httpx.AsyncClient, world: World
) -> None:
    path = f"{TENANTS}/{world.tenant.id}"
    assert (await owner.get("/api/v1/admin/stores")).status_code == 200
    changed = await root.patch(path, json={"module_overrides": {"commerce": False}})
    assert changed.status_code == 200, changed.text
    assert changed.json()["modules"] == ["conversations"]
    assert (await owner.get("/api/v1/admin/stores")).json()["code"] == "module-not-enabled"

    # What was agreed beside the plan outlasts a change of plan.
    await root.post(f"{path}/plan", json={"plan_code": "pro"})
    assert (await owner.get("/api/v1/admin/stores")).json()["code"] == "module-not-enabled"
    body = {"module_overrides": {}, "limit_overrides": {"users": 3}, "name": "Nome novo"}
    shown = (await root.patch(path, json=body)).json()
    assert (shown["name"], shown["limits"]["users"], shown["plan_code"]) == ("Nome novo", 3, "pro")
    usage = {i["limit"]: i for i in (await owner.get("/api/v1/usage")).json()["items"]}
    assert usage["users"]["allowed"] == 3
    assert (await owner.get("/api/v1/auth/me")).json()["tenant_name"] == "Nome novo"
    lines = [line for line in await trail(world) if line.action == "tenant.updated"]
    assert len(lines) == 2
    assert lines[1].facts["before"] == {
        "module_overrides": {"commerce": False},
        "limit_overrides": {},
        "name": world.tenant.name,
    }
    assert (await root.patch(path, json=body)).status_code == 200
    assert len([x for x in await trail(world) if x.action == "tenant.updated"]) == 2


async def test_a_taken_host_changes_nothing(
    root: httpx.AsyncClient, world: World, stranger: World, anonymous: httpx.AsyncClient
) -> None:
    host = f"loja.{secrets.token_hex(4)}.example.com"
    mine, theirs = f"{TENANTS}/{world.tenant.id}", f"{TENANTS}/{stranger.tenant.id}"
    assert (await root.patch(mine, json={"hosts": [host, host]})).json()["hosts"] == [host]
    refused = await root.patch(theirs, json={"hosts": [host], "name": "Outro"})
    assert (refused.status_code, refused.json()["code"]) == (409, "host-taken")
    assert (await root.get(theirs)).json()["name"] == stranger.tenant.name
    assert (await root.patch(mine, json={"hosts": [host]})).status_code == 200, "its own already"
    assert (await root.patch(mine, json={"hosts": []})).json()["hosts"] == []
    assert (await root.patch(theirs, json={"hosts": [host]})).status_code == 200
    credentials = {"email": stranger.owner.email, "password": "correct horse battery"}
    entered = await anonymous.post(LOGIN, json=credentials, headers={"Host": host})
    assert entered.status_code == 200, "the host leads to its new tenant"
    anonymous.cookies.clear()


async def test_first_access_test(
    root: httpx.AsyncClient, owner: httpx.AsyncClient, world: World
) -> None:
    path = f"{TENANTS}/{world.tenant.id}/first-access-test"
    assert (await owner.get("/api/v1/auth/me")).json()["first_access_test"] is False
    done = await owner.post("/api/v1/organizations/me/complete-onboarding")
    assert done.status_code == 200, done.text
    for is_on in (True, True, False):
        shown = await root.put(path, json={"is_on": is_on})
        assert (shown.status_code, shown.json()["first_access_test"]) == (200, is_on)
        assert (await owner.get("/api/v1/auth/me")).json()["first_access_test"] is is_on
        steps = (await owner.get("/api/v1/admin/onboarding")).json()
        assert (steps["completed_at"] is None) is is_on
    actions = [line.action for line in await trail(world, world.tenant.id)]
    assert actions == ["organization.onboarded", *["tenant.first_access_test_set"] * 2]


async def test_deleting_is_deliberate_and_whole(
    root: httpx.AsyncClient,
    owner: httpx.AsyncClient,
    platform: World,
    world: World,
    stranger: World,
    app: Largo,
) -> None:
    sent = {"file": ("foto.png", image(color=(9, 8, 7)), "image/png")}
    stored = await owner.post("/api/v1/admin/files", files=sent)
    assert stored.status_code in (200, 201), stored.text
    async with world.work() as work:
        found = await work.session.get(StoredFile, UUID(stored.json()["id"]))
        assert found is not None
        kept = Path(world.runtime.settings.media_root) / found.key
    path = f"{TENANTS}/{world.tenant.id}"

    refused = await root.delete(path, params={"confirm": world.tenant.slug})
    assert (refused.status_code, refused.json()["code"]) == (409, "tenant-not-deletable")
    await root.post(f"{path}/suspend", json={"reason": "contrato encerrado"})
    refused = await root.delete(path, params={"confirm": stranger.tenant.slug})
    assert (refused.status_code, refused.json()["code"]) == (422, "deletion-not-confirmed")
    assert (await root.delete(path)).status_code == 422
    assert (await root.get(path)).status_code == 200

    before = await system_rows(
        platform.runtime, "SELECT count(*) FROM users WHERE tenant_id = :id", id=stranger.tenant.id
    )
    gone = await root.delete(path, params={"confirm": world.tenant.slug})
    assert gone.status_code == 204, gone.text
    assert (await root.get(path)).json()["code"] == "tenant-not-found"
    assert (await owner.get("/api/v1/auth/me")).json()["code"] == "unknown-tenant"
    for table in ("users", "user_sessions", "audit_entries", "files"):
        left = f"SELECT count(*) FROM {table} WHERE tenant_id = :id"  # noqa: S608 - names above
        rows = await system_rows(platform.runtime, left, id=world.tenant.id)
        assert rows == [{"count": 0}], table
    assert before == await system_rows(
        platform.runtime, "SELECT count(*) FROM users WHERE tenant_id = :id", id=stranger.tenant.id
    )
    [line] = [x for x in await trail(platform, world.tenant.id) if x.action == "tenant.deleted"]
    assert line.facts["before"]["slug"] == world.tenant.slug

    queued = await system_rows(
        platform.runtime,
        "SELECT convert_from(payload, 'UTF8')::jsonb AS body FROM pgqueuer "
        "WHERE entrypoint = :name",
        name=ERASE_LEFT_FILES,
    )
    payloads = [q["body"]["payload"] for q in queued if found.key in q["body"]["payload"]["keys"]]
    assert len(payloads) == 1
    assert await asyncio.to_thread(kept.exists)
    job = JobContext(platform.runtime, platform.work, platform.tenant.id, payloads[0], 1)
    for _ in range(2):
        await erase_left_files(job)
        assert not await asyncio.to_thread(kept.exists)


async def test_who_is_still_charged_is_not_deleted(root: httpx.AsyncClient, world: World) -> None:
    path = f"{TENANTS}/{world.tenant.id}"
    await root.post(f"{path}/suspend", json={"reason": "contrato encerrado"})
    async with world.runtime.database.system_session() as session:
        account = BillingAccount(id=world.tenant.id, subscription_id="sub_1", status="past_due")
        session.add(account)
        await session.commit()
        refused = await root.delete(path, params={"confirm": world.tenant.slug})
        assert (refused.status_code, refused.json()["code"]) == (409, "tenant-still-charged")
        assert (await root.get(path)).status_code == 200
        account.status = "canceled"
        await session.commit()
    assert (await root.delete(path, params={"confirm": world.tenant.slug})).status_code == 204


async def test_the_platform_cannot_delete_itself(root: httpx.AsyncClient, platform: World) -> None:
    await ensure_tenant(platform.runtime, platform.tenant.slug, name="Plataforma")
    refused = await root.delete(
        f"{TENANTS}/{platform.tenant.id}", params={"confirm": platform.tenant.slug}
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "tenant-not-deletable")
    assert (await root.get(f"{TENANTS}/{platform.tenant.id}")).status_code == 200


async def test_the_console_is_the_platform_owners_alone(
    app: Largo, platform: World, world: World, owner: httpx.AsyncClient
) -> None:
    """Every route of it: not another tenant's owner, not the platform's admin, not nobody."""
    admin = await platform.member("admin")
    names = {
        "tenant_id": str(world.tenant.id),
        "user_id": str(world.owner.id),
        "code": "pro",
        "channel": "whatsapp",
    }
    desk = [route for route in endpoints(app.api) if route.path.startswith(CENTRAL)]
    assert len(desk) > 25
    async with client_with(app, admin.token) as below, client_with(app, "") as nobody:
        nobody.headers.pop("Authorization")
        for route in desk:
            path = re.sub(r"{(\w+)}", lambda m: names.get(m[1], str(uuid4())), route.path)
            for client, status, code in (
                (owner, 403, "system-admin-only"),
                (below, 403, "system-admin-only"),
                (nobody, 401, "unauthenticated"),
            ):
                answer = await client.request(route.method, path)
                assert (answer.status_code, answer.json()["code"]) == (status, code), route.name


async def test_unknown_tenants_are_not_found(
    app: Largo, root: httpx.AsyncClient, platform: World
) -> None:
    world = await make_world(platform.runtime)
    person = {"email": "a@b.example", "name": "A", "role": "agent", "password": "farinha-de-trigo"}
    bodies: dict[str, Any] = {
        "POST /users": person,
        "PATCH /users/{user_id}": {"name": "B"},
        "POST /users/{user_id}/password": {"password": "farinha-de-trigo"},
        "PATCH ": {"name": "B"},
        "PUT /first-access-test": {"is_on": True},
        "POST /plan": {"plan_code": "pro"},
        "POST /suspend": {"reason": "não existe"},
        "POST /impersonations": {"user_id": str(world.owner.id), "reason": "chamado 4127"},
        "PUT /messaging/{channel}": {
            "config": {"chat_id": "1"},
            "secret": {"bot_token": "12345678"},
        },
    }
    tried = 0
    for route in endpoints(app.api):
        prefix = f"{TENANTS}/{{tenant_id}}"
        if not route.path.startswith(prefix):
            continue
        tail = route.path.removeprefix(prefix)
        path = f"{TENANTS}/{uuid4()}" + tail.format_map(
            {
                "user_id": world.owner.id,
                "channel": "telegram",
                "impersonation_id": uuid4(),
                "job_id": 1,
            }
        )
        answer = await root.request(
            route.method,
            path,
            json=bodies.get(f"{route.method} {tail}"),
            params={"confirm": "nada"} if (route.method, tail) == ("DELETE", "") else {},
            headers=key() if route.method == "POST" else {},
        )
        assert (answer.status_code, answer.json()["code"]) == (404, "tenant-not-found"), route.name
        tried += 1
    assert tried > 18


def test_what_is_agreed_beside_the_plan() -> None:
    assert effective_modules(["a", "b"], {"b": False, "c": True, "a": True}) == ["a", "c"]
    assert effective_modules([], {"x": False}) == []
    assert effective_limits({"users": 3, "stores": 1}, {"users": 9, "stores": None}) == {"users": 9}
    assert effective_limits({"users": 3}, {}) == {"users": 3}
