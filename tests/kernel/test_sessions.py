"""Log in, log out, who am I: the happy path and every refusal."""

from __future__ import annotations

import httpx
from sqlalchemy import func, select

from app.kernel.audit.models import AuditEntry
from app.kernel.sessions.models import UserSession
from tests.factories.tenants import PASSWORD, World


async def test_login_me_logout(shopper: httpx.AsyncClient, world: World) -> None:
    answer = await shopper.post(
        "/api/v1/auth/login", json={"email": world.owner.email.upper(), "password": PASSWORD}
    )
    assert answer.status_code == 200, answer.text
    cookie = answer.headers["set-cookie"]
    assert "admin_token=" in cookie
    assert {"HttpOnly", "Secure", "SameSite=lax"} <= {p.strip() for p in cookie.split(";")}
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    shopper.cookies.clear()

    me = await shopper.get("/api/v1/auth/me", headers=bearer)
    assert me.status_code == 200
    assert me.json()["email"] == world.owner.email
    assert me.json()["tenant_id"] == str(world.tenant.id)
    assert "commerce.orders:read" in me.json()["grants"]

    gone = await shopper.post("/api/v1/auth/logout", headers=bearer)
    assert gone.status_code == 204
    again = await shopper.get("/api/v1/auth/me", headers=bearer)
    assert again.status_code == 401
    assert again.json()["code"] == "session-ended"


async def test_wrong_password_and_unknown_account_answer_alike(
    shopper: httpx.AsyncClient, world: World
) -> None:
    wrong = await shopper.post(
        "/api/v1/auth/login", json={"email": world.owner.email, "password": "nope"}
    )
    unknown = await shopper.post(
        "/api/v1/auth/login", json={"email": "nobody@example.com", "password": "nope"}
    )
    bodies = []
    for answer in (wrong, unknown):
        assert answer.status_code == 401
        bodies.append({k: v for k, v in answer.json().items() if k != "request_id"})
    assert bodies[0] == bodies[1]
    async with world.work() as work:
        sessions = await work.session.scalar(select(func.count()).select_from(UserSession))
        failed = await work.session.scalar(
            select(func.count()).where(AuditEntry.action == "auth.login_failed")
        )
    assert sessions == 1, "only the factory's own session"
    assert failed == 2


async def test_login_is_throttled_per_account_and_address(
    shopper: httpx.AsyncClient, world: World
) -> None:
    body = {"email": world.owner.email, "password": "nope"}
    answers = [await shopper.post("/api/v1/auth/login", json=body) for _ in range(8)]
    assert [a.status_code for a in answers].count(401) == 6
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_cookie_session_refuses_cross_site_change(
    shopper: httpx.AsyncClient, world: World
) -> None:
    shopper.cookies.set("admin_token", world.owner.token)
    refused = await shopper.post("/api/v1/auth/logout", headers={"Sec-Fetch-Site": "cross-site"})
    assert refused.status_code == 403
    assert refused.json()["code"] == "cross-site-request"
    assert (await shopper.get("/api/v1/auth/me")).status_code == 200, "nothing changed"


async def test_token_of_another_tenant_is_refused(
    shopper: httpx.AsyncClient, stranger: World
) -> None:
    bearer = {"Authorization": f"Bearer {stranger.owner.token}"}
    answer = await shopper.get("/api/v1/auth/me", headers=bearer)
    assert answer.status_code == 403
    assert answer.json()["code"] == "tenant-mismatch"
