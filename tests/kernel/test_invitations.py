"""Inviting people: a letter, one use, the plan's limit to the place, nothing above one's role."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import httpx
import pytest
from sqlalchemy import select, update

from app.core.clock import now
from app.core.crypto import token_hash
from app.kernel.invitations.models import Invitation
from app.kernel.tenants.service import ensure_tenant
from app.kernel.users.models import User
from app.kernel.work import Runtime
from app.main import Largo
from tests.factories.commerce import key
from tests.factories.mail import FRONTEND, letters, postman, token_in, visitor
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf
from tests.sandbox.server import Json, SandboxServer

PATH, ACCEPT = "/api/v1/admin/invitations", "/api/v1/auth/invitations/accept"
GUEST = "marina@cafe.example"


@pytest.fixture(autouse=True)
async def no_other_jobs(runtime: Runtime) -> None:
    async with runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")


async def invite(who: httpx.AsyncClient, email: str = GUEST, role: str = "agent") -> httpx.Response:
    return await who.post(PATH, json={"email": email, "role": role}, headers=key())


async def accept(
    app: Largo, token: str, tenant: str | None = None, **changes: str
) -> tuple[int, Json]:
    body = {"token": token, "name": "Marina Duarte", "password": "forno-a-lenha-2026", **changes}
    async with visitor(app, tenant) as person:
        answer = await person.post(ACCEPT, json=body)
        return answer.status_code, answer.json()


async def tokens(runtime: Runtime, sandbox: SandboxServer, to: str, count: int = 1) -> list[str]:
    async with postman(runtime, sandbox):
        return [token_in(letter) for letter in await letters(sandbox, to, count)]


async def state(world: World) -> tuple[Sequence[str], Sequence[tuple[str, str, int]]]:
    """Who works here, and how the invitations stand."""
    async with world.work() as work:
        users = (await work.session.scalars(select(User.email).order_by(User.id))).all()
        found = (await work.session.scalars(select(Invitation).order_by(Invitation.id))).all()
    return users, [(i.email, i.state, i.sent) for i in found]


async def test_the_invited_person_joins_with_a_password_of_their_own(
    app: Largo, world: World, owner: httpx.AsyncClient, runtime: Runtime, sandbox: SandboxServer
) -> None:
    made = await invite(owner, GUEST.upper(), "manager")
    assert made.status_code == 201, made.text
    assert (made.json()["email"], made.json()["state"]) == (GUEST, "pending")
    [token] = await tokens(runtime, sandbox, GUEST)
    assert token not in made.text
    [letter] = await letters(sandbox, GUEST)
    assert f"{FRONTEND}/convite#token={token}" in letter["text"]
    assert f"Owner convidou você para trabalhar em {world.tenant.name}" in letter["text"]
    status, body = await accept(app, token)
    assert status == 201, body
    assert body["user"] | {"id": ""} == {
        "id": "",
        "email": GUEST,
        "name": "Marina Duarte",
        "role": "manager",
    }
    async with visitor(app) as person:
        me = await person.get(
            "/api/v1/auth/me", headers={"Authorization": f"Bearer {body['access_token']}"}
        )
        assert me.json()["tenant_slug"] == world.tenant.slug
        login = {"email": GUEST, "password": "forno-a-lenha-2026"}
        answer = await person.post(
            "/api/v1/auth/login", json=login, headers={"X-Tenant": world.tenant.slug}
        )
    assert answer.status_code == 200
    assert await state(world) == ([world.owner.email, GUEST], [(GUEST, "accepted", 1)])
    listed = (await owner.get(PATH, params={"state": "accepted"})).json()["items"]
    assert [item["email"] for item in listed] == [GUEST]
    assert (await owner.get(PATH, params={"state": "pending"})).json()["items"] == []


async def test_two_who_accept_one_invitation_become_one_user(
    app: Largo, world: World, owner: httpx.AsyncClient, runtime: Runtime, sandbox: SandboxServer
) -> None:
    await invite(owner)
    [token] = await tokens(runtime, sandbox, GUEST)
    ends = await asyncio.gather(*(accept(app, token, name=f"Nome {n}") for n in range(4)))
    assert sorted(status for status, _ in ends) == [201, 410, 410, 410]
    assert {body["code"] for status, body in ends if status == 410} == {"invitation-not-valid"}
    assert await state(world) == ([world.owner.email, GUEST], [(GUEST, "accepted", 1)])


async def test_the_last_place_goes_to_one_of_many(
    app: Largo, world: World, owner: httpx.AsyncClient, runtime: Runtime, sandbox: SandboxServer
) -> None:
    guests = [f"g{n}-{world.tenant.slug}@cafe.example" for n in range(4)]
    for guest in guests:
        assert (await invite(owner, guest)).status_code == 201
    found = [(await tokens(runtime, sandbox, guest))[0] for guest in guests]
    await ensure_tenant(runtime, world.tenant.slug, limits={"users": 2})
    ends = await asyncio.gather(*(accept(app, token) for token in found))
    assert sorted(status for status, _ in ends) == [201, 409, 409, 409]
    assert {body["code"] for status, body in ends if status == 409} == {"limit-reached"}
    users, invitations = await state(world)
    assert len(users) == 2
    assert sorted(s for _, s, _ in invitations) == ["accepted", *["pending"] * 3]


async def test_no_more_are_invited_than_the_plan_has_room_for(
    app: Largo, world: World, owner: httpx.AsyncClient, runtime: Runtime
) -> None:
    await ensure_tenant(runtime, world.tenant.slug, limits={"users": 3})
    answers = await asyncio.gather(*(invite(owner, f"g{n}@cafe.example") for n in range(5)))
    assert sorted(a.status_code for a in answers) == [201, 201, 409, 409, 409]
    refused = next(a for a in answers if a.status_code == 409).json()
    assert (refused["code"], refused["limit"], refused["used"]) == ("limit-reached", "users", 3)
    assert len((await state(world))[1]) == 2
    async with world.work() as work:
        await work.session.execute(update(Invitation).values(expires_at=now()))
    assert (await invite(owner, "tarde@cafe.example")).status_code == 201


async def test_nobody_is_invited_twice_nor_when_they_work_here(
    world: World, owner: httpx.AsyncClient
) -> None:
    assert (await invite(owner)).status_code == 201
    before = await state(world)
    again = await invite(owner)
    assert (again.status_code, again.json()["code"]) == (409, "invitation-pending")
    known = await invite(owner, world.owner.email)
    assert (known.status_code, known.json()["code"]) == (409, "email-taken")
    assert await state(world) == before


async def test_one_who_let_it_lapse_may_be_invited_anew(
    app: Largo, world: World, owner: httpx.AsyncClient, runtime: Runtime, sandbox: SandboxServer
) -> None:
    await invite(owner)
    [token] = await tokens(runtime, sandbox, GUEST)
    async with world.work() as work:
        await work.session.execute(update(Invitation).values(expires_at=now()))
    status, body = await accept(app, token)
    assert (status, body["code"]) == (410, "invitation-not-valid")
    assert (await invite(owner)).status_code == 201
    assert await state(world) == ([world.owner.email], [(GUEST, "pending", 1)])


async def test_sending_again_replaces_the_link(
    app: Largo, world: World, owner: httpx.AsyncClient, runtime: Runtime, sandbox: SandboxServer
) -> None:
    made = (await invite(owner)).json()
    again = await owner.post(f"{PATH}/{made['id']}/resend", headers=key())
    assert (again.status_code, again.json()["sent"]) == (200, 2)
    assert now() + timedelta(days=6, hours=23) < await _expiry(world)
    async with world.work() as work:
        good = await work.session.scalar(select(Invitation.token_hash))
    found = await tokens(runtime, sandbox, GUEST, 2)
    for token in sorted(found, key=lambda token: token_hash(token) == good):
        status, _ = await accept(app, token)
        assert status == (201 if token_hash(token) == good else 410)
    assert await state(world) == ([world.owner.email, GUEST], [(GUEST, "accepted", 2)])
    ended = await owner.post(f"{PATH}/{made['id']}/resend", headers=key())
    assert (ended.status_code, ended.json()["code"]) == (409, "invitation-ended")


async def _expiry(world: World) -> datetime:
    async with world.work() as work:
        return (await work.session.scalars(select(Invitation.expires_at))).one()


async def test_sending_again_and_again_is_refused(world: World, owner: httpx.AsyncClient) -> None:
    path = f"{PATH}/{(await invite(owner)).json()['id']}/resend"
    answers = [await owner.post(path, headers=key()) for _ in range(6)]
    assert [a.status_code for a in answers] == [200] * 5 + [429]
    assert answers[5].json()["code"] == "too-many-invitations"
    assert (await state(world))[1] == [(GUEST, "pending", 6)]


async def test_a_revoked_invitation_is_worth_nothing(
    app: Largo, world: World, owner: httpx.AsyncClient, runtime: Runtime, sandbox: SandboxServer
) -> None:
    made = (await invite(owner)).json()
    [token] = await tokens(runtime, sandbox, GUEST)
    assert (await owner.delete(f"{PATH}/{made['id']}")).status_code == 204
    status, body = await accept(app, token)
    assert (status, body["code"]) == (410, "invitation-not-valid")
    again = await owner.delete(f"{PATH}/{made['id']}")
    assert (again.status_code, again.json()["code"]) == (409, "invitation-ended")
    assert await state(world) == ([world.owner.email], [(GUEST, "revoked", 1)])


async def test_nobody_gives_a_role_above_their_own(
    world: World, owner: httpx.AsyncClient, client_of: ClientOf
) -> None:
    admin = await client_of(world, await world.member("admin"))
    assert (await invite(admin, role="admin")).status_code == 201
    theirs = (await invite(owner, "socia@cafe.example", "owner")).json()
    before = await state(world)
    for answer in (
        await invite(admin, "outro@cafe.example", "owner"),
        await admin.delete(f"{PATH}/{theirs['id']}"),
        await admin.post(f"{PATH}/{theirs['id']}/resend", headers=key()),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "role-above-yours")
    assert await state(world) == before


async def test_strangers_and_those_without_the_grant_change_nothing(
    world: World, owner: httpx.AsyncClient, outsider: httpx.AsyncClient, client_of: ClientOf
) -> None:
    made = (await invite(owner)).json()
    before = await state(world)
    assert (await outsider.get(PATH)).json()["items"] == []
    assert (await outsider.delete(f"{PATH}/{made['id']}")).status_code == 404
    assert (await outsider.post(f"{PATH}/{made['id']}/resend")).status_code == 404
    agent = await client_of(world, await world.member("agent"))
    before = await state(world)
    for answer in (
        await agent.get(PATH),
        await invite(agent, "outro@cafe.example"),
        await agent.delete(f"{PATH}/{made['id']}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "action-not-allowed")
    assert await state(world) == before


async def test_a_link_is_of_its_tenant_alone(
    app: Largo,
    world: World,
    stranger: World,
    owner: httpx.AsyncClient,
    runtime: Runtime,
    sandbox: SandboxServer,
) -> None:
    await invite(owner)
    [token] = await tokens(runtime, sandbox, GUEST)
    moved = f"{stranger.tenant.id.hex}.{token.partition('.')[2]}"
    assert (await accept(app, moved))[0] == 410
    assert (await accept(app, "x" * 43))[0] == 410
    assert (await accept(app, token, stranger.tenant.slug))[0] == 410
    assert (await accept(app, token, password="12345678"))[0] == 422
    assert (await state(world))[1] == [(GUEST, "pending", 1)]
    assert (await accept(app, token, world.tenant.slug))[0] == 201
