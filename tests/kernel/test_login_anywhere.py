"""Logging in without naming a tenant: one account is found, several are not told apart."""

from __future__ import annotations

import time
from statistics import median

import httpx
import pytest
from sqlalchemy import select, update

from app.kernel.sessions.models import UserSession
from app.kernel.tenants.service import ensure_tenant
from app.kernel.users.models import User
from app.main import Largo
from tests.factories.mail import visitor
from tests.factories.tenants import PASSWORD, World
from tests.factories.totp import code_of, enrol

LOGIN, SECOND = "/api/v1/auth/login", "/api/v1/auth/login/totp"


async def log_in(app: Largo, email: str, password: str = PASSWORD) -> tuple[int, dict[str, object]]:
    async with visitor(app) as person:
        answer = await person.post(LOGIN, json={"email": email, "password": password})
        return answer.status_code, answer.json()


async def sessions(world: World) -> int:
    async with world.work() as work:
        return len((await work.session.scalars(select(UserSession.id))).all())


@pytest.fixture
async def twin(world: World, stranger: World) -> World:
    """Another tenant where the owner of ``world`` has an account, used last."""
    async with stranger.work() as work:
        await work.session.execute(
            update(User).values(
                email=world.owner.email, password_hash=await world.runtime.passwords.hash("other!")
            )
        )
    return stranger


async def test_the_one_account_is_found_and_its_token_needs_no_tenant(
    app: Largo, world: World
) -> None:
    status, body = await log_in(app, world.owner.email.upper())
    assert status == 200
    assert (body["tenant_slug"], body["tenant_id"]) == (world.tenant.slug, str(world.tenant.id))
    async with visitor(app) as person:
        headers = {"Authorization": f"Bearer {body['access_token']}"}
        me = (await person.get("/api/v1/auth/me", headers=headers)).json()
    assert (me["id"], me["tenant_slug"]) == (str(world.owner.id), world.tenant.slug)


async def test_several_accounts_ask_for_a_name_from_who_knows_a_password(
    app: Largo, world: World, twin: World
) -> None:
    status, body = await log_in(app, world.owner.email, "other!")
    assert (status, body["code"]) == (409, "tenant-ambiguous")
    assert world.tenant.slug not in str(body)
    assert twin.tenant.slug not in str(body)
    status, body = await log_in(app, world.owner.email, "no such password")
    assert (status, body["code"]) == (401, "wrong-credentials")
    assert (await sessions(world), await sessions(twin)) == (1, 1)
    async with visitor(app, world.tenant.slug) as person:
        answer = await person.post(LOGIN, json={"email": world.owner.email, "password": PASSWORD})
    assert answer.status_code == 200


async def test_what_is_answered_is_the_same_for_none_one_and_several(
    app: Largo, world: World, stranger: World, twin: World
) -> None:
    alone = await world.member("agent")
    bodies, times = [], []
    for email in (f"ninguem-{world.tenant.slug}@x.example", alone.email, world.owner.email):
        took = []
        for _ in range(3):
            began = time.monotonic()
            status, body = await log_in(app, email, "no such password")
            took.append(time.monotonic() - began)
            assert status == 401
        body.pop("request_id", None)
        bodies.append(body)
        times.append(median(took))
    assert bodies[0] == bodies[1] == bodies[2]
    assert "X-Tenant" in str(bodies[0]["detail"])
    assert min(times) >= 0.5
    assert max(times) < 1.5 * min(times), "a second hash would show"


async def test_accounts_that_may_not_log_in_do_not_count(
    app: Largo, world: World, twin: World
) -> None:
    await ensure_tenant(world.runtime, twin.tenant.slug, status="suspended")
    status, body = await log_in(app, world.owner.email)
    assert (status, body.get("tenant_slug")) == (200, world.tenant.slug)
    async with world.work() as work:
        await work.session.execute(update(User).values(is_active=False))
    status, body = await log_in(app, world.owner.email)
    assert (status, body["code"]) == (401, "wrong-credentials")


async def test_guessing_is_throttled(app: Largo, world: World) -> None:
    async with visitor(app) as person:
        for email in (world.owner.email, f"ninguem-{world.tenant.slug}@x.example"):
            body = {"email": email, "password": "no such password"}
            answers = [await person.post(LOGIN, json=body) for _ in range(7)]
            assert [a.status_code for a in answers] == [401] * 6 + [429]
            assert "retry-after" in answers[6].headers


async def test_a_second_factor_is_asked_for_and_finishes_without_a_tenant_too(
    app: Largo, world: World, stranger: World, owner: httpx.AsyncClient
) -> None:
    secret, _ = await enrol(owner)
    before = await sessions(world)
    async with visitor(app) as person:
        first = await person.post(LOGIN, json={"email": world.owner.email, "password": PASSWORD})
        assert first.status_code == 200, first.text
        assert set(first.json()) == {"step", "challenge", "expires_in"}
        assert first.json()["step"] == "totp-required"
        assert "set-cookie" not in first.headers
        assert await sessions(world) == before
        challenge = first.json()["challenge"]

        async def second(challenge: str, code: str, tenant: str | None = None) -> httpx.Response:
            headers = {} if tenant is None else {"X-Tenant": tenant}
            body = {"challenge": challenge, "code": code}
            return await person.post(SECOND, json=body, headers=headers)

        wrong = await second(challenge, f"{(int(code_of(secret)) + 1) % 1_000_000:06}")
        assert (wrong.status_code, wrong.json()["code"]) == (403, "code-refused")
        for refused in (
            await second(challenge, code_of(secret), stranger.tenant.slug),
            await second("x" + challenge[1:], code_of(secret)),
        ):
            assert (refused.status_code, refused.json()["code"]) == (401, "challenge-refused")
        await ensure_tenant(world.runtime, world.tenant.slug, status="suspended")
        refused = await second(challenge, code_of(secret))
        assert (refused.status_code, refused.json()["code"]) == (401, "challenge-refused")
        await ensure_tenant(world.runtime, world.tenant.slug, status="active")
        assert await sessions(world) == before
        done = await second(challenge, code_of(secret))
    assert done.status_code == 200, done.text
    assert (done.json()["step"], done.json()["tenant_slug"]) == ("done", world.tenant.slug)
    assert await sessions(world) == before + 1
    async with visitor(app) as person:
        headers = {"Authorization": f"Bearer {done.json()['access_token']}"}
        assert (await person.get("/api/v1/auth/me", headers=headers)).status_code == 200


async def test_what_is_left_of_a_tenants_attempts_tells_nothing(app: Largo, world: World) -> None:
    """Attempts that name the tenant are counted for it, with or without such an account."""
    guess = "no such password"
    async with visitor(app) as person:
        for email in (world.owner.email, f"ninguem-{world.tenant.slug}@x.example"):
            body, named = {"email": email, "password": guess}, {"X-Tenant": world.tenant.slug}
            answers = [await person.post(LOGIN, json=body, headers=named) for _ in range(7)]
            assert answers[-1].status_code == 429
            assert (await person.post(LOGIN, json=body)).status_code == 401
