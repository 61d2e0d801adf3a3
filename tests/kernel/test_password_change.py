"""One's own password: the current one is asked for, weak ones are refused, others log out."""

from __future__ import annotations

import httpx
import pytest

from tests.factories.tenants import PASSWORD, World

CHANGE, LOGIN, ME = "/api/v1/auth/password/change", "/api/v1/auth/login", "/api/v1/auth/me"
NEW = "massa fina e crocante"


async def _log_in(client: httpx.AsyncClient, world: World, password: str) -> httpx.Response:
    answer = await client.post(LOGIN, json={"email": world.owner.email, "password": password})
    client.cookies.clear()
    return answer


async def test_change_ends_the_other_sessions_and_their_refresh_tokens(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    other = (await _log_in(shopper, world, PASSWORD)).json()
    done = await owner.post(CHANGE, json={"current_password": PASSWORD, "password": NEW})
    assert done.status_code == 204, done.text
    assert (await owner.get(ME)).status_code == 200, "one's own session stays"
    bearer = {"Authorization": f"Bearer {other['access_token']}"}
    assert (await shopper.get(ME, headers=bearer)).status_code == 401
    token = {"refresh_token": other["refresh_token"]}
    assert (await shopper.post("/api/v1/auth/refresh", json=token)).status_code == 401
    assert (await _log_in(shopper, world, PASSWORD)).status_code == 401
    assert (await _log_in(shopper, world, NEW)).status_code == 200


async def test_a_wrong_current_password_changes_nothing_and_is_throttled(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    other = (await _log_in(shopper, world, PASSWORD)).json()
    body = {"current_password": "nope", "password": NEW}
    answers = [await owner.post(CHANGE, json=body) for _ in range(7)]
    assert answers[0].status_code == 403
    assert answers[0].json()["code"] == "wrong-current-password"
    assert answers[-1].status_code == 429
    bearer = {"Authorization": f"Bearer {other['access_token']}"}
    assert (await shopper.get(ME, headers=bearer)).status_code == 200
    async with world.work() as work:
        hashed = await (await work.raw()).fetchval(
            "SELECT password_hash FROM users WHERE id = $1", world.owner.id
        )
    assert (await world.runtime.passwords.verify(PASSWORD, hashed)).ok


@pytest.mark.parametrize("weak", ["short", "12345678", "Flamengo2026", " senha123 ", "x" * 1025])
async def test_weak_passwords_are_refused_wherever_one_is_set(
    owner: httpx.AsyncClient, world: World, weak: str
) -> None:
    member = await world.member("agent")
    user = {"email": "nova@bellamassa.example", "name": "Nova", "role": "agent"}
    answers = [
        await owner.post(CHANGE, json={"current_password": PASSWORD, "password": weak}),
        await owner.post(f"/api/v1/admin/users/{member.id}/password", json={"password": weak}),
        await owner.post(
            "/api/v1/admin/users",
            json=user | {"password": weak},
            headers={"Idempotency-Key": "3f0c7a52-8f7e-4e57-9a51-5a9d3a2f1c11"},
        ),
    ]
    assert [a.status_code for a in answers] == [422, 422, 422]
    assert all(weak.strip() not in a.text or weak == "short" for a in answers), "never echoed"
    listed = (await owner.get("/api/v1/admin/users")).json()["items"]
    assert len(listed) == 2
    assert (await owner.get(ME)).status_code == 200


async def test_an_unknown_account_takes_the_hash_too(
    shopper: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    check = world.runtime.passwords._check

    def counted(password: str, stored: str | None) -> tuple[bool, str | None]:
        hashed.append(stored or world.runtime.passwords._dummy.result())
        return check(password, stored)

    monkeypatch.setattr(world.runtime.passwords, "_check", counted)
    assert (await _log_in(shopper, world, "nope")).status_code == 401
    unknown = {"email": "nobody@example.com", "password": "nope"}
    assert (await shopper.post(LOGIN, json=unknown)).status_code == 401
    assert len(hashed) == 2
    costs = {stored.split(",r=")[1][:2] for stored in hashed}
    assert len(costs) == 1, "the dummy costs what a real one does"
