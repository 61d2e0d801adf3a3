"""Refresh tokens: one exchange each, a short grace for twins, and the end of a stolen chain."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import func, select, update

from app.core.clock import now
from app.core.crypto import token_hash
from app.core.settings import Settings
from app.kernel.audit.models import AuditEntry
from app.kernel.sessions.models import RefreshToken, UserSession
from app.main import create_app
from tests.conftest import serving
from tests.factories.tenants import PASSWORD, World

LOGIN, REFRESH, ME = "/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/me"


async def _log_in(client: httpx.AsyncClient, world: World) -> dict[str, Any]:
    body = {"email": world.owner.email, "password": PASSWORD}
    answer = await client.post(LOGIN, json=body)
    assert answer.status_code == 200, answer.text
    client.cookies.clear()
    found: dict[str, Any] = answer.json()
    return found


async def _refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    answer = await client.post(REFRESH, json={"refresh_token": token})
    client.cookies.clear()
    return answer


async def _me(client: httpx.AsyncClient, token: str) -> int:
    return (await client.get(ME, headers={"Authorization": f"Bearer {token}"})).status_code


def _refused(answer: httpx.Response) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.json()["code"] == "refresh-refused"


async def _age(world: World, token: str, by: timedelta) -> None:
    async with world.work() as work:
        await work.session.execute(
            update(RefreshToken)
            .where(RefreshToken.token_hash == token_hash(token))
            .values(used_at=RefreshToken.used_at - by)
        )


async def test_each_exchange_answers_a_new_pair_of_the_same_session(
    shopper: httpx.AsyncClient, world: World
) -> None:
    first = await _log_in(shopper, world)
    second = await _refresh(shopper, first["refresh_token"])
    assert second.status_code == 200, second.text
    assert "admin_token=" in second.headers["set-cookie"]
    third = (await _refresh(shopper, second.json()["refresh_token"])).json()
    chain = {first["refresh_token"], second.json()["refresh_token"], third["refresh_token"]}
    assert len(chain) == 3
    me = await shopper.get(ME, headers={"Authorization": f"Bearer {third['access_token']}"})
    assert me.json()["session_id"] == first["session_id"]
    async with world.work() as work:
        stored = (await work.session.scalars(select(RefreshToken))).all()
    assert {link.token_hash for link in stored} == {token_hash(t) for t in chain}
    assert sum(link.successor is not None for link in stored) == 1, "kept for one link alone"


async def test_twins_get_one_pair(shopper: httpx.AsyncClient, world: World) -> None:
    token = (await _log_in(shopper, world))["refresh_token"]
    answers = await asyncio.gather(*(_refresh(shopper, token) for _ in range(5)))
    assert [a.status_code for a in answers] == [200] * 5
    assert len({a.text for a in answers}) == 1
    async with world.work() as work:
        links = await work.session.scalar(select(func.count()).select_from(RefreshToken))
    assert links == 2


async def test_reuse_after_the_grace_ends_the_session(
    shopper: httpx.AsyncClient, world: World
) -> None:
    first = await _log_in(shopper, world)
    other = await _log_in(shopper, world)
    second = (await _refresh(shopper, first["refresh_token"])).json()
    await _age(world, first["refresh_token"], timedelta(seconds=11))
    _refused(await _refresh(shopper, first["refresh_token"]))
    _refused(await _refresh(shopper, second["refresh_token"]))
    assert await _me(shopper, second["access_token"]) == 401
    assert await _me(shopper, other["access_token"]) == 200, "another session is not its family"
    async with world.work() as work:
        told = await work.session.scalar(
            select(func.count()).where(AuditEntry.action == "auth.refresh_reused")
        )
    assert told == 1


async def test_the_grace_is_for_the_immediate_predecessor(
    shopper: httpx.AsyncClient, world: World
) -> None:
    first = (await _log_in(shopper, world))["refresh_token"]
    second = (await _refresh(shopper, first)).json()["refresh_token"]
    third = (await _refresh(shopper, second)).json()
    _refused(await _refresh(shopper, first))
    assert await _me(shopper, third["access_token"]) == 401


async def test_expired_unknown_and_foreign_tokens_are_refused(
    shopper: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World
) -> None:
    token = (await _log_in(shopper, world))["refresh_token"]
    _refused(await _refresh(shopper, "x" * 43))
    _refused(await _refresh(outsider, token))
    async with world.work() as work:
        await work.session.execute(update(RefreshToken).values(expires_at=now()))
    _refused(await _refresh(shopper, token))
    async with world.work() as work:
        link = (await work.session.scalars(select(RefreshToken))).one()
    assert link.used_at is None


async def test_a_session_that_is_over_is_not_refreshed(
    shopper: httpx.AsyncClient, world: World, config: Settings
) -> None:
    idle = now() - timedelta(minutes=config.admin_session_expire_minutes + 1)
    ends: tuple[dict[str, Any], ...] = (
        {"revoked_at": now()},
        {"expires_at": now()},
        {"last_seen_at": idle},
    )
    for end in ends:
        done = await _log_in(shopper, world)
        async with world.work() as work:
            await work.session.execute(
                update(UserSession).where(UserSession.id == done["session_id"]).values(**end)
            )
        _refused(await _refresh(shopper, done["refresh_token"]))


async def test_an_expired_access_token_does_not_hinder(
    shopper: httpx.AsyncClient, world: World, config: Settings
) -> None:
    done = await _log_in(shopper, world)
    stale = {"Authorization": "Bearer " + done["access_token"][:-4] + "AAAA"}
    body = {"refresh_token": done["refresh_token"]}
    assert (await shopper.get(ME, headers=stale)).status_code == 401
    assert (await shopper.post(REFRESH, json=body, headers=stale)).status_code == 200


async def test_another_process_refuses_a_revoked_chain_within_a_second(
    shopper: httpx.AsyncClient, world: World, config: Settings
) -> None:
    first = await _log_in(shopper, world)
    second = (await _refresh(shopper, first["refresh_token"])).json()
    async with serving(create_app(config)) as elsewhere:
        transport = httpx.ASGITransport(elsewhere)
        headers = {"X-Tenant": world.tenant.slug}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://largo.test", headers=headers
        ) as client:
            assert await _me(client, second["access_token"]) == 200
            await _age(world, first["refresh_token"], timedelta(seconds=11))
            _refused(await _refresh(shopper, first["refresh_token"]))
            await asyncio.sleep(1)
            assert await _me(client, second["access_token"]) == 401
            _refused(await _refresh(client, second["refresh_token"]))
