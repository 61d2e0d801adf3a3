"""The organization as its members see it, a second one of theirs, and its first steps."""

from __future__ import annotations

import secrets
from datetime import datetime

import httpx
import pytest

from app.kernel.connections.schemas import ConnectionPut
from app.kernel.connections.service import ConnectionService
from app.kernel.tenants.service import ensure_tenant
from app.main import Largo
from tests.factories.commerce import key, make_shop
from tests.factories.mail import visitor
from tests.factories.tenants import PASSWORD, World
from tests.saas.conftest import TENANTS
from tests.sandbox.server import Json

ORGANIZATIONS = "/api/v1/organizations"
ME, ONBOARDING = f"{ORGANIZATIONS}/me", "/api/v1/admin/onboarding"


async def as_agent(app: Largo, world: World) -> httpx.AsyncClient:
    agent = await world.member("agent")
    client = visitor(app, world.tenant.slug)
    client.headers["Authorization"] = f"Bearer {agent.token}"
    return client


async def mine(owner: httpx.AsyncClient) -> Json:
    return (await owner.get(ME)).json()


async def test_what_was_agreed_beside_the_plan_is_what_is_shown(
    root: httpx.AsyncClient, world: World, owner: httpx.AsyncClient
) -> None:
    await ensure_tenant(world.runtime, world.tenant.slug, limits={"users": 5, "stores": 1})
    agreed = {"limit_overrides": {"users": 9}, "module_overrides": {"commerce": False}}
    changed = await root.patch(f"{TENANTS}/{world.tenant.id}", json=agreed)
    assert changed.status_code == 200, changed.text
    found = await mine(owner)
    assert found["limits"] == {"users": 9, "stores": 1}
    assert "commerce" not in found["modules"]


async def test_a_member_sees_the_organization_and_its_use(
    app: Largo, world: World, owner: httpx.AsyncClient, outsider: httpx.AsyncClient
) -> None:
    await ensure_tenant(world.runtime, world.tenant.slug, limits={"users": 5})
    found = await mine(owner)
    assert (found["id"], found["slug"]) == (str(world.tenant.id), world.tenant.slug)
    assert (found["limits"], found["onboarding_completed_at"]) == ({"users": 5}, None)
    usage = {u["limit"]: u for u in (await owner.get(f"{ME}/usage")).json()["items"]}
    assert (usage["users"]["allowed"], usage["users"]["used"]) == (5, 1)
    assert (await mine(outsider))["id"] != found["id"]
    async with await as_agent(app, world) as agent:
        assert (await agent.get(ME)).status_code == 200
    async with visitor(app, world.tenant.slug) as nobody:
        for path in (ME, f"{ME}/usage", ONBOARDING):
            assert (await nobody.get(path)).status_code == 401


async def test_changes_are_seen_at_once_and_told(world: World, owner: httpx.AsyncClient) -> None:
    answer = await owner.patch(ME, json={"name": "Café Novo", "locale": "en"})
    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["timezone"]) == ("Café Novo", "America/Sao_Paulo")
    assert (await owner.get("/api/v1/auth/me")).json()["tenant_name"] == "Café Novo"
    [line] = [
        entry
        for entry in (await owner.get("/api/v1/admin/audit")).json()["items"]
        if entry["action"] == "organization.updated"
    ]
    assert line["facts"] == {
        "before": {"name": world.tenant.name, "locale": "pt-BR"},
        "after": {"name": "Café Novo", "locale": "en"},
    }


@pytest.mark.parametrize(
    "body", [{"timezone": "Marte"}, {"locale": "fr"}, {"name": ""}, {"plan_code": "enterprise"}]
)
async def test_changes_that_make_no_sense_change_nothing(
    owner: httpx.AsyncClient, body: dict[str, str]
) -> None:
    before = await mine(owner)
    assert (await owner.patch(ME, json=body)).status_code == 422
    assert await mine(owner) == before


