"""Delivery quotes through the API, with every refusal."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.commerce.shipping.problems import QuoteExpired, QuoteInvalid
from app.commerce.shipping.service import open_quote
from app.core.clock import now
from app.kernel.work import Runtime
from tests.factories.shipping import (
    FAR,
    NEAR,
    QUOTE,
    TIER,
    ask,
    set_rules,
)
from tests.factories.tenants import World


async def test_quote_by_distance_and_free_above(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, store: dict[str, Any], world: World
) -> None:
    (rule,) = await set_rules(owner, store, TIER)
    answer = await shopper.post(QUOTE, json=ask(store, "05422-010", subtotal_cents=9999))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["fee_cents"], found["currency"], found["eta_minutes"]) == (600, "BRL", 45)
    assert 1.3 < found["distance_km"] < 1.6
    assert found["rule_id"] == rule["id"]
    assert found["free_above_cents"] == 10000
    life = datetime.fromisoformat(found["expires_at"]) - now()
    assert timedelta(minutes=29) < life <= timedelta(minutes=30)

    async with world.work() as work:
        promise = open_quote(work.runtime.quotes, found["quote"])
    assert promise.fee_cents == promise.rule_fee_cents == 600
    assert promise.minutes == 45
    assert promise.distance_meters == round(found["distance_km"] * 1000)
    assert promise.rule_id == UUID(rule["id"])
    assert promise.subtotal_cents == 9999
    assert promise.expires_at == datetime.fromisoformat(found["expires_at"])
    assert promise.covers(UUID(store["id"]), NEAR, None)
    assert not promise.covers(UUID(store["id"]), FAR, None)
    assert not promise.covers(uuid4(), NEAR, None)
    assert not promise.covers(UUID(store["id"]), NEAR, "Pinheiros")
    assert (promise.fee_for(9999), promise.fee_for(10000)) == (600, 0)

    free = (await shopper.post(QUOTE, json=ask(store, subtotal_cents=10000))).json()
    assert free["fee_cents"] == 0
    async with world.work() as work:
        assert open_quote(work.runtime.quotes, free["quote"]).fee_for(5000) == 600


@pytest.mark.parametrize(
    ("postal_code", "district", "fee"),
    [
        ("05422-010", None, 600),
        ("01310-100", None, 900),
        ("04571-000", "  moÉma ", 1200),
        ("04571-000", "Campo Belo", 2000),
    ],
    ids=["distance", "cep-range", "district", "flat"],
)
async def test_each_kind_of_rule_serves(
    owner: httpx.AsyncClient,
    shopper: httpx.AsyncClient,
    store: dict[str, Any],
    postal_code: str,
    district: str | None,
    fee: int,
) -> None:
    await set_rules(
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
        {"kind": "district", "district": "Moema", "fee_cents": 1200, "minutes": 40},
        {"kind": "flat", "fee_cents": 2000, "minutes": 60},
    )
    answer = await shopper.post(QUOTE, json=ask(store, postal_code, district=district))
    assert answer.json()["fee_cents"] == fee, answer.text


async def test_out_of_area_says_why(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, store: dict[str, Any]
) -> None:
    none = await shopper.post(QUOTE, json=ask(store))
    assert (none.status_code, none.json()["reason"]) == (409, "no-shipping-rules")
    await set_rules(owner, store, TIER)
    far = await shopper.post(QUOTE, json=ask(store, FAR))
    assert far.status_code == 409
    assert far.json()["code"] == "out-of-delivery-area"
    assert far.json()["reason"] == "too-far"
    assert far.json()["max_km"] == 3.0
    assert far.json()["distance_km"] > 20
    unknown = await shopper.post(QUOTE, json=ask(store, "69900-000"))
    assert (unknown.status_code, unknown.json()["reason"]) == (409, "location-unknown")


async def test_no_quote_while_delivery_is_closed(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, store: dict[str, Any]
) -> None:
    await set_rules(owner, store, TIER)
    path = f"/api/v1/admin/stores/{store['id']}"
    await owner.patch(path, json={"delivery_enabled": False})
    off = await shopper.post(QUOTE, json=ask(store))
    assert off.status_code == 409
    assert (off.json()["code"], off.json()["reasons"]) == ("delivery-closed", ["channel-disabled"])

    # Closed today: no delivery now, but one may be ordered for a slot of tomorrow or after.
    closed = [{"date": str(datetime.now(UTC).date() + timedelta(days=d))} for d in (-1, 0)]
    await owner.patch(path, json={"delivery_enabled": True, "preorder_enabled": False})
    await owner.put(f"{path}/exceptions", json={"exceptions": closed})
    shut = await shopper.post(QUOTE, json=ask(store))
    assert shut.status_code == 409
    assert shut.json()["reasons"] == ["closed-now"]
    assert datetime.fromisoformat(shut.json()["next_available_at"]) > now()
    await owner.patch(path, json={"preorder_enabled": True})
    assert (await shopper.post(QUOTE, json=ask(store))).status_code == 200

    await owner.patch(path, json={"is_active": False})
    gone = await shopper.post(QUOTE, json=ask(store))
    assert (gone.status_code, gone.json()["code"]) == (404, "store-not-found")


async def test_quote_refuses_what_is_wrong(
    shopper: httpx.AsyncClient, outsider: httpx.AsyncClient, store: dict[str, Any]
) -> None:
    for field, value in (
        ("postal_code", "1234"),
        ("postal_code", "00000-000"),
        ("subtotal_cents", -1),
        ("fee_cents", 0),
    ):
        answer = await shopper.post(QUOTE, json=ask(store) | {field: value})
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"] == f"/body/{field}"
    elsewhere = await outsider.post(QUOTE, json=ask(store))
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (404, "store-not-found")


async def test_quotes_are_limited_per_address(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, store: dict[str, Any]
) -> None:
    await set_rules(owner, store, TIER)
    answers = [await shopper.post(QUOTE, json=ask(store)) for _ in range(40)]
    assert [a.status_code for a in answers[:30]] == [200] * 30
    assert answers[-1].status_code == 429
    assert answers[-1].json()["code"] == "too-many-requests"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 3


async def test_tampered_and_expired_quotes_do_not_open(
    owner: httpx.AsyncClient,
    shopper: httpx.AsyncClient,
    store: dict[str, Any],
    world: World,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await set_rules(owner, store, TIER)
    token: str = (await shopper.post(QUOTE, json=ask(store))).json()["quote"]
    head, mac = token.split(".")
    value = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    cheaper = base64.urlsafe_b64encode(json.dumps(value | {"fee_cents": 1}).encode()).decode()
    forged = [
        f"{cheaper.rstrip('=')}.{mac}",
        f"{head}.{'A' * len(mac)}",
        head,
        "",
        "não.é",
        runtime.tracking.sign(value),
        runtime.quotes.sign({"order": "not a quote"}),
    ]
    async with world.work() as work:
        assert open_quote(work.runtime.quotes, token).fee_cents == 600
        for wrong in forged:
            with pytest.raises(QuoteInvalid):
                open_quote(work.runtime.quotes, wrong)
        expiry = datetime.fromtimestamp(value["exp"], UTC)
        monkeypatch.setattr(
            "app.commerce.shipping.service.now", lambda: expiry - timedelta(seconds=1)
        )
        assert open_quote(work.runtime.quotes, token).fee_cents == 600
        monkeypatch.setattr("app.commerce.shipping.service.now", lambda: expiry)
        with pytest.raises(QuoteExpired):
            open_quote(work.runtime.quotes, token)
