"""Discovery and negotiation: who we are to agents, who they must be to us, and the switch."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import httpx
import orjson
import pytest

from app.kernel.work import Runtime
from tests.commerce.ucp.contract import PROFILE, check
from tests.commerce.ucp.platform import (
    ADMIN,
    CHECKOUT,
    DISCOUNT,
    FULFILLMENT,
    LOOKUP,
    PICKUP,
    SEARCH,
    SESSIONS,
    VERSION,
    Platform,
    open_channel,
    platform,
    profile,
    wanted,
)
from tests.factories.commerce import Shop, make_shop
from tests.factories.receiver import receiving, reply
from tests.factories.tenants import World
from tests.sandbox.server import SandboxServer

WELL_KNOWN = "/.well-known/ucp"


async def test_the_profile_is_as_the_protocol_has_it(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    answer = await shopper.get(WELL_KNOWN)
    assert answer.status_code == 200
    found = answer.json()
    check(found, PROFILE)
    ucp = found["ucp"]
    assert ucp["version"] == VERSION
    [service] = ucp["services"]["dev.ucp.shopping"]
    assert service["endpoint"] == "http://largo.test/api/v1/ucp"
    extensions = {FULFILLMENT, DISCOUNT}
    assert set(ucp["capabilities"]) == {CHECKOUT, SEARCH, LOOKUP} | extensions
    for name, [entry] in ucp["capabilities"].items():
        assert entry["version"] == VERSION
        assert entry.get("extends") == (CHECKOUT if name in extensions else None)
    assert set(ucp["payment_handlers"]) == {"app.largo.pay_on_delivery", "app.largo.pix"}
    assert "public" in answer.headers["cache-control"]
    again = await shopper.get(WELL_KNOWN, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_pix_is_offered_only_where_it_is_taken(
    shopper: httpx.AsyncClient, owner: httpx.AsyncClient, world: World
) -> None:
    shop = await make_shop(world)
    await open_channel(owner, shop)
    found = (await shopper.get(WELL_KNOWN)).json()["ucp"]["payment_handlers"]
    assert set(found) == {"app.largo.pay_on_delivery"}, "nobody has entered a key"


async def test_a_tenant_switches_the_channel(
    owner: httpx.AsyncClient, agent: Platform, shop: Shop
) -> None:
    assert (await owner.get(ADMIN)).json()["store"] == shop.store_slug
    session = await agent.create(("GUA", 1), fulfillment=PICKUP)
    await open_channel(owner, shop, is_enabled=False)
    for answer in (
        await agent.client.get(WELL_KNOWN),
        await agent.ask("POST", SESSIONS, wanted(("GUA", 1))),
        await agent.ask("GET", f"{SESSIONS}/{session['id']}"),
        await agent.ask("POST", f"{SESSIONS}/{session['id']}/cancel"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "ucp-off")
    await open_channel(owner, shop)
    assert (await agent.get(session["id"]))["status"] == "incomplete", "nothing was lost"


async def test_it_is_off_until_it_is_switched_on(
    owner: httpx.AsyncClient, shopper: httpx.AsyncClient, world: World
) -> None:
    await make_shop(world)
    assert (await owner.get(ADMIN)).json() == {
        "is_enabled": False,
        "store": None,
        "storefront_url": None,
        "terms_url": None,
        "privacy_url": None,
    }
    assert (await shopper.get(WELL_KNOWN)).json()["code"] == "ucp-off"
    body = {"is_enabled": True, "store": "nenhuma", "storefront_url": "https://a.example"}
    assert (await owner.put(ADMIN, json=body)).json()["code"] == "store-not-found"
    body = {"is_enabled": True, "store": "centro", "storefront_url": "http://a.example"}
    assert (await owner.put(ADMIN, json=body)).status_code == 422
    assert (await owner.get(ADMIN)).json()["is_enabled"] is False


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "invalid_profile_url"),
        ("largo/1.0", "invalid_profile_url"),
        ('profile=""', "invalid_profile_url"),
        ('profile="ftp://127.0.0.1/p"', "invalid_profile_url"),
        ('profile="http://10.0.0.1/p"', "invalid_profile_url"),
        ('profile="http://169.254.169.254/latest"', "invalid_profile_url"),
        ('profile="http://127.0.0.1:9/p"', "profile_unreachable"),
    ],
)
async def test_who_names_no_profile_is_refused(
    shopper: httpx.AsyncClient, shop: Shop, header: str | None, code: str
) -> None:
    headers = {} if header is None else {"UCP-Agent": header}
    answer = await shopper.post(SESSIONS, json=wanted(("GUA", 1)), headers=headers)
    status = 400 if code == "invalid_profile_url" else 424
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["content"], "in words, as the protocol asks"


def _json(document: object) -> bytes:
    return reply(200, orjson.dumps(document))


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (lambda: _json(profile(version="2026-04-08")), 422, "version_unsupported"),
        (lambda: _json(profile(version="2099-01-01")), 422, "version_unsupported"),
        (lambda: _json({"ucp": {"version": VERSION}}), 422, "profile_malformed"),
        (lambda: _json([]), 422, "profile_malformed"),
        (lambda: reply(200, b"<html>"), 422, "profile_malformed"),
        (lambda: reply(200, b" " * (128 * 1024 + 1)), 422, "profile_malformed"),
        (lambda: reply(302, Location="https://platform.example/"), 424, "profile_unreachable"),
        (lambda: reply(500), 424, "profile_unreachable"),
    ],
)
async def test_a_profile_that_does_not_fit_is_refused(
    shopper: httpx.AsyncClient,
    shop: Shop,
    answer: Callable[[], bytes],
    status: int,
    code: str,
) -> None:
    async with receiving(lambda _: answer()) as receiver:
        found = await Platform(shopper, receiver).ask("POST", SESSIONS, wanted(("GUA", 1)))
        assert (found.status_code, found.json()["code"]) == (status, code), found.text
        again = await Platform(shopper, receiver).ask("POST", SESSIONS, wanted(("GUA", 1)))
        assert again.json()["code"] == code
        assert len(receiver.got) == 1, "a failure is remembered, too"


async def test_a_profile_is_fetched_once_and_kept(agent: Platform) -> None:
    for _ in range(3):
        await agent.create(("GUA", 1))
    [got] = agent.receiver.got
    assert got.line == "GET /.well-known/ucp HTTP/1.1"


async def test_who_names_platform_after_platform_is_slowed_down_alone(
    agent: Platform, shop: Shop, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = time.monotonic()
    still = SimpleNamespace(monotonic=lambda: at)  # a slow machine wins no budget back meanwhile
    monkeypatch.setattr("app.core.ratelimit.time", still)
    await agent.create(("GUA", 1))
    refused = []
    for number in range(61):
        named = f'profile="http://127.0.0.1:{agent.receiver.port}/{number}"'
        answer = await agent.ask("POST", SESSIONS, wanted(("GUA", 1)), **{"UCP-Agent": named})
        refused += [answer] if answer.status_code == 503 else []
    assert [answer.json()["code"] for answer in refused] == ["ucp-discovery-busy"] * 2
    assert int(refused[0].headers["retry-after"]) >= 1
    known = runtime.caches["ucp.profiles"].found
    known[agent.url] = (0.0, known[agent.url][1])
    asked = len(agent.receiver.got)
    assert asked == 60
    await agent.create(("GUA", 1))  # what is old is better than nothing
    assert len(agent.receiver.got) == asked


async def test_without_a_common_capability_there_is_no_checkout(
    shopper: httpx.AsyncClient, shop: Shop
) -> None:
    async with platform(shopper, "dev.ucp.shopping.cart", FULFILLMENT) as other:
        answer = await other.ask("POST", SESSIONS, wanted(("GUA", 1)))
    assert answer.status_code == 200
    body = answer.json()
    assert body["ucp"] == {"version": VERSION, "status": "error", "capabilities": {}}
    assert body["messages"][0]["code"] == "capabilities_incompatible"
    assert body["continue_url"] == "https://bellamassa.example/pedir"


async def test_only_what_both_speak_is_spoken(shopper: httpx.AsyncClient, shop: Shop) -> None:
    async with platform(shopper, CHECKOUT) as plain:
        found = await plain.create(("GUA", 1), fulfillment=PICKUP, discounts={"codes": ["X"]})
    assert set(found["ucp"]["capabilities"]) == {CHECKOUT}
    assert not {"fulfillment", "discounts"} & set(found)
    assert found["status"] == "requires_escalation", "how it is had is to be chosen by hand"
    async with platform(shopper, CHECKOUT, FULFILLMENT) as more:
        found = await more.create(("GUA", 1), fulfillment=PICKUP)
    assert "discounts" not in found
    assert found["fulfillment"]["methods"][0]["type"] == "pickup"


async def test_the_sandbox_plays_a_platform(
    shopper: httpx.AsyncClient, shop: Shop, sandbox: SandboxServer
) -> None:
    played = {"UCP-Agent": f'profile="{sandbox.url}/ucp/.well-known/ucp"'}
    begun = await shopper.post(SESSIONS, json=wanted(("GUA", 1)), headers=played)
    assert begun.status_code == 201, begun.text
    assert set(begun.json()["ucp"]["capabilities"]) == {CHECKOUT, FULFILLMENT, DISCOUNT}
