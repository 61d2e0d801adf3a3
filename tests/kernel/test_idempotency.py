"""Idempotency-Key: one effect, one answer; another request or a failure is another matter."""

from __future__ import annotations

import asyncio
import secrets
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select

from app.kernel.groups.models import Group
from app.kernel.idempotency import IdempotencyRecord
from tests.factories.commerce import make_shop
from tests.factories.tenants import World

GROUPS = "/api/v1/admin/groups"
USERS = "/api/v1/admin/users"


def _key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}


async def _groups(world: World) -> int:
    async with world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(Group)) or 0


async def _records(world: World) -> int:
    async with world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(IdempotencyRecord)) or 0


async def test_replay_answers_the_stored_bytes(owner: httpx.AsyncClient, world: World) -> None:
    key, body = _key(), {"name": "Balcão"}
    first = await owner.post(GROUPS, json=body, headers=key)
    assert first.status_code == 201
    assert "idempotency-replayed" not in first.headers
    again = await owner.post(GROUPS, json=body, headers=key)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert await _groups(world) == 1
    without = await owner.post(GROUPS, json={"name": "Sem chave"})
    assert without.status_code == 201
    assert await _records(world) == 1


async def test_same_key_for_something_else_is_refused(
    owner: httpx.AsyncClient, world: World
) -> None:
    key = _key()
    await owner.post(GROUPS, json={"name": "Balcão"}, headers=key)
    user = {"email": "a@example.com", "name": "A", "role": "agent", "password": "12345678"}
    for answer in (
        await owner.post(GROUPS, json={"name": "Cozinha"}, headers=key),
        await owner.post(USERS, json=user, headers=key),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")
    assert await _groups(world) == 1
    assert (await owner.get(USERS)).json()["next_cursor"] is None
    assert len((await owner.get(USERS)).json()["items"]) == 1


async def test_twenty_twins_have_one_effect(owner: httpx.AsyncClient, world: World) -> None:
    key, body = _key(), {"name": "Balcão"}
    answers = await asyncio.gather(*(owner.post(GROUPS, json=body, headers=key) for _ in range(20)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.content for a in answers}) == 1
    assert [a.headers.get("idempotency-replayed") for a in answers].count(None) == 1
    assert await _groups(world) == 1
    audit = await owner.get("/api/v1/admin/audit", params={"action": "group.created"})
    assert len(audit.json()["items"]) == 1


async def test_failed_attempt_may_be_tried_again(owner: httpx.AsyncClient, world: World) -> None:
    key = _key()
    taken = (await owner.post(GROUPS, json={"name": "Balcão"})).json()
    refused = await owner.post(GROUPS, json={"name": "Balcão"}, headers=key)
    assert refused.json()["code"] == "group-name-taken"
    assert await _records(world) == 0
    await owner.delete(f"{GROUPS}/{taken['id']}")
    retried = await owner.post(GROUPS, json={"name": "Balcão"}, headers=key)
    assert retried.status_code == 201
    assert "idempotency-replayed" not in retried.headers
    invalid = _key()
    assert (await owner.post(GROUPS, json={"name": ""}, headers=invalid)).status_code == 422
    mended = await owner.post(GROUPS, json={"name": "Cozinha"}, headers=invalid)
    assert mended.status_code == 201, "a refused body does not use the key up"
    assert await _groups(world) == 2


async def test_keys_of_two_tenants_do_not_meet(
    owner: httpx.AsyncClient, outsider: httpx.AsyncClient, world: World, stranger: World
) -> None:
    key, body = _key(), {"name": "Balcão"}
    mine = await owner.post(GROUPS, json=body, headers=key)
    other = await outsider.post(GROUPS, json=body, headers=key)
    assert (mine.status_code, other.status_code) == (201, 201)
    assert "idempotency-replayed" not in other.headers
    assert mine.json()["id"] != other.json()["id"]
    assert (await _groups(world), await _groups(stranger)) == (1, 1)


async def test_replay_still_passes_the_gate(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient
) -> None:
    key, body = _key(), {"name": "Balcão"}
    await owner.post(GROUPS, json=body, headers=key)
    answer = await shopper.post(GROUPS, json=body, headers=key)
    assert answer.status_code == 401
    assert "Balcão" not in answer.text


@pytest.mark.parametrize("key", ["short", "x" * 201])
async def test_malformed_key(owner: httpx.AsyncClient, world: World, key: str) -> None:
    answer = await owner.post(GROUPS, json={"name": "A"}, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert await _groups(world) == 0


async def test_twin_of_a_slow_first_is_told_to_come_back(
    owner: httpx.AsyncClient, world: World
) -> None:
    """Whoever waits longer than lock_timeout is answered, not parked."""
    key = secrets.token_hex(8)
    body = {"name": "Balcão"}
    async with world.work() as work:
        await (await work.raw()).fetch("SELECT * FROM claim_idempotency($1)", key)
        answer = await owner.post(GROUPS, json=body, headers={"Idempotency-Key": key})
        assert (answer.status_code, answer.json()["code"]) == (409, "busy")
    assert await _groups(world) == 0


async def test_key_is_required_where_twice_costs_money(
    shopper: httpx.AsyncClient, world: World
) -> None:
    shop = await make_shop(world)
    body = shop.cart(await shop.product())
    answer = await shopper.post("/api/v1/checkout", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency-key-missing")
    assert await _records(world) == 0
