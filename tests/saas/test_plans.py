"""Plans: the public price list, and making it at the platform's desk."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text

from app.kernel.audit.models import AuditEntry
from app.kernel.work import Runtime
from app.saas.plans.models import Plan
from app.saas.plans.rules import cheapest_that_allows
from app.saas.plans.schemas import PlanRead
from tests.factories.commerce import key
from tests.factories.tenants import World
from tests.saas.conftest import PLANS, TENANTS


def _body(**changes: Any) -> dict[str, Any]:
    return {
        "code": f"p-{secrets.token_hex(5)}",
        "name": "Pizzaria anual",
        "price_cents": 149000,
        "interval": "year",
        "modules": ["conversations", "commerce"],
        "limits": {"users": 8},
        "is_active": False,
    } | changes


async def _rows(runtime: Runtime) -> list[tuple[object, ...]]:
    async with runtime.database.system_session() as session:
        found = await session.execute(text("SELECT p.* FROM plans p ORDER BY id"))
        return [tuple(row) for row in found]


async def _told(world: World, action: str) -> list[dict[str, Any]]:
    async with world.work() as work:
        found = await work.session.execute(
            select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)
        )
        return [{"actor": a.actor_id, "id": a.resource_id, **a.facts} for a in found.scalars()]


async def test_the_documented_plans_are_on_sale(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get("/api/v1/plans")
    assert answer.status_code == 200
    found = {p["code"]: p for p in answer.json()["items"]}
    documented = {
        "free": (1, 10, 5),
        "starter": (3, 50, 5),
        "pro": (10, 200, 20),
        "team": (None, 500, 50),
        "enterprise": (None, None, None),
    }
    for code, (users, documents, workflows) in documented.items():
        limits = found[code]["limits"]
        shown = (limits.get("users"), limits.get("documents"), limits.get("workflows"))
        assert shown == (users, documents, workflows), code
    own = [p["code"] for p in answer.json()["items"] if p["code"] in documented]
    assert own == list(documented), "in the order of the price list"
    prices = [found[code]["price_cents"] for code in own]
    assert prices == sorted(prices)


async def test_create_read_change_delete(
    root: httpx.AsyncClient, platform: World, anonymous: httpx.AsyncClient
) -> None:
    made = await root.post(PLANS, json=(body := _body()))
    assert made.status_code == 201
    shown = made.json()
    assert shown.items() >= (body | {"modules": ["commerce", "conversations"]}).items()
    path = f"{PLANS}/{body['code']}"
    assert (await root.get(path)).json() == shown
    assert body["code"] in {p["code"] for p in (await root.get(PLANS)).json()["items"]}
    public = (await anonymous.get("/api/v1/plans")).json()["items"]
    assert body["code"] not in {p["code"] for p in public}, "off sale"

    changed = await root.patch(path, json={"price_cents": 99000, "limits": {"stores": 2}})
    assert changed.status_code == 200
    assert changed.json() == shown | {"price_cents": 99000, "limits": {"stores": 2}}
    assert (await root.patch(path, json={"price_cents": 99000})).status_code == 200
    assert (await root.delete(path)).status_code == 204
    assert (await root.get(path)).json()["code"] == "plan-not-found"

    [created] = await _told(platform, "plan.created")
    [updated] = await _told(platform, "plan.updated")
    [deleted] = await _told(platform, "plan.deleted")
    assert created["actor"] == updated["actor"] == deleted["actor"] == platform.owner.id
    assert created["after"]["price_cents"] == updated["before"]["price_cents"] == 149000
    assert updated["after"]["price_cents"] == deleted["before"]["price_cents"] == 99000


async def test_create_twice_with_one_key_is_one_plan(root: httpx.AsyncClient) -> None:
    body, once = _body(), key()
    first = await root.post(PLANS, json=body, headers=once)
    again = await root.post(PLANS, json=body, headers=once)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()


async def test_a_code_is_taken_once(root: httpx.AsyncClient, runtime: Runtime) -> None:
    body = _body()
    answers = await asyncio.gather(*(root.post(PLANS, json=body) for _ in range(4)))
    assert sorted(a.status_code for a in answers) == [201, 409, 409, 409]
    assert {a.json()["code"] for a in answers if a.is_error} == {"plan-code-taken"}
    before = await _rows(runtime)
    assert (await root.post(PLANS, json=_body(code="pro"))).json()["code"] == "plan-code-taken"
    assert await _rows(runtime) == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"modules": ["commerce", "magic"]},
        {"modules": ["platform"]},
        {"limits": {"unicorns": 1}},
        {"limits": {"users": -1}},
        {"limits": {"users": None}},
        {"price_cents": -1},
        {"currency": "real"},
        {"interval": "week"},
        {"code": "Pro Max"},
        {"colour": "blue"},
    ],
)
async def test_wrong_plans_are_refused(
    root: httpx.AsyncClient, runtime: Runtime, wrong: dict[str, Any]
) -> None:
    before = await _rows(runtime)
    answer = await root.post(PLANS, json=_body(**wrong))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    if "code" not in wrong:
        answer = await root.patch(f"{PLANS}/pro", json=wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert await _rows(runtime) == before


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_unknown_plan(root: httpx.AsyncClient, runtime: Runtime, method: str) -> None:
    before = await _rows(runtime)
    body = {"name": "Outro"} if method == "PATCH" else None
    answer = await root.request(method, f"{PLANS}/no-such-plan", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "plan-not-found")
    assert await _rows(runtime) == before


async def test_a_plan_in_use_stays(
    root: httpx.AsyncClient, runtime: Runtime, world: World, plan: PlanRead
) -> None:
    applied = await root.post(f"{TENANTS}/{world.tenant.id}/plan", json={"plan_code": plan.code})
    assert applied.status_code == 200
    before = await _rows(runtime)
    answer = await root.delete(f"{PLANS}/{plan.code}")
    assert (answer.status_code, answer.json()["code"]) == (409, "plan-in-use")
    assert await _rows(runtime) == before


async def test_nobody_else_makes_plans(
    owner: httpx.AsyncClient, anonymous: httpx.AsyncClient, runtime: Runtime, platform: World
) -> None:
    before = await _rows(runtime)
    admin = await platform.member("admin")
    others = {
        "owner of a tenant": owner.headers["Authorization"],
        "admin of the platform": f"Bearer {admin.token}",
    }
    for who, header in others.items():
        headers = {"Authorization": header}
        for method, path, body in (
            ("GET", PLANS, None),
            ("POST", PLANS, _body()),
            ("GET", f"{PLANS}/pro", None),
            ("PATCH", f"{PLANS}/pro", {"price_cents": 0}),
            ("DELETE", f"{PLANS}/pro", None),
        ):
            answer = await anonymous.request(method, path, json=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "system-admin-only"), who
    assert await _rows(runtime) == before


def test_the_cheapest_plan_per_month_that_allows_it() -> None:
    def plan(code: str, cents: int, interval: str, limits: dict[str, int]) -> Plan:
        return Plan(
            code=code, price_cents=cents, interval=interval, limits=limits, position=0, name=code
        )

    plans = [
        plan("small", 1000, "month", {"users": 5}),
        plan("dear", 9000, "month", {}),
        plan("yearly", 60000, "year", {"users": 10}),
        plan("monthly", 6000, "month", {"users": 10}),
    ]
    for needed, expected in ((5, "small"), (6, "yearly"), (11, "dear")):
        found = cheapest_that_allows(plans, "users", needed)
        assert found is not None
        assert found.code == expected
    assert cheapest_that_allows(plans[:1], "users", 6) is None
