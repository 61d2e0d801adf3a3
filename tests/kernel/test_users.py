"""Users: hire, change, lock out; limits and the last owner hold under concurrency."""

from __future__ import annotations

import asyncio
import secrets
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select

from app.kernel.audit.models import AuditEntry
from app.kernel.sessions.models import UserSession
from app.kernel.tenants.service import ensure_tenant
from app.kernel.users.models import User
from tests.factories.tenants import PASSWORD, World
from tests.kernel.conftest import ClientOf

USERS = "/api/v1/admin/users"


def _body(role: str = "agent", **other: str) -> dict[str, str]:
    return {
        "email": f"{secrets.token_hex(5)}@bellamassa.example",
        "name": "Marina Duarte",
        "role": role,
        "password": "forno-a-lenha-2026",
    } | other


async def _count(world: World) -> int:
    async with world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(User)) or 0


async def _user(world: World, user_id: object) -> User:
    async with world.work() as work:
        return (await work.session.execute(select(User).where(User.id == user_id))).scalar_one()


async def _live_sessions(world: World, user_id: object) -> int:
    async with world.work() as work:
        found = await work.session.scalar(
            select(func.count())
            .select_from(UserSession)
            .where(UserSession.user_id == user_id, UserSession.revoked_at.is_(None))
        )
    return found or 0


async def test_create_get_list_and_log_in(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    body = _body("manager", email="Marina@BellaMassa.example")
    made = await owner.post(USERS, json=body)
    assert made.status_code == 201, made.text
    user = made.json()
    assert user["email"] == "marina@bellamassa.example"
    assert user["is_active"] is True
    assert "password" not in made.text
    assert (await owner.get(f"{USERS}/{user['id']}")).json() == user

    listed = (await owner.get(USERS)).json()
    assert [u["id"] for u in listed["items"]] == [user["id"], str(world.owner.id)]
    only = (await owner.get(USERS, params={"role": "owner"})).json()
    assert [u["id"] for u in only["items"]] == [str(world.owner.id)]
    first = (await owner.get(USERS, params={"limit": 1})).json()
    second = (await owner.get(USERS, params={"cursor": first["next_cursor"]})).json()
    assert [u["id"] for u in second["items"]] == [str(world.owner.id)]
    assert second["next_cursor"] is None

    login = {"email": user["email"], "password": body["password"]}
    assert (await shopper.post("/api/v1/auth/login", json=login)).status_code == 200
    async with world.work() as work:
        entry = (
            await work.session.execute(
                select(AuditEntry).where(AuditEntry.action == "user.created")
            )
        ).scalar_one()
    assert str(entry.resource_id) == user["id"]
    assert body["password"] not in str(entry.facts)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"password": "seven77"}, "/body/password"),
        ({"password": "x" * 1025}, "/body/password"),
        ({"email": "not an address"}, "/body/email"),
        ({"email": "joão@bellamassa.example"}, "/body/email"),
        ({"name": ""}, "/body/name"),
        ({"role": "king"}, "/body/role"),
        ({"tenant_id": str(uuid4())}, "/body/tenant_id"),
    ],
)
async def test_create_refuses_bad_bodies(
    owner: httpx.AsyncClient, world: World, change: dict[str, str], pointer: str
) -> None:
    answer = await owner.post(USERS, json=_body() | change)
    assert answer.status_code == 422
    assert [e["pointer"] for e in answer.json()["errors"]] == [pointer]
    assert change.get("password", "\0") not in answer.text
    assert await _count(world) == 1


async def test_email_taken_within_tenant_only(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World
) -> None:
    body = _body()
    assert (await owner.post(USERS, json=body)).status_code == 201
    again = await owner.post(USERS, json=body | {"email": body["email"].upper()})
    assert (again.status_code, again.json()["code"]) == (409, "email-taken")
    assert await _count(world) == 2
    assert (await outsider.post(USERS, json=body)).status_code == 201


async def test_grants_and_strangers(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    agent = await client_of(world, await world.member("agent"))
    manager = await client_of(world, await world.member("manager"))
    target = f"{USERS}/{world.owner.id}"
    assert (await agent.get(USERS)).json()["code"] == "action-not-allowed"
    assert (await manager.get(USERS)).status_code == 200
    for client, status, code in (
        (manager, 403, "action-not-allowed"),
        (outsider, 404, "user-not-found"),
    ):
        for answer in (
            await client.patch(target, json={"name": "Outra"}),
            await client.post(f"{target}/password", json={"password": "another-one-99"}),
            await client.delete(target),
        ):
            assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await outsider.get(target)).status_code == 404
    user = await _user(world, world.owner.id)
    assert (user.name, user.is_active) == ("Owner", True)
    assert (await owner.get("/api/v1/auth/me")).status_code == 200


async def test_only_an_owner_makes_or_changes_owners(world: World, client_of: ClientOf) -> None:
    admin = await client_of(world, await world.member("admin"))
    target = f"{USERS}/{world.owner.id}"
    member = await world.member("agent")
    before = await _count(world)
    for answer in (
        await admin.post(USERS, json=_body("owner")),
        await admin.patch(f"{USERS}/{member.id}", json={"role": "owner"}),
        await admin.patch(target, json={"role": "viewer"}),
        await admin.patch(target, json={"name": "Outra"}),
        await admin.post(f"{target}/password", json={"password": "another-one-99"}),
        await admin.delete(target),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "role-above-yours")
    assert await _count(world) == before
    kept = await _user(world, world.owner.id)
    assert (kept.role, kept.name, kept.is_active) == ("owner", "Owner", True)
    assert (await _user(world, member.id)).role == "agent"
    assert (await admin.post(USERS, json=_body("admin"))).status_code == 201


