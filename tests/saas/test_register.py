"""An organization begins whole: tenant, plan, trial, owner, session and letter, or nothing."""

from __future__ import annotations

import asyncio
import secrets
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import httpx
import pytest
from sqlalchemy import delete

from app.core.clock import now
from app.kernel.tenancy import has_modules
from app.kernel.tenants.service import ensure_tenant
from app.kernel.users.models import User
from app.kernel.work import Runtime
from app.main import Largo
from app.saas.onboarding.rules import slug_of, trial_end
from app.saas.plans.schemas import PlanRead
from tests.factories.mail import letters, postman, visitor
from tests.factories.tenants import World
from tests.saas.conftest import PLANS
from tests.sandbox.server import Json, SandboxServer

REGISTER, SIGNUP = "/api/v1/auth/register", "/api/v1/auth/signup"
SECRET = "espresso-curto-2026"


def newcomer(**changes: object) -> dict[str, object]:
    mark = secrets.token_hex(4)
    return {
        "email": f"joana-{mark}@cafe.example",
        "name": "Joana Prado",
        "password": SECRET,
        "organization": f"Café {mark}",
        **changes,
    }


async def register(app: Largo, body: dict[str, object]) -> httpx.Response:
    async with visitor(app) as person:
        return await person.post(REGISTER, json=body)


async def tenant_row(runtime: Runtime, slug: object) -> asyncpg.Record | None:
    async with runtime.database.system_driver() as driver:
        return await driver.fetchrow("SELECT * FROM tenants WHERE slug = $1", slug)


async def traces(runtime: Runtime, email: object) -> tuple[int, int, int]:
    """Users, letters and audit lines that name this e-mail."""
    async with runtime.database.system_driver() as driver:
        users = await driver.fetchval("SELECT count(*) FROM users WHERE email = $1", email)
        sent = await driver.fetchval("SELECT count(*) FROM letters WHERE recipient = $1", email)
        told = await driver.fetchval(
            "SELECT count(*) FROM audit_entries WHERE strpos(facts::text, $1) > 0", email
        )
    return int(users), int(sent), int(told)


async def me(app: Largo, answer: httpx.Response) -> Json:
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    async with visitor(app) as person:
        return (await person.get("/api/v1/organizations/me", headers=headers)).json()


async def test_registering_makes_everything_at_once(
    app: Largo, runtime: Runtime, sandbox: SandboxServer
) -> None:
    async with runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")
    body = newcomer(plan="pro")
    answer = await register(app, body)
    assert answer.status_code == 201, answer.text
    said = answer.json()
    assert said["tenant_slug"] == slug_of(str(body["organization"]))
    assert said["user"]["role"] == "owner"
    assert "admin_token=" in answer.headers["set-cookie"]
    found = await me(app, answer)
    assert (found["name"], found["plan_code"]) == (body["organization"], "pro")
    assert found["subscription_status"] == "trialing"
    ends = datetime.fromisoformat(found["trial_ends_at"])
    assert timedelta(days=13, hours=23) < ends - now() <= timedelta(days=14)
    assert found["modules"] == ["commerce", "conversations"]
    async with visitor(app) as person:
        offers = (await person.get("/api/v1/plans")).json()["items"]
    assert found["limits"] == next(p["limits"] for p in offers if p["code"] == "pro")
    async with visitor(app) as person:
        headers = {"Authorization": f"Bearer {said['access_token']}"}
        assert (await person.get("/api/v1/admin/stores", headers=headers)).status_code == 200
        again = await person.post(
            "/api/v1/auth/login", json={"email": body["email"], "password": SECRET}
        )
    assert again.json()["tenant_slug"] == said["tenant_slug"]
    async with postman(runtime, sandbox):
        [letter] = await letters(sandbox, str(body["email"]))
    assert letter["subject"] == "Bem-vindo ao Largo, Joana Prado"
    assert f"informe o endereço {said['tenant_slug']}" in letter["text"]
    assert "14 dias" in letter["text"]


async def test_rows_of_a_new_tenant_are_under_row_level_security(
    app: Largo, stranger: World
) -> None:
    answer = await register(app, newcomer())
    mine = UUID(answer.json()["user"]["id"])
    async with stranger.work() as work:
        assert await work.session.get(User, mine) is None
    async with visitor(app) as person:
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        users = (await person.get("/api/v1/admin/users", headers=headers)).json()["items"]
        trail = (await person.get("/api/v1/admin/audit", headers=headers)).json()["items"]
    assert [user["id"] for user in users] == [str(mine)]
    assert {"tenant.registered", "user.created", "auth.logged_in"} <= {t["action"] for t in trail}


