"""Shipping rules through the API: how a merchant keeps and tries them, with every refusal."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.factories.shipping import (
    ADMIN,
    NEAR,
    QUOTE,
    TIER,
    ask,
    open_always,
    rules_of,
    set_rules,
)
from tests.factories.tenants import World


async def test_rules_by_hand(owner: httpx.AsyncClient, store: dict[str, Any], world: World) -> None:
    first = await owner.post(f"{ADMIN}/rules", json=TIER | {"store_id": store["id"]})
    assert first.status_code == 201, first.text
    assert first.json()["position"] == 0
    flat = {"kind": "flat", "fee_cents": 2000, "minutes": 60, "store_id": store["id"]}
    second = await owner.post(f"{ADMIN}/rules", json=flat)
    assert second.json()["position"] == 1
    near = await owner.post(
        f"{ADMIN}/rules", json=TIER | {"store_id": store["id"], "max_meters": 1000}
    )
    listed = (await owner.get(f"{ADMIN}/rules", params={"store_id": store["id"]})).json()
    wanted = [near.json()["id"], first.json()["id"], second.json()["id"]]
    assert [r["id"] for r in listed["items"]] == wanted, "the near tier is tried before the far"

    path = f"{ADMIN}/rules/{first.json()['id']}"
    changed = await owner.patch(path, json={"fee_cents": 750, "is_active": False})
    assert changed.json() == first.json() | {"fee_cents": 750, "is_active": False}
    assert (await owner.delete(path)).status_code == 204
    gone = await owner.patch(path, json={"fee_cents": 1})
    assert (gone.status_code, gone.json()["code"]) == (404, "shipping-rule-not-found")
    assert len(await rules_of(world)) == 2


async def test_one_key_makes_one_rule(
    owner: httpx.AsyncClient, store: dict[str, Any], world: World
) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    body = TIER | {"store_id": store["id"]}
    twice = [await owner.post(f"{ADMIN}/rules", json=body, headers=key) for _ in range(2)]
    assert twice[0].json() == twice[1].json()
    assert len(await rules_of(world)) == 1


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"kind": "distance"}, "needs max_meters"),
        ({"kind": "distance", "max_meters": 0}, "greater than 0"),
        ({"kind": "distance", "max_meters": 100, "district": "Moema"}, "does not take district"),
        ({"kind": "cep_range", "cep_from": "01300-000"}, "needs cep_to"),
        ({"kind": "cep_range", "cep_from": "02000-000", "cep_to": "01300-000"}, "above cep_to"),
        ({"kind": "cep_range", "cep_from": "1", "cep_to": "2"}, "not-eight-digits"),
        ({"kind": "district", "district": "  "}, "at least 1"),
        ({"kind": "flat", "max_meters": 100}, "does not take max_meters"),
        ({"kind": "flat", "fee_cents": -1}, "greater than or equal to 0"),
        ({"kind": "drone"}, "distance"),
    ],
)
async def test_rules_must_fit_their_kind(
    owner: httpx.AsyncClient, store: dict[str, Any], world: World, rule: dict[str, Any], says: str
) -> None:
    before = await set_rules(owner, store, TIER)
    body = {"fee_cents": 500, "minutes": 10} | rule
    made = await owner.post(f"{ADMIN}/rules", json=body | {"store_id": store["id"]})
    listed = await owner.put(f"{ADMIN}/stores/{store['id']}/rules", json={"rules": [body]})
    for answer in (made, listed):
        assert answer.status_code == 422, answer.text
        assert any(says in e["detail"] for e in answer.json()["errors"]), answer.text
    assert [str(r["id"]) for r in await rules_of(world)] == [r["id"] for r in before]


async def test_patch_keeps_the_kind_whole(
    owner: httpx.AsyncClient, store: dict[str, Any], world: World
) -> None:
    tier, span = await set_rules(
        owner,
        store,
        TIER,
        {
            "kind": "cep_range",
            "cep_from": "01300-000",
            "cep_to": "01399-999",
            "fee_cents": 900,
            "minutes": 30,
        },
    )
    before = await rules_of(world)
    for rule, body in (
        (tier, {"district": "Moema"}),
        (tier, {"max_meters": None}),
        (span, {"cep_from": "02000-000"}),
        (span, {"fee_cents": None}),
        (tier, {"kind": "flat"}),
    ):
        refused = await owner.patch(f"{ADMIN}/rules/{rule['id']}", json=body)
        assert refused.status_code == 422, (body, refused.text)
        assert refused.json()["code"] == "invalid-request"
    assert await rules_of(world) == before
    moved = await owner.patch(f"{ADMIN}/rules/{span['id']}", json={"cep_to": "01350-000"})
    assert moved.json()["cep_to"] == "01350000"


async def test_replace_keeps_ids_and_orders_tiers(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, store: dict[str, Any], world: World
) -> None:
    flat = {"kind": "flat", "fee_cents": 2000, "minutes": 60}
    far = TIER | {"max_meters": 30000, "fee_cents": 3000}
    first = await set_rules(owner, store, far, flat, TIER)
    assert [r["max_meters"] for r in first] == [3000, None, 30000]
    assert (await shopper.post(QUOTE, json=ask(store))).json()["fee_cents"] == 600

    second = await set_rules(owner, store, TIER | {"fee_cents": 700}, far)
    assert [r["id"] for r in second] == [first[0]["id"], first[2]["id"]]
    assert [r["fee_cents"] for r in second] == [700, 3000]
    assert len(await rules_of(world)) == 2
    assert await set_rules(owner, store) == []


async def test_parallel_replacements_do_not_mix(
    owner: httpx.AsyncClient, store: dict[str, Any], world: World
) -> None:
    lists = [[TIER | {"max_meters": 1000 * n, "fee_cents": fee} for n in (1, 2, 3)]
             for fee in (100, 200, 300, 400, 500)]  # fmt: skip
    path = f"{ADMIN}/stores/{store['id']}/rules"
    answers = await asyncio.gather(*(owner.put(path, json={"rules": r}) for r in lists))
    assert [a.status_code for a in answers] == [200] * 5
    left = await rules_of(world)
    assert len(left) == 3
    assert len({r["fee_cents"] for r in left}) == 1


async def test_number_of_rules_is_bounded(
    owner: httpx.AsyncClient, store: dict[str, Any], world: World
) -> None:
    tiers = [TIER | {"max_meters": 100 + step} for step in range(201)]
    path = f"{ADMIN}/stores/{store['id']}/rules"
    assert (await owner.put(path, json={"rules": tiers})).status_code == 422
    await set_rules(owner, store, *tiers[:200])
    refused = await owner.post(f"{ADMIN}/rules", json=TIER | {"store_id": store["id"]})
    assert refused.status_code == 409
    assert refused.json()["code"] == "too-many-shipping-rules"
    assert len(await rules_of(world)) == 200


async def test_simulation_explains(owner: httpx.AsyncClient, areas: None) -> None:
    store = await open_always(owner, hours=[], is_active=False)
    near, far, flat = await set_rules(
        owner,
        store,
        TIER | {"max_meters": 1000},
        TIER | {"max_meters": 30000, "fee_cents": 3000},
        {"kind": "flat", "fee_cents": 2000, "minutes": 60},
    )
    body = {"store_id": store["id"], "postal_code": NEAR, "subtotal_cents": 10000}
    answer = await owner.post(f"{ADMIN}/simulate", json=body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["is_served"], found["fee_cents"], found["is_free"]) == (True, 0, True)
    assert found["area"]["prefix"] == NEAR[:5]
    assert [(r["rule"]["id"], r["serves"], r["is_chosen"]) for r in found["rules"]] == [
        (near["id"], False, False),
        (far["id"], True, True),
        (flat["id"], True, False),
    ]
    await owner.delete(f"{ADMIN}/rules/{flat['id']}")
    lost = await owner.post(f"{ADMIN}/simulate", json=body | {"postal_code": "69900-000"})
    assert lost.json()["is_served"] is False
    assert lost.json()["reason"] == "location-unknown"
    assert lost.json()["area"] is None


async def test_strangers_and_the_ungranted_change_nothing(
    owner: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
    shopper: httpx.AsyncClient,
    world: World,
    store: dict[str, Any],
) -> None:
    (rule,) = await set_rules(owner, store, TIER)
    before = await rules_of(world)
    path = f"{ADMIN}/rules/{rule['id']}"
    agent = {"Authorization": f"Bearer {(await world.member('agent')).token}"}
    where = {"store_id": store["id"]}
    calls: list[tuple[str, str, Any, str]] = [
        ("GET", f"{ADMIN}/rules?store_id={store['id']}", None, "store-not-found"),
        ("POST", f"{ADMIN}/rules", TIER | where, "store-not-found"),
        ("PATCH", path, {"fee_cents": 0}, "shipping-rule-not-found"),
        ("DELETE", path, None, "shipping-rule-not-found"),
        ("PUT", f"{ADMIN}/stores/{store['id']}/rules", {"rules": []}, "store-not-found"),
        ("POST", f"{ADMIN}/simulate", where | {"postal_code": NEAR}, "store-not-found"),
    ]
    for method, url, body, code in calls:
        foreign = await outsider.request(method, url, json=body)
        assert (foreign.status_code, foreign.json()["code"]) == (404, code), (method, url)
        ungranted = await shopper.request(method, url, json=body, headers=agent)
        assert ungranted.status_code == 403, (method, url)
        assert (await shopper.request(method, url, json=body)).status_code == 401
    assert await rules_of(world) == before
