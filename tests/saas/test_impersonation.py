"""Working in a member's name: bounded, seen, without handing out access, ended by either side."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select, text

from app.kernel.audit.models import AuditEntry
from app.kernel.impersonations.jobs import tell_expired
from app.kernel.impersonations.models import Impersonation
from app.kernel.sessions.models import UserSession
from app.kernel.sessions.service import open_session
from app.kernel.users.service import UserService
from app.main import Largo
from tests.factories.commerce import key
from tests.factories.tenants import PASSWORD, World
from tests.faults.server import ServerProcess
from tests.kernel.conftest import second_process
from tests.saas.conftest import TENANTS
from tests.saas.console import CENTRAL, client_with, trail

__all__ = ["second_process"]

ME = "/api/v1/auth/me"
REASON = "Chamado 4127: pedido não aparece"


async def _start(
    root: httpx.AsyncClient, world: World, user_id: UUID | None = None, **more: Any
) -> dict[str, Any]:
    body = {"user_id": str(user_id or world.owner.id), "reason": REASON} | more
    answer = await root.post(f"{TENANTS}/{world.tenant.id}/impersonations", json=body)
    assert answer.status_code == 201, answer.text
    started: dict[str, Any] = answer.json()
    assert not root.cookies, "the platform's own session stays"
    return started


async def _counts(world: World) -> tuple[int, int, int]:
    async with world.work() as work:
        found = [
            await work.session.scalar(select(func.count()).select_from(kind))
            for kind in (Impersonation, UserSession, AuditEntry)
        ]
    return tuple(found)  # type: ignore[return-value]


async def test_it_is_bounded_and_seen(
    root: httpx.AsyncClient, owner: httpx.AsyncClient, platform: World, world: World, app: Largo
) -> None:
    own = (await owner.get(ME)).json()
    assert own["impersonated_by"] is None
    assert "x-impersonated-by" not in (await owner.get(ME)).headers
    started = await _start(root, world, minutes=10)
    assert started["expires_in"] == 600
    assert "refresh_token" not in started
    made = started["impersonation"]
    async with client_with(app, started["access_token"]) as acting:
        seen = await acting.get(ME)
        assert seen.status_code == 200, seen.text
        assert seen.headers["x-impersonated-by"] == platform.owner.email
        assert seen.json()["id"] == str(world.owner.id)
        assert seen.json()["impersonated_by"] == {
            "name": platform.owner.email,
            "expires_at": made["expires_at"],
        }
        group = {"name": "Entregas", "description": None}
        done = await acting.post("/api/v1/admin/departments", json=group, headers=key())
        assert done.status_code == 201, done.text
        refreshed = await acting.post("/api/v1/auth/refresh", json={"refresh_token": "x" * 43})
        assert refreshed.status_code == 401

    listed = (await owner.get("/api/v1/admin/impersonations")).json()["items"]
    assert listed == [made]
    assert made["is_active"]
    assert (made["by_name"], made["reason"]) == (platform.owner.email, REASON)
    mine = (await owner.get("/api/v1/auth/sessions")).json()
    assert f"Plataforma: {platform.owner.email}" in {s["device"] for s in mine}

    [line] = [x for x in await trail(world) if x.action == "department.created"]
    assert (line.actor_kind, line.actor_id, line.actor_name) == (
        "user",
        world.owner.id,
        world.owner.email,
    )
    assert line.impersonator_id == platform.owner.id
    assert line.impersonator_name == platform.owner.email
    [begun] = [x for x in await trail(world) if x.action == "platform.impersonation_started"]
    assert begun.actor_kind == "platform"
    assert begun.facts["reason"] == REASON
    assert started["access_token"] not in str(begun.facts)
    actions = [x.action for x in await trail(platform, world.tenant.id)]
    assert actions == ["tenant.impersonation_started"]
    shown = (await owner.get("/api/v1/admin/audit", params={"action": "department.created"})).json()
    assert shown["items"][0]["impersonator_name"] == platform.owner.email
    exported = await owner.get("/api/v1/admin/audit/export")
    assert platform.owner.email in exported.text


async def test_it_hands_out_no_access(root: httpx.AsyncClient, world: World, app: Largo) -> None:
    agent = await world.member("agent")
    started = await _start(root, world)
    before = await _counts(world)
    admin, auth = "/api/v1/admin", "/api/v1/auth"
    new = {"email": "x@y.example", "name": "X", "role": "owner", "password": "farinha-fina"}
    tries: list[tuple[str, str, Any]] = [
        ("POST", f"{admin}/api-keys", {"name": "ERP", "scopes": ["commerce.orders:read"]}),
        ("POST", f"{admin}/users", new),
        ("PATCH", f"{admin}/users/{agent.id}", {"role": "owner"}),
        ("POST", f"{admin}/users/{agent.id}/password", {"password": "farinha-fina"}),
        ("DELETE", f"{admin}/users/{agent.id}/totp", None),
        ("DELETE", f"{admin}/users/{agent.id}/sessions", None),
        ("POST", f"{admin}/groups", {"name": "G", "grants": ["commerce.orders:read"]}),
        (
            "POST",
            f"{auth}/password/change",
            {"current_password": PASSWORD, "password": "farinha-fina"},
        ),
        ("POST", f"{auth}/totp", {"password": PASSWORD}),
        ("DELETE", f"{auth}/sessions/{world.owner.session_id}", None),
        ("PATCH", "/api/v1/user/profile", {"email": "x@y.example", "current_password": PASSWORD}),
        ("PUT", "/api/v1/user/status", {"status": "online"}),
        ("DELETE", f"{admin}/impersonations/{started['impersonation']['id']}", None),
    ]
    async with client_with(app, started["access_token"]) as acting:
        for method, path, body in tries:
            headers = key() if method == "POST" else {}
            answer = await acting.request(method, path, json=body, headers=headers)
            assert answer.status_code == 403, f"{method} {path}: {answer.text}"
            assert answer.json()["code"] == "not-while-impersonating", path
        grants = (await acting.get(ME)).json()["grants"]
        assert not {"platform.users:write", "platform.api-keys:write"} & set(grants)
        for path in (f"{admin}/users", f"{admin}/api-keys", f"{auth}/totp", "/api/v1/team"):
            assert (await acting.get(path)).status_code == 200, f"{path}: looking is allowed"
        denied = await acting.get(f"{CENTRAL}/tenants")
        assert denied.json()["code"] == "system-admin-only"
    assert await _counts(world) == before


async def test_it_ends_with_its_time(
    root: httpx.AsyncClient, owner: httpx.AsyncClient, world: World, app: Largo
) -> None:
    started = await _start(root, world, minutes=1)
    assert started["expires_in"] == 60
    for wrong in ({"minutes": 31}, {"minutes": 0}, {"reason": "curto"}):
        body = {"user_id": str(world.owner.id), "reason": REASON} | wrong
        refused = await root.post(f"{TENANTS}/{world.tenant.id}/impersonations", json=body)
        assert refused.status_code == 422
    async with client_with(app, started["access_token"]) as acting:
        assert (await acting.get(ME)).status_code == 200
        async with world.work() as work:
            await work.session.execute(
                text(
                    "UPDATE user_sessions s SET expires_at = now() FROM impersonations i "
                    "WHERE i.session_id = s.id"
                )
            )
        await asyncio.sleep(1.1)
        late = await acting.get(ME)
        assert (late.status_code, late.json()["code"]) == (401, "session-ended")
    path = "/api/v1/admin/impersonations"
    [shown] = (await owner.get(path, params={"is_active": False})).json()["items"]
    assert not shown["is_active"]
    assert (await owner.get(path, params={"is_active": True})).json()["items"] == []

    async def told() -> list[dict[str, Any]]:
        lines = [x for x in await trail(world) if x.action == "platform.impersonation_ended"]
        return [line.facts for line in lines]

    assert await told() == []
    for _ in range(2):
        app.runtime.caches.pop("impersonations.next", None)
        await asyncio.gather(*(tell_expired(app.runtime) for _ in range(3)))
        await tell_expired(app.runtime)  # not again so soon
    [line] = await told()
    assert (line["impersonation_id"], line["reason"]) == (shown["id"], "expired")
    [kept] = (await owner.get(path, params={"is_active": False})).json()["items"]
    assert kept["ended_at"] == kept["expires_at"]
    # Over is over: nothing is told twice.
    before = len(await trail(world))
    assert (await owner.delete(f"{path}/{shown['id']}")).status_code == 204
    assert len(await trail(world)) == before
    assert (await owner.get(ME)).status_code == 200


@pytest.mark.parametrize("side", ["platform", "tenant", "logout"])
async def test_either_side_ends_it_in_every_process(
    root: httpx.AsyncClient,
    owner: httpx.AsyncClient,
    world: World,
    second_process: ServerProcess,
    app: Largo,
    side: str,
) -> None:
    started = await _start(root, world)
    made, token = started["impersonation"]["id"], started["access_token"]
    async with (
        httpx.AsyncClient(
            base_url=second_process.url, headers={"Authorization": f"Bearer {token}"}
        ) as there,
        client_with(app, token) as here,
    ):
        assert (await there.get(ME)).status_code == 200
        assert (await here.get(ME)).status_code == 200
        if side == "platform":
            url = f"{TENANTS}/{world.tenant.id}/impersonations/{made}"
            answers = await asyncio.gather(*(root.delete(url) for _ in range(3)))
        elif side == "tenant":
            url = f"/api/v1/admin/impersonations/{made}"
            answers = await asyncio.gather(*(owner.delete(url) for _ in range(3)))
        else:
            answers = [await here.post("/api/v1/auth/logout")]
        assert {a.status_code for a in answers} == {204}
        ended = time.monotonic()
        assert (await here.get(ME)).status_code == 401
        while (late := await there.get(ME)).status_code == 200:
            assert time.monotonic() - ended < 1.0, "the other process still answers"
            await asyncio.sleep(0.02)
        assert late.json()["code"] == "session-ended"
    lines = [x for x in await trail(world) if x.action == "platform.impersonation_ended"]
    assert [x.facts["reason"] for x in lines] == [side]
    assert (await owner.get(ME)).status_code == 200


async def test_it_does_not_outlive_who_began_it(
    root: httpx.AsyncClient, platform: World, world: World, app: Largo
) -> None:
    """Neither their session nor their office."""
    started = await _start(root, world)
    async with client_with(app, started["access_token"]) as acting:
        assert (await acting.get(ME)).status_code == 200
        second = await platform.member("owner")
        async with client_with(app, second.token) as boss:
            demoted = await boss.patch(
                f"/api/v1/admin/users/{platform.owner.id}", json={"role": "admin"}
            )
            assert demoted.status_code == 200, demoted.text
            await asyncio.sleep(1.1)
            assert (await acting.get(ME)).json()["code"] == "session-ended"
            again = await _start(boss, world)
            async with client_with(app, again["access_token"]) as other:
                assert (await other.get(ME)).status_code == 200
                assert (await boss.post("/api/v1/auth/logout")).status_code == 204
                await asyncio.sleep(1.1)
                assert (await other.get(ME)).json()["code"] == "session-ended"


async def test_who_cannot_be_impersonated(
    root: httpx.AsyncClient, platform: World, world: World, stranger: World
) -> None:
    agent = await world.member("agent")
    gone = await root.delete(f"{TENANTS}/{world.tenant.id}/users/{agent.id}")
    assert gone.status_code == 204, gone.text
    before = await _counts(world), await _counts(platform)
    for tenant, user, status, code in (
        (platform, platform.owner.id, 409, "platform-not-impersonable"),
        (world, stranger.owner.id, 404, "user-not-found"),
        (world, uuid4(), 404, "user-not-found"),
        (world, agent.id, 409, "user-inactive"),
    ):
        url = f"{TENANTS}/{tenant.tenant.id}/impersonations"
        answer = await root.post(url, json={"user_id": str(user), "reason": REASON})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    url = f"{TENANTS}/{world.tenant.id}/impersonations/{uuid4()}"
    assert (await root.delete(url)).json()["code"] == "impersonation-not-found"
    assert (await _counts(world), await _counts(platform)) == before

    await root.post(f"{TENANTS}/{world.tenant.id}/suspend", json={"reason": "em análise"})
    url = f"{TENANTS}/{world.tenant.id}/impersonations"
    answer = await root.post(url, json={"user_id": str(world.owner.id), "reason": REASON})
    assert (answer.status_code, answer.json()["code"]) == (409, "tenant-not-active")


async def test_a_tenant_sees_and_ends_only_its_own(
    root: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, app: Largo
) -> None:
    started = await _start(root, world)
    made = started["impersonation"]["id"]
    path = "/api/v1/admin/impersonations"
    assert (await outsider.get(path)).json()["items"] == []
    refused = await outsider.delete(f"{path}/{made}")
    assert (refused.status_code, refused.json()["code"]) == (404, "impersonation-not-found")
    agent = await world.member("agent")
    async with client_with(app, agent.token) as below:
        assert (await below.get(path)).status_code == 403
        assert (await below.delete(f"{path}/{made}")).status_code == 403
    async with client_with(app, started["access_token"]) as acting:
        assert (await acting.get(ME)).status_code == 200


async def test_it_takes_no_place_among_the_members_sessions(
    root: httpx.AsyncClient, owner: httpx.AsyncClient, world: World
) -> None:
    most = world.runtime.settings.max_active_sessions
    for _ in range(most):
        await _start(root, world)

    async def log_in(times: int) -> None:
        for _ in range(times):
            async with world.work() as work:
                user = await UserService(work).get(world.owner.id)
                await open_session(work, user)

    await log_in(most - 1)
    assert (await owner.get(ME)).status_code == 200, "the oldest of the member's own"
    await log_in(1)
    assert (await owner.get(ME)).status_code == 401
