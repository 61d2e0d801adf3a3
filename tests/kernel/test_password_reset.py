"""A forgotten password: a letter, one use, one hour, no word on whether an account exists."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select, update

from app.core.clock import now
from app.kernel.mail.models import Letter
from app.kernel.passwords.models import PasswordReset
from app.kernel.sessions.models import UserSession
from app.kernel.users.models import User
from app.kernel.work import Runtime
from app.main import Largo
from tests.factories.mail import FRONTEND, letters, postman, token_in, visitor
from tests.factories.tenants import PASSWORD, World
from tests.factories.totp import code_of, enrol
from tests.sandbox.server import SandboxServer

FORGOT, RESET = "/api/v1/auth/password/forgot", "/api/v1/auth/password/reset"
NEW = "uma-senha-nova-e-boa"


@pytest.fixture(autouse=True)
async def no_other_jobs(runtime: Runtime) -> None:
    async with runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")


async def forget(app: Largo, email: str, tenant: str | None) -> int:
    async with visitor(app, tenant) as person:
        answer = await person.post(FORGOT, json={"email": email})
        assert answer.text == ""
        return answer.status_code


async def reset(app: Largo, token: str, password: str = NEW, tenant: str | None = None) -> str:
    """The problem's code; empty when the password was set."""
    async with visitor(app, tenant) as person:
        answer = await person.post(RESET, json={"token": token, "password": password})
        assert answer.status_code in (204, 410, 422), answer.text
        return "" if answer.status_code == 204 else str(answer.json()["code"])


async def log_in(app: Largo, world: World, password: str) -> int:
    async with visitor(app, world.tenant.slug) as person:
        body = {"email": world.owner.email, "password": password}
        return (await person.post("/api/v1/auth/login", json=body)).status_code


async def asked(app: Largo, world: World, runtime: Runtime, sandbox: SandboxServer) -> str:
    """The token of a letter that has just arrived."""
    before = len(await sandbox.requests(vendor="smtp", contains=world.owner.email))
    assert await forget(app, world.owner.email, world.tenant.slug) == 204
    async with postman(runtime, sandbox):
        found = await letters(sandbox, world.owner.email, before + 1)
    return token_in(found[-1])


async def password_hash(world: World) -> str:
    async with world.work() as work:
        return await work.session.scalar(
            select(User.password_hash).where(User.id == world.owner.id)
        ) or pytest.fail("no such user")


async def test_the_letter_sets_a_new_password_and_ends_all_sessions(
    app: Largo, world: World, runtime: Runtime, sandbox: SandboxServer, owner: httpx.AsyncClient
) -> None:
    assert (await owner.get("/api/v1/auth/me")).status_code == 200
    token = await asked(app, world, runtime, sandbox)
    [letter] = await letters(sandbox, world.owner.email)
    assert f"{FRONTEND}/redefinir-senha#token={token}" in letter["text"]
    async with world.work() as work:
        [row] = (await work.session.scalars(select(PasswordReset))).all()
    assert token.encode() not in row.token_hash
    assert timedelta(minutes=59) < row.expires_at - now() <= timedelta(hours=1)
    assert await reset(app, token) == ""
    assert (await owner.get("/api/v1/auth/me")).json()["code"] == "session-ended"
    assert await log_in(app, world, PASSWORD) == 401
    assert await log_in(app, world, NEW) == 200
    async with postman(runtime, sandbox):
        _, told = await letters(sandbox, world.owner.email, 2)
    assert told["subject"].startswith("A sua senha em")


async def test_a_link_works_once_and_a_newer_password_spends_the_others(
    app: Largo, world: World, runtime: Runtime, sandbox: SandboxServer
) -> None:
    first = await asked(app, world, runtime, sandbox)
    second = await asked(app, world, runtime, sandbox)
    assert await reset(app, first) == ""
    before = await password_hash(world)
    assert await reset(app, first, "outra-senha-boa-1") == "password-reset-not-valid"
    assert await reset(app, second, "outra-senha-boa-2") == "password-reset-not-valid"
    assert await password_hash(world) == before


async def test_two_uses_of_one_link_at_once_set_one_password(
    app: Largo, world: World, runtime: Runtime, sandbox: SandboxServer
) -> None:
    token = await asked(app, world, runtime, sandbox)
    tries = [reset(app, token, f"senha-da-corrida-{n}") for n in range(4)]
    ends = await asyncio.gather(*tries)
    assert sorted(ends) == ["", *["password-reset-not-valid"] * 3]
    assert await log_in(app, world, f"senha-da-corrida-{ends.index('')}") == 200


async def test_a_link_is_worth_nothing_after_its_hour(
    app: Largo, world: World, runtime: Runtime, sandbox: SandboxServer
) -> None:
    token = await asked(app, world, runtime, sandbox)
    async with world.work() as work:
        await work.session.execute(update(PasswordReset).values(expires_at=now()))
    before = await password_hash(world)
    assert await reset(app, token) == "password-reset-not-valid"
    assert await password_hash(world) == before


