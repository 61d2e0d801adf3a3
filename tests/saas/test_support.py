"""A tenant's people and messaging from the central console, told in that tenant's own trail."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select

from app.core.clock import now
from app.kernel.connections.models import Connection
from app.kernel.connections.service import ConnectionService
from app.kernel.tenants.service import ensure_tenant
from app.kernel.totp.models import TotpFactor
from app.kernel.totp.service import TotpService
from app.kernel.users.models import User
from tests.factories.commerce import key
from tests.factories.tenants import PASSWORD, World
from tests.saas.conftest import TENANTS
from tests.saas.console import trail

LOGIN, ME = "/api/v1/auth/login", "/api/v1/auth/me"
NEW_PASSWORD = "farinha-de-trigo"


def _users(world: World) -> str:
    return f"{TENANTS}/{world.tenant.id}/users"


def _person(**changes: Any) -> dict[str, Any]:
    email = f"marina-{secrets.token_hex(4)}@bella.example"
    person = {"email": email, "name": "Marina", "role": "manager", "password": PASSWORD}
    return person | changes


async def _rows(world: World) -> list[tuple[object, ...]]:
    async with world.work() as work:
        found = await work.session.scalars(select(User).order_by(User.id))
        return [(u.email, u.name, u.role, u.is_active, u.password_hash) for u in found]


async def test_hire_change_reset_and_lock_out(
    root: httpx.AsyncClient, shopper: httpx.AsyncClient, platform: World, world: World
) -> None:
    body = _person()
    made = await root.post(_users(world), json=body, headers=key())
    assert made.status_code == 201, made.text
    one = f"{_users(world)}/{made.json()['id']}"
    listed = (await root.get(_users(world), params={"role": "manager"})).json()["items"]
    assert listed == [made.json()]
    changed = await root.patch(one, json={"role": "owner", "name": "Marina Duarte"})
    assert (changed.status_code, changed.json()["role"]) == (200, "owner")

    credentials = {"email": body["email"], "password": PASSWORD}
    token = (await shopper.post(LOGIN, json=credentials)).json()["access_token"]
    shopper.cookies.clear()
    bearer = {"Authorization": f"Bearer {token}"}
    assert len((await root.get(f"{one}/sessions")).json()) == 1
    assert (await root.delete(f"{one}/sessions")).status_code == 204
    assert (await shopper.get(ME, headers=bearer)).status_code == 401

    reset = await root.post(f"{one}/password", json={"password": NEW_PASSWORD})
    assert reset.status_code == 204, reset.text
    assert (await shopper.post(LOGIN, json=credentials)).status_code == 401
    credentials["password"] = NEW_PASSWORD
    assert (await shopper.post(LOGIN, json=credentials)).status_code == 200
    shopper.cookies.clear()
    assert (await root.delete(one)).status_code == 204
    assert (await shopper.post(LOGIN, json=credentials)).status_code == 401

    told = [x for x in await trail(world) if x.actor_kind == "platform"]
    assert {x.actor_id for x in told} == {platform.owner.id}
    assert [x.action for x in told] == [
        "user.created",
        "user.updated",
        "auth.sessions_ended",
        "user.password_set",
        "user.updated",
    ]
    console = [x.action for x in await trail(platform, world.tenant.id)]
    assert console == [
        "tenant.user_created",
        "tenant.user_updated",
        "tenant.user_sessions_ended",
        "tenant.user_password_set",
        "tenant.user_deactivated",
    ]
    assert NEW_PASSWORD not in str([x.facts for x in told])


async def test_refusals_change_nothing(
    root: httpx.AsyncClient, platform: World, world: World, stranger: World
) -> None:
    await ensure_tenant(world.runtime, world.tenant.slug, limits={"users": 1})
    before, told = await _rows(world), len(await trail(platform))
    only = f"{_users(world)}/{world.owner.id}"
    foreign, nobody = f"{_users(world)}/{stranger.owner.id}", f"{_users(world)}/{uuid4()}"
    tries: list[tuple[str, str, Any, int, str]] = [
        ("POST", _users(world), _person(), 409, "limit-reached"),
        ("PATCH", only, {"role": "agent"}, 409, "last-owner"),
        ("DELETE", only, None, 409, "last-owner"),
        ("DELETE", f"{only}/totp", None, 404, "totp-not-on"),
        ("POST", f"{only}/password", {"password": "12345678"}, 422, "invalid-request"),
    ]
    for path in (foreign, nobody):
        tries += [
            ("PATCH", path, {"name": "Outra"}, 404, "user-not-found"),
            ("DELETE", path, None, 404, "user-not-found"),
            ("POST", f"{path}/password", {"password": NEW_PASSWORD}, 404, "user-not-found"),
            ("GET", f"{path}/sessions", None, 404, "user-not-found"),
            ("DELETE", f"{path}/sessions", None, 404, "user-not-found"),
            ("DELETE", f"{path}/totp", None, 404, "user-not-found"),
        ]
    for method, path, body, status, code in tries:
        headers = key() if method == "POST" else {}
        answer = await root.request(method, path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (method, path)
    await ensure_tenant(world.runtime, world.tenant.slug, limits={})
    taken = _person(email=world.owner.email)
    answer = await root.post(_users(world), json=taken, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (409, "email-taken")
    assert await _rows(world) == before
    assert len(await trail(platform)) == told


async def test_a_lost_second_factor_is_taken_off(root: httpx.AsyncClient, world: World) -> None:
    async with world.work() as work:
        work.session.add(
            TotpFactor(
                user_id=world.owner.id, secret="sealed", confirmed_at=now(), recovery_hashes=[]
            )
        )
    path = f"{_users(world)}/{world.owner.id}/totp"
    assert (await root.delete(path)).status_code == 204
    async with world.work() as work:
        assert not await TotpService(work).is_on(world.owner.id)
    [line] = [x for x in await trail(world) if x.action == "auth.totp_disabled"]
    assert (line.actor_kind, line.facts["by"]) == ("platform", "platform")


@pytest.mark.parametrize(
    ("channel", "settings", "secret"),
    [
        ("whatsapp", {"phone_number_id": "106540352242922"}, {"access_token": "EAAG-segredo-1"}),
        ("telegram", {"chat_id": "-100123"}, {"bot_token": "123:segredo-2"}),
    ],
)
async def test_messaging_is_set_up_and_its_secret_never_shown(
    root: httpx.AsyncClient,
    owner: httpx.AsyncClient,
    platform: World,
    world: World,
    channel: str,
    settings: dict[str, str],
    secret: dict[str, str],
) -> None:
    base = f"{TENANTS}/{world.tenant.id}/messaging"
    [hidden] = secret.values()
    put = await root.put(f"{base}/{channel}", json={"config": settings, "secret": secret})
    assert put.status_code == 200, put.text
    listed = await root.get(base)
    assert {e["provider"]: e["is_connected"] for e in listed.json()} == {
        "whatsapp": channel == "whatsapp",
        "telegram": channel == "telegram",
    }
    kept = await root.put(f"{base}/{channel}", json={"config": settings})
    assert kept.status_code == 200, "without a secret the stored one stays"
    async with world.work() as work:
        assert await ConnectionService(work).credentials(channel) == {**settings, **secret}
        row = await work.session.scalar(select(Connection).where(Connection.provider == channel))
        assert row is not None
        assert hidden not in row.secret
    told = [str(x.facts) for x in [*await trail(world), *await trail(platform)]]
    seen = [put.text, listed.text, kept.text, *told]
    assert not [text for text in seen if hidden in text]
    assert (await root.delete(f"{base}/{channel}")).status_code == 204
    gone = await root.delete(f"{base}/{channel}")
    assert (gone.status_code, gone.json()["code"]) == (404, "connection-not-found")
    async with world.work() as work:
        assert await ConnectionService(work).credentials(channel) is None
    about = {x.action: x.actor_kind for x in await trail(world)}
    assert about["connection.put"] == about["connection.deleted"] == "platform"


async def test_wrong_messaging_is_refused(root: httpx.AsyncClient, world: World) -> None:
    base = f"{TENANTS}/{world.tenant.id}/messaging"
    for channel, body in (
        ("whatsapp", {"config": {"phone_number_id": "abc"}, "secret": {"access_token": "x" * 12}}),
        ("whatsapp", {"config": {"phone_number_id": "10654035"}}),
        ("openai", {"config": {}, "secret": {"api_key": "x" * 12}}),
    ):
        answer = await root.put(f"{base}/{channel}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request"), channel
    async with world.work() as work:
        assert list((await work.session.scalars(select(Connection))).all()) == []


async def test_usage_of_a_tenant(
    root: httpx.AsyncClient, owner: httpx.AsyncClient, world: World
) -> None:
    await world.member("agent")
    shown = await root.get(f"{TENANTS}/{world.tenant.id}/usage")
    assert shown.status_code == 200, shown.text
    assert shown.json() == (await owner.get("/api/v1/usage")).json()
    assert {i["limit"]: i["used"] for i in shown.json()["items"]}["users"] == 2
