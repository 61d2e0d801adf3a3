"""Administrators see and end other people's sessions, never of somebody above them."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import httpx
from sqlalchemy import func, select

from app.kernel.audit.models import AuditEntry
from app.kernel.sessions.models import UserSession
from tests.factories.tenants import PASSWORD, World
from tests.kernel.conftest import ClientOf

USERS, ME, LOGIN = "/api/v1/admin/users", "/api/v1/auth/me", "/api/v1/auth/login"


async def _live(world: World) -> int:
    async with world.work() as work:
        found = await work.session.scalar(
            select(func.count()).select_from(UserSession).where(UserSession.revoked_at.is_(None))
        )
    return found or 0


async def _told(world: World) -> int:
    async with world.work() as work:
        ended = AuditEntry.action == "auth.sessions_ended"
        return await work.session.scalar(select(func.count()).where(ended)) or 0


async def test_list_and_end_one(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    agent = await world.member("agent")
    body = {"email": agent.email, "password": PASSWORD, "device": "Tablet do caixa"}
    tablet = (await shopper.post(LOGIN, json=body)).json()
    shopper.cookies.clear()
    url = f"{USERS}/{agent.id}/sessions"
    listed = (await owner.get(url)).json()
    assert [s["id"] for s in listed] == [tablet["session_id"], str(agent.session_id)]
    assert listed[0]["device"] == "Tablet do caixa"

    bearer = {"Authorization": f"Bearer {tablet['access_token']}"}
    assert (await shopper.get(ME, headers=bearer)).status_code == 200
    ending = f"{url}/{tablet['session_id']}"
    answers = await asyncio.gather(*(owner.delete(ending) for _ in range(4)))
    assert [a.status_code for a in answers] == [204] * 4
    assert await _told(world) == 1
    assert (await shopper.get(ME, headers=bearer)).status_code == 401
    token = {"refresh_token": tablet["refresh_token"]}
    assert (await shopper.post("/api/v1/auth/refresh", json=token)).status_code == 401
    assert (await (await client_of(world, agent)).get(ME)).status_code == 200


async def test_end_all_of_somebody(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    agent = await world.member("agent")
    body = {"email": agent.email, "password": PASSWORD}
    assert (await shopper.post(LOGIN, json=body)).status_code == 200
    url = f"{USERS}/{agent.id}/sessions"
    assert [(await owner.delete(url)).status_code for _ in range(2)] == [204, 204]
    assert (await owner.get(url)).json() == []
    assert (await (await client_of(world, agent)).get(ME)).status_code == 401
    assert (await owner.get(ME)).status_code == 200
    assert (await _live(world), await _told(world)) == (1, 1)


async def test_whose_sessions_are_not_theirs_to_end(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    agent, admin = await world.member("agent"), await world.member("admin")
    manager = await client_of(world, await world.member("manager"))
    before = await _live(world)
    one = f"{USERS}/{agent.id}/sessions/{agent.session_id}"
    boss = f"{USERS}/{world.owner.id}/sessions"
    for client, path, status, code in (
        (outsider, one, 404, "user-not-found"),
        (outsider, f"{USERS}/{agent.id}/sessions", 404, "user-not-found"),
        (owner, f"{USERS}/{agent.id}/sessions/{admin.session_id}", 404, "session-not-found"),
        (owner, f"{USERS}/{agent.id}/sessions/{uuid4()}", 404, "session-not-found"),
        (manager, one, 403, "action-not-allowed"),
        (await client_of(world, admin), boss, 403, "role-above-yours"),
    ):
        refused = await client.delete(path)
        assert (refused.status_code, refused.json()["code"]) == (status, code), path
    assert (await outsider.get(f"{USERS}/{agent.id}/sessions")).status_code == 404
    below = await client_of(world, agent)
    assert (await below.get(boss)).status_code == 403
    assert await _live(world) == before
    assert await _told(world) == 0