async def test_patch_changes_only_what_is_sent(owner: httpx.AsyncClient, world: World) -> None:
    member = await world.member("agent")
    answer = await owner.patch(f"{USERS}/{member.id}", json={"role": "manager"})
    assert answer.status_code == 200
    assert (answer.json()["role"], answer.json()["name"]) == ("manager", "Agent")
    missing = await owner.patch(f"{USERS}/{uuid4()}", json={"role": "manager"})
    assert missing.json()["code"] == "user-not-found"


async def test_new_role_counts_from_the_next_request(
    owner: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    member = await world.member("agent")
    client = await client_of(world, member)
    assert (await client.get(USERS)).status_code == 403
    await owner.patch(f"{USERS}/{member.id}", json={"role": "admin"})
    await asyncio.sleep(0.05)
    assert (await client.get(USERS)).status_code == 200


async def test_deactivation_ends_sessions_and_logins(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    member = await world.member("agent")
    client = await client_of(world, member)
    assert (await client.get("/api/v1/auth/me")).status_code == 200
    assert (await owner.delete(f"{USERS}/{member.id}")).status_code == 204
    await asyncio.sleep(0.05)
    assert (await client.get("/api/v1/auth/me")).json()["code"] == "session-ended"
    assert await _live_sessions(world, member.id) == 0
    login = await shopper.post(
        "/api/v1/auth/login", json={"email": member.email, "password": PASSWORD}
    )
    assert login.status_code == 401
    back = await owner.patch(f"{USERS}/{member.id}", json={"is_active": True})
    assert back.json()["is_active"] is True
    assert (await client.get("/api/v1/auth/me")).status_code == 401, "old sessions stay ended"


async def test_password_set_by_admin_ends_sessions(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    member = await world.member("agent")
    client = await client_of(world, member)
    short = await owner.post(f"{USERS}/{member.id}/password", json={"password": "short"})
    assert short.status_code == 422
    assert (await client.get("/api/v1/auth/me")).status_code == 200, "nothing changed"
    new = " with spaces around "
    done = await owner.post(f"{USERS}/{member.id}/password", json={"password": new})
    assert done.status_code == 204
    await asyncio.sleep(0.05)
    assert (await client.get("/api/v1/auth/me")).status_code == 401
    for password, status in ((PASSWORD, 401), (new.strip(), 401), (new, 200)):
        answer = await shopper.post(
            "/api/v1/auth/login", json={"email": member.email, "password": password}
        )
        assert answer.status_code == status


async def test_last_owner_stays(owner: httpx.AsyncClient, world: World) -> None:
    target = f"{USERS}/{world.owner.id}"
    for answer in (
        await owner.delete(target),
        await owner.patch(target, json={"role": "admin"}),
        await owner.patch(target, json={"is_active": False}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "last-owner")
    kept = await _user(world, world.owner.id)
    assert (kept.role, kept.is_active) == ("owner", True)
    assert (await owner.get("/api/v1/auth/me")).status_code == 200
    await world.member("owner")
    assert (await owner.patch(target, json={"role": "admin"})).status_code == 200


async def test_owners_who_leave_at_once_leave_one(world: World, client_of: ClientOf) -> None:
    owners = [world.owner, *[await world.member("owner") for _ in range(4)]]
    clients = [await client_of(world, o) for o in owners]
    answers = await asyncio.gather(
        *(c.delete(f"{USERS}/{o.id}") for c, o in zip(clients, owners, strict=True))
    )
    assert sorted(a.status_code for a in answers) == [204, 204, 204, 204, 409]
    async with world.work() as work:
        left = await work.session.scalar(
            select(func.count()).where(User.role == "owner", User.is_active)
        )
    assert left == 1


async def test_users_limit_is_exact_under_concurrency(
    owner: httpx.AsyncClient, world: World
) -> None:
    await ensure_tenant(world.runtime, world.tenant.slug, limits={"users": 4})
    answers = await asyncio.gather(*(owner.post(USERS, json=_body()) for _ in range(12)))
    codes = [a.status_code for a in answers]
    assert codes.count(201) == 3
    assert codes.count(409) == 9
    refusals = [a.json() for a in answers if a.status_code == 409]
    assert {(r["code"], r["limit"], r["allowed"]) for r in refusals} == {
        ("limit-reached", "users", 4)
    }
    assert await _count(world) == 4


async def test_inactive_users_do_not_count_but_coming_back_does(
    owner: httpx.AsyncClient, world: World
) -> None:
    await ensure_tenant(world.runtime, world.tenant.slug, limits={"users": 2})
    first = (await owner.post(USERS, json=_body())).json()
    assert (await owner.delete(f"{USERS}/{first['id']}")).status_code == 204
    assert (await owner.post(USERS, json=_body())).status_code == 201
    back = await owner.patch(f"{USERS}/{first['id']}", json={"is_active": True})
    assert back.json()["code"] == "limit-reached"
    assert (await _user(world, first["id"])).is_active is False