async def test_a_plan_that_costs_nothing_needs_no_trial(app: Largo) -> None:
    found = await me(app, await register(app, newcomer(plan="free")))
    assert (found["subscription_status"], found["trial_ends_at"]) == ("active", None)


async def test_an_organization_may_be_left_unnamed_and_speak_english(
    app: Largo, runtime: Runtime, sandbox: SandboxServer
) -> None:
    async with runtime.database.system_driver() as driver:
        await driver.execute("DELETE FROM pgqueuer")
    body = newcomer(locale="en", timezone="Europe/Lisbon")
    del body["organization"]
    answer = await register(app, body)
    found = await me(app, answer)
    assert (found["name"], found["locale"], found["timezone"]) == (
        "Joana Prado",
        "en",
        "Europe/Lisbon",
    )
    async with postman(runtime, sandbox):
        [letter] = await letters(sandbox, str(body["email"]))
    assert letter["subject"] == "Welcome to Largo, Joana Prado"
    assert "The trial lasts 14 days." in letter["text"]


async def test_of_twenty_that_want_one_slug_one_gets_it(app: Largo, runtime: Runtime) -> None:
    slug = f"cafe-{secrets.token_hex(4)}"
    bodies = [newcomer(slug=slug) for _ in range(20)]
    answers = await asyncio.gather(*(register(app, body) for body in bodies))
    assert sorted(a.status_code for a in answers) == [201, *[409] * 19]
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {
        "organization-slug-taken"
    }
    for body, answer in zip(bodies, answers, strict=True):
        found = await traces(runtime, body["email"])
        assert (found > (0, 0, 0)) is (answer.status_code == 201), "half an organization"


async def test_equal_names_get_slugs_of_their_own(app: Largo) -> None:
    name = f"Padaria {secrets.token_hex(4)}"
    answers = await asyncio.gather(*(register(app, newcomer(organization=name)) for _ in range(4)))
    slugs = {a.json()["tenant_slug"] for a in answers}
    assert len(slugs) == 4
    assert slug_of(name) in slugs
    assert all(slug.startswith(slug_of(name)) for slug in slugs)


async def test_one_person_may_have_two_organizations(app: Largo) -> None:
    first = newcomer()
    second = newcomer(email=first["email"])
    assert (await register(app, first)).status_code == 201
    assert (await register(app, second)).status_code == 201