async def test_a_deactivated_person_resets_nothing(
    app: Largo, world: World, runtime: Runtime, sandbox: SandboxServer
) -> None:
    token = await asked(app, world, runtime, sandbox)
    async with world.work() as work:
        await work.session.execute(update(User).values(is_active=False))
    assert await reset(app, token) == "password-reset-not-valid"
    assert await forget(app, world.owner.email, world.tenant.slug) == 204
    async with world.work() as work:
        assert await work.session.scalar(select(func.count()).select_from(Letter)) == 1


async def test_a_link_is_of_its_tenant_alone(
    app: Largo, world: World, stranger: World, runtime: Runtime, sandbox: SandboxServer
) -> None:
    token = await asked(app, world, runtime, sandbox)
    moved = f"{stranger.tenant.id.hex}.{token.partition('.')[2]}"
    for forged in (moved, "x" * 43, f"{'0' * 32}.{'y' * 43}"):
        assert await reset(app, forged) == "password-reset-not-valid"
    assert await reset(app, token, tenant=stranger.tenant.slug) == "password-reset-not-valid"
    assert await reset(app, token, "12345678") == "invalid-request"
    assert await reset(app, token, tenant=world.tenant.slug) == ""


async def test_asking_does_not_tell_whether_an_account_exists(app: Largo, world: World) -> None:
    times = []
    for email in ("ninguem@exemplo.example", world.owner.email):
        began = time.monotonic()
        assert await forget(app, email, world.tenant.slug) == 204
        times.append(time.monotonic() - began)
    assert min(times) >= 0.25
    async with world.work() as work:
        found = (await work.session.scalars(select(Letter.recipient))).all()
    assert found == [world.owner.email]


async def test_without_a_tenant_every_account_gets_its_letter(
    app: Largo, world: World, stranger: World, runtime: Runtime, sandbox: SandboxServer
) -> None:
    async with stranger.work() as work:
        await work.session.execute(update(User).values(email=world.owner.email))
    assert await forget(app, world.owner.email, None) == 204
    async with postman(runtime, sandbox):
        found = await letters(sandbox, world.owner.email, 2)
    tokens = {token_in(letter).partition(".")[0] for letter in found}
    assert tokens == {world.tenant.id.hex, stranger.tenant.id.hex}
    for name in (world.tenant.name, stranger.tenant.name):
        assert any(name in letter["subject"] for letter in found)


async def test_asking_again_and_again_is_refused_for_known_and_unknown_alike(
    app: Largo, world: World
) -> None:
    for email in (world.owner.email, f"ninguem-{world.tenant.slug}@exemplo.example"):
        async with visitor(app, world.tenant.slug) as person:
            answers = [await person.post(FORGOT, json={"email": email}) for _ in range(4)]
        assert [a.status_code for a in answers] == [204, 204, 204, 429]
        assert answers[3].json()["code"] == "too-many-resets"
        assert int(answers[3].headers["retry-after"]) > 60
    async with world.work() as work:
        assert await work.session.scalar(select(func.count()).select_from(Letter)) == 3


async def test_guessing_tokens_is_throttled(app: Largo, world: World) -> None:
    forged = {"token": f"{world.tenant.id.hex}.{'a' * 43}", "password": NEW}
    async with visitor(app) as person:
        answers = [await person.post(RESET, json=forged) for _ in range(21)]
    assert [a.status_code for a in answers] == [410] * 20 + [429]


async def test_a_new_password_does_not_stand_in_for_the_second_factor(
    app: Largo, world: World, runtime: Runtime, sandbox: SandboxServer, owner: httpx.AsyncClient
) -> None:
    secret, _ = await enrol(owner)
    async with visitor(app) as person:
        old = await _challenge(person, world.owner.email, PASSWORD)
        token = await asked(app, world, runtime, sandbox)
        answer = await person.post(RESET, json={"token": token, "password": NEW})
        assert answer.status_code == 204
        assert "set-cookie" not in answer.headers
        new = await _challenge(person, world.owner.email, NEW)
        async with world.work() as work:
            alive = await work.session.scalar(
                select(func.count(UserSession.id)).where(UserSession.revoked_at.is_(None))
            )
        assert alive == 0
        body = {"challenge": old, "code": code_of(secret)}
        refused = await person.post("/api/v1/auth/login/totp", json=body)
        assert refused.json()["code"] == "challenge-refused", "earned with the old password"
        done = await person.post("/api/v1/auth/login/totp", json=body | {"challenge": new})
        assert done.status_code == 200, done.text


async def _challenge(person: httpx.AsyncClient, email: str, password: str) -> str:
    body = {"email": email, "password": password}
    answer = await person.post("/api/v1/auth/login", json=body)
    assert answer.json().get("step") == "totp-required", answer.text
    assert "set-cookie" not in answer.headers
    return str(answer.json()["challenge"])
