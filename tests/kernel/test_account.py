"""One's own profile, picture and presence; the team as colleagues see it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select, update

from app.core.clock import now
from app.kernel.audit.models import AuditEntry
from app.kernel.files.models import StoredFile
from app.kernel.realtime.models import StreamEvent
from app.kernel.sessions.models import UserSession
from tests.factories.pictures import jpeg, png
from tests.factories.tenants import PASSWORD, World
from tests.kernel.conftest import ClientOf

PROFILE, AVATAR, STATUS = "/api/v1/user/profile", "/api/v1/user/avatar", "/api/v1/user/status"
TEAM, ME = "/api/v1/team", "/api/v1/auth/me"


async def _told(world: World, action: str) -> list[Any]:
    async with world.work() as work:
        found = select(AuditEntry.facts).where(AuditEntry.action == action)
        return list((await work.session.scalars(found)).all())


async def test_change_name_and_phone(owner: httpx.AsyncClient, world: World) -> None:
    before = (await owner.get(PROFILE)).json()
    assert before["email"] == world.owner.email
    assert before["phone"] is None
    done = await owner.patch(PROFILE, json={"name": " Marina Lima ", "phone": "(11) 98765-4321"})
    assert done.status_code == 200, done.text
    assert done.json() == before | {
        "name": "Marina Lima",
        "phone": "+5511987654321",
        "last_seen_at": done.json()["last_seen_at"],
    }
    assert (await owner.get(ME)).json()["name"] == "Marina Lima", "from the next request on"
    assert (await owner.patch(PROFILE, json={"phone": None})).json()["phone"] is None
    assert (await owner.patch(PROFILE, json={})).json()["name"] == "Marina Lima"
    assert len(await _told(world, "user.profile_updated")) == 2


async def test_the_email_changes_with_the_password_alone(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    new = {"email": "Marina@BellaMassa.example"}
    for body, status, code in (
        (new, 422, "invalid-request"),
        (new | {"current_password": "nope"}, 403, "wrong-current-password"),
    ):
        refused = await owner.patch(PROFILE, json=body)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    other = await world.member("agent")
    taken = await owner.patch(PROFILE, json={"email": other.email, "current_password": PASSWORD})
    assert (taken.status_code, taken.json()["code"]) == (409, "email-taken")
    assert (await owner.get(PROFILE)).json()["email"] == world.owner.email
    assert await _told(world, "user.profile_updated") == []
    done = await owner.patch(PROFILE, json=new | {"current_password": PASSWORD})
    assert done.json()["email"] == "marina@bellamassa.example"
    body = {"email": "marina@bellamassa.example", "password": PASSWORD}
    assert (await shopper.post("/api/v1/auth/login", json=body)).status_code == 200
    assert PASSWORD not in str(await _told(world, "user.profile_updated"))


async def test_guesses_at_the_password_are_throttled(owner: httpx.AsyncClient) -> None:
    body = {"email": "m@example.com", "current_password": "nope"}
    answers = [await owner.patch(PROFILE, json=body) for _ in range(8)]
    assert answers[-1].status_code == 429
    assert answers[-1].json()["code"] == "too-many-logins"


@pytest.mark.parametrize(
    "body", [{"name": ""}, {"phone": "12"}, {"email": "no"}, {"role": "owner"}, {"status": "away"}]
)
async def test_what_a_profile_does_not_take(owner: httpx.AsyncClient, body: Any) -> None:
    before = (await owner.get(PROFILE)).json()
    assert (await owner.patch(PROFILE, json=body)).status_code == 422
    after = (await owner.get(PROFILE)).json()
    assert after == before | {"last_seen_at": after["last_seen_at"]}


async def test_picture(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    agent = await client_of(world, await world.member("agent"))
    for content, kind in ((png(), "image/png"), (jpeg(), "image/jpeg")):
        done = await agent.put(AVATAR, content=content, headers={"Content-Type": kind})
        assert done.status_code == 200, done.text
        served = await shopper.get(done.json()["avatar_url"])
        assert served.status_code == 200
        assert served.headers["content-type"] == kind
    again = await agent.put(AVATAR, content=jpeg(), headers={"Content-Type": "image/jpeg"})
    assert again.json()["avatar_url"] == done.json()["avatar_url"]
    assert len(await _told(world, "user.avatar_set")) == 2
    team = (await owner.get(TEAM)).json()["items"]
    assert [m["avatar_url"] for m in team] == [done.json()["avatar_url"], None]
    assert (await agent.delete(AVATAR)).status_code == 204
    assert (await agent.delete(AVATAR)).status_code == 204
    assert (await agent.get(PROFILE)).json()["avatar_url"] is None
    assert len(await _told(world, "user.avatar_set")) == 3


async def test_pictures_that_are_none(owner: httpx.AsyncClient, world: World) -> None:
    too_large = png() + b"\0" * 5_000_001
    for content, kind, status, code in (
        (b"%PDF-1.7", "application/pdf", 415, "unsupported-file"),
        (b"<svg/>", "image/svg+xml", 415, "unsupported-file"),
        (b"%PDF-1.7\n" + b"1" * 99, "image/png", 422, "file-type-mismatch"),
        (jpeg(), "image/png", 422, "file-type-mismatch"),
        (b"", "image/png", 415, "unsupported-file"),
        (too_large, "image/png", 413, "avatar-too-large"),
    ):
        refused = await owner.put(AVATAR, content=content, headers={"Content-Type": kind})
        assert (refused.status_code, refused.json()["code"]) == (status, code), kind

    async def endless() -> Any:
        for _ in range(6):
            yield b"\0" * 1_000_000

    refused = await owner.put(AVATAR, content=endless(), headers={"Content-Type": "image/png"})
    assert refused.status_code == 413
    assert (await owner.get(PROFILE)).json()["avatar_url"] is None
    async with world.work() as work:
        assert await work.session.scalar(select(func.count()).select_from(StoredFile)) == 0


async def test_presence_is_told_live_and_once(owner: httpx.AsyncClient, world: World) -> None:
    assert (await owner.get(PROFILE)).json()["status"] == "offline"
    answers = await asyncio.gather(
        *(owner.put(STATUS, json={"status": "online"}) for _ in range(4))
    )
    assert {a.json()["status"] for a in answers} == {"online"}
    assert len({a.json()["status_at"] for a in answers}) == 1
    async with world.work() as work:
        live = (
            await work.session.scalars(select(StreamEvent).where(StreamEvent.topic == "team"))
        ).all()
    assert [e.data for e in live] == [{"user_id": str(world.owner.id), "status": "online"}]
    assert (await owner.put(STATUS, json={"status": "asleep"})).status_code == 422
    away = (await owner.put(STATUS, json={"status": "away"})).json()
    assert away["status"] == "away"
    assert away["status_at"] > answers[0].json()["status_at"]
    assert len(await _told(world, "platform.agent_status_changed")) == 2


async def test_who_fell_silent_or_left_is_shown_as_offline(
    owner: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    agent = await world.member("agent")
    client = await client_of(world, agent)
    await client.put(STATUS, json={"status": "online"})

    async def shown() -> Any:
        team = (await owner.get(TEAM)).json()["items"]
        return next(m["status"] for m in team if m["id"] == str(agent.id))

    assert await shown() == "online"
    silent = now() - timedelta(minutes=6)
    async with world.work() as work:
        await work.session.execute(
            update(UserSession)
            .where(UserSession.id == agent.session_id)
            .values(last_seen_at=silent)
        )
    assert await shown() == "offline"
    world.runtime.bus._tell("sessions", "")
    async with world.work() as work:
        await work.session.execute(
            update(UserSession).where(UserSession.id == agent.session_id).values(last_seen_at=now())
        )
    assert await shown() == "online"
    await client.post("/api/v1/auth/logout")
    assert await shown() == "offline"


async def test_the_team(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, client_of: ClientOf
) -> None:
    members = [await world.member(role) for role in ("agent", "viewer", "agent")]
    made = await owner.post("/api/v1/admin/departments", json={"name": "Entregas"})
    department = made.json()["id"]
    inside = [str(members[0].id), str(members[2].id)]
    await owner.put(f"/api/v1/admin/departments/{department}/members", json={"user_ids": inside})
    viewer = await client_of(world, members[1])
    first = (await viewer.get(TEAM, params={"limit": "3"})).json()
    rest = (await viewer.get(TEAM, params={"cursor": first["next_cursor"]})).json()
    ids = [m["id"] for m in first["items"] + rest["items"]]
    assert ids == [*(str(m.id) for m in reversed(members)), str(world.owner.id)]
    assert "@" not in str(first), "addresses are the administrators'"
    assert [m["department_ids"] for m in first["items"]] == [[department], [], [department]]

    async def found(**params: str) -> set[str]:
        return {m["id"] for m in (await viewer.get(TEAM, params=params)).json()["items"]}

    assert await found(department_id=department) == set(inside)
    assert await found(department_id=str(uuid4())) == set()
    assert await found(status="away") == set()
    await viewer.put(STATUS, json={"status": "away"})
    assert await found(status="away") == {str(members[1].id)}
    assert len(await found(status="offline")) == 3
    await owner.delete(f"/api/v1/admin/users/{members[0].id}")
    assert await found(department_id=department) == {inside[1]}, "who left is no colleague"
    assert len((await outsider.get(TEAM)).json()["items"]) == 1
    seen = await outsider.get(TEAM, params={"department_id": department})
    assert seen.json()["items"] == []