@pytest.mark.parametrize(
    "changes",
    [
        {"slug": "www"},
        {"slug": "Com Espaço"},
        {"slug": "ab"},
        {"password": "12345678"},
        {"email": "joana"},
        {"timezone": "America/Moema"},
        {"locale": "fr"},
        {"role": "owner"},
    ],
)
async def test_what_makes_no_sense_is_refused(
    app: Largo, runtime: Runtime, changes: dict[str, object]
) -> None:
    body = newcomer(**changes)
    answer = await register(app, body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert await tenant_row(runtime, slug_of(str(body["organization"]))) is None


async def test_only_plans_on_sale_can_be_begun_with(
    app: Largo, runtime: Runtime, root: httpx.AsyncClient, plan: PlanRead
) -> None:
    await root.patch(f"{PLANS}/{plan.code}", json={"is_active": False})
    for code, problem in ((plan.code, "plan-not-offered"), ("nenhum", "plan-not-found")):
        body = newcomer(plan=code)
        answer = await register(app, body)
        assert answer.json()["code"] == problem
        assert await traces(runtime, body["email"]) == (0, 0, 0)
        assert await tenant_row(runtime, slug_of(str(body["organization"]))) is None


async def test_one_address_registers_no_more_than_its_share(app: Largo, runtime: Runtime) -> None:
    async with visitor(app) as person:
        refused = [newcomer(plan="nenhum") for _ in range(20)]
        assert {(await person.post(REGISTER, json=b)).status_code for b in refused} == {404}
        body = newcomer()
        answer = await person.post(REGISTER, json=body)
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many-signups")
    assert int(answer.headers["retry-after"]) > 0
    assert await traces(runtime, body["email"]) == (0, 0, 0)


def test_a_trial_is_over_at_its_last_instant() -> None:
    ends = now()
    before = ends - timedelta(microseconds=1)
    assert has_modules("trialing", ends, before)
    assert not has_modules("trialing", ends, ends)
    assert has_modules("trialing", None, ends)
    assert has_modules("active", ends, ends + timedelta(days=1)), "who pays has no trial's end"
    assert not any(has_modules(s, None, ends) for s in ("past_due", "canceled", "unpaid"))
    assert trial_end(100, ends) == ends + timedelta(days=14)
    assert trial_end(0, ends) is None


async def test_the_modules_of_a_trial_end_with_it_though_they_are_cached(
    app: Largo, world: World, owner: httpx.AsyncClient
) -> None:
    ends = now() + timedelta(seconds=1.5)
    await ensure_tenant(
        world.runtime, world.tenant.slug, subscription_status="trialing", trial_ends_at=ends
    )
    refused_at = None
    while now() < ends + timedelta(seconds=1):
        asked = now()
        answer = await owner.get("/api/v1/admin/stores")
        answered = now()
        if answer.status_code == 200:
            assert asked < ends, "modules outlived the trial"
            await asyncio.sleep(0.02)
            continue
        assert (answer.status_code, answer.json()["code"]) == (403, "module-not-enabled")
        assert answered >= ends, "the trial was cut short"
        refused_at = refused_at or answered
    assert refused_at is not None
    assert refused_at - ends < timedelta(milliseconds=500)
    assert (await owner.get("/api/v1/organizations/me")).status_code == 200
    assert (await owner.get("/api/v1/admin/users")).status_code == 200, "the platform stays"
    await ensure_tenant(world.runtime, world.tenant.slug, subscription_status="active")
    known = None
    for _ in range(20):  # a ring for any other tenant empties the cache
        assert (await owner.get("/api/v1/admin/stores")).status_code == 200
        known = known or app.runtime.tenants.cached("slug", world.tenant.slug)
    assert known is not None, "a trial long over does not keep its tenant out of the cache"


async def test_the_first_user_of_a_tenant_becomes_its_owner_once(
    app: Largo, runtime: Runtime, world: World
) -> None:
    async with world.work() as work:
        await work.session.execute(delete(User))
    bodies = [
        {"email": f"dona{n}@cafe.example", "name": f"Dona {n}", "password": SECRET}
        for n in range(5)
    ]

    async def sign_up(body: dict[str, str]) -> httpx.Response:
        async with visitor(app, world.tenant.slug) as person:
            return await person.post(SIGNUP, json=body)

    answers = await asyncio.gather(*(sign_up(body) for body in bodies))
    assert sorted(a.status_code for a in answers) == [201, *[409] * 4]
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"tenant-has-users"}
    [winner] = [a.json() for a in answers if a.status_code == 201]
    assert (winner["user"]["role"], winner["tenant_slug"]) == ("owner", world.tenant.slug)
    async with runtime.database.system_driver() as driver:
        emails = await driver.fetch("SELECT email FROM users WHERE tenant_id = $1", world.tenant.id)
    assert [row["email"] for row in emails] == [winner["user"]["email"]]


async def test_signing_up_needs_a_tenant_without_users(app: Largo, world: World) -> None:
    body = {"email": "dona@cafe.example", "name": "Dona", "password": SECRET}
    async with visitor(app, world.tenant.slug) as person:
        taken = await person.post(SIGNUP, json=body)
        assert (taken.status_code, taken.json()["code"]) == (409, "tenant-has-users")
    async with visitor(app) as person:
        unnamed = await person.post(SIGNUP, json=body)
        assert (unnamed.status_code, unnamed.json()["code"]) == (400, "tenant-required")
    async with world.work() as work:
        assert await work.session.get(User, world.owner.id) is not None


async def test_another_site_registers_nobody(app: Largo, runtime: Runtime) -> None:
    body = newcomer()
    async with visitor(app) as person:
        headers = {"Sec-Fetch-Site": "cross-site"}
        answer = await person.post(REGISTER, json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross-site-request")
    assert await traces(runtime, body["email"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Café da Praça", "cafe-da-praca"),
        ("  --Pão & Cia.-- ", "pao-cia"),
        ("東京", "loja"),
        ("WWW", "loja-www"),
        ("x" * 80, "x" * 35),
    ],
)
def test_slugs_are_made_of_names(name: str, slug: str) -> None:
    assert slug_of(name) == slug