async def test_only_who_is_granted_changes_the_organization(
    app: Largo, world: World, owner: httpx.AsyncClient
) -> None:
    before = await mine(owner)
    async with await as_agent(app, world) as agent:
        for answer in (
            await agent.patch(ME, json={"name": "Meu"}),
            await agent.post(f"{ME}/complete-onboarding"),
            await agent.patch(ONBOARDING, json={"answers": {"a": 1}}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "action-not-allowed")
    assert await mine(owner) == before


async def test_the_onboarding_is_completed_once(owner: httpx.AsyncClient) -> None:
    first = (await owner.post(f"{ME}/complete-onboarding")).json()["onboarding_completed_at"]
    assert datetime.fromisoformat(first).tzinfo is not None
    again = await owner.post(f"{ME}/complete-onboarding")
    assert (again.status_code, again.json()["onboarding_completed_at"]) == (200, first)
    trail = (await owner.get("/api/v1/admin/audit")).json()["items"]
    assert [t["action"] for t in trail].count("organization.onboarded") == 1


async def test_steps_are_read_off_the_organization_itself(
    world: World, owner: httpx.AsyncClient
) -> None:
    async def done() -> dict[str, bool]:
        found = (await owner.get(ONBOARDING)).json()
        return {step["code"]: step["is_done"] for step in found["steps"]}

    assert await done() == {"team": False, "stores": False, "whatsapp": False}
    await make_shop(world)
    await world.member("agent")
    async with world.work() as work:
        await ConnectionService(work).put(
            "whatsapp",
            ConnectionPut(
                config={"phone_number_id": "109876543210987"},
                secret={"access_token": "EAAGtokenOfShop"},
            ),
        )
    assert await done() == {"team": True, "stores": True, "whatsapp": True}
    await ensure_tenant(world.runtime, world.tenant.slug, modules=["commerce"])
    assert set(await done()) == {"team", "stores"}


async def test_answers_are_kept_beside_each_other(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient
) -> None:
    await owner.patch(ONBOARDING, json={"answers": {"segment": "cafeteria", "size": 4}})
    answer = await owner.patch(ONBOARDING, json={"answers": {"size": 5, "tools": ["erp"]}})
    kept = {"segment": "cafeteria", "size": 5, "tools": ["erp"]}
    assert answer.json()["answers"] == kept
    assert (await owner.get(ONBOARDING)).json()["answers"] == kept
    assert (await mine(owner))["onboarding"] == kept
    assert (await outsider.get(ONBOARDING)).json()["answers"] == {}
    refused = await owner.patch(ONBOARDING, json={"answers": {"big": 2**60}})
    assert refused.status_code == 422
    assert (await owner.get(ONBOARDING)).json()["answers"] == kept


async def test_a_second_organization_of_the_same_person(
    app: Largo, world: World, owner: httpx.AsyncClient
) -> None:
    name = f"Empório {secrets.token_hex(4)}"
    headers = key()
    made = await owner.post(ORGANIZATIONS, json={"name": name, "plan": "free"}, headers=headers)
    assert made.status_code == 201, made.text
    again = await owner.post(ORGANIZATIONS, json={"name": name, "plan": "free"}, headers=headers)
    assert again.json() == made.json(), "a retry made another one"
    slug = made.json()["slug"]
    async with visitor(app, slug) as person:
        body = {"email": world.owner.email, "password": PASSWORD}
        answer = await person.post("/api/v1/auth/login", json=body)
    assert (answer.status_code, answer.json()["user"]["role"]) == (200, "owner")
    assert (await mine(owner))["slug"] == world.tenant.slug
    taken = await owner.post(ORGANIZATIONS, json={"name": "Outro", "slug": slug}, headers=key())
    assert (taken.status_code, taken.json()["code"]) == (409, "organization-slug-taken")
    none = await owner.post(ORGANIZATIONS, json={"name": "Outro", "plan": "x"}, headers=key())
    assert (none.status_code, none.json()["code"]) == (404, "plan-not-found")
    trail = (await owner.get("/api/v1/admin/audit")).json()["items"]
    assert [t["action"] for t in trail].count("organization.created") == 1
