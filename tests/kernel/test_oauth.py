"""Connecting an account by consent: whole flows at played vendors, and what must fail."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select, update

from app.core.clock import now
from app.core.ids import new_id
from app.kernel.connections.models import Connection, OAuthState
from app.kernel.connections.oauth import start
from app.kernel.connections.problems import ConsentNeedsSession
from app.kernel.connections.schemas import ConsentStart
from app.kernel.connections.service import ConnectionService
from app.kernel.work import Runtime
from tests.factories.tenants import World
from tests.kernel.conftest import ClientOf
from tests.kernel.consent import ROOT, asked, connected, decided, query_of
from tests.sandbox.server import SandboxServer

VENDORS = ["google", "microsoft", "hubspot"]


async def _rows(world: World) -> list[Connection]:
    async with world.work() as work:
        return list((await work.session.scalars(select(Connection))).all())


async def _states(world: World) -> int:
    async with world.work() as work:
        return await work.session.scalar(select(func.count()).select_from(OAuthState)) or 0


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_whole_consent(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer, vendor: str
) -> None:
    url = await asked(owner, vendor, name="Conta da matriz")
    query = query_of(url)
    assert query["code_challenge_method"] == "S256"
    assert query["redirect_uri"].endswith(f"{ROOT}/providers/{vendor}/callback")
    back = await decided(vendors, url)
    answer = await owner.get(back)
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["provider"], made["name"], made["status"]) == (vendor, "Conta da matriz", "active")
    assert made["scopes"] == query["scope"].split()
    assert made["token_expires_at"] > now().isoformat()
    assert "bellamassa.example" in made["account_name"]
    [row] = await _rows(world)
    async with world.work() as work:
        held = ConnectionService(work).opened(row)
    assert set(held) == {"access_token", "refresh_token"}
    audit = (await owner.get("/api/v1/admin/audit")).text
    for text in (answer.text, audit, row.secret, (await owner.get(ROOT)).text):
        assert held["access_token"] not in text
        assert held["refresh_token"] not in text
    exchange = next(r for r in await vendors.requests(vendor=vendor) if r["preview"])
    assert exchange["preview"] == "authorization_code"
    assert await _states(world) == 0
    by_name = {c["provider"]: c for c in (await owner.get("/api/v1/integrations")).json()}
    assert by_name[vendor]["is_connected"] is True
    status = (await owner.get("/api/v1/integrations/status")).json()
    assert status[vendor]["connected"] is True
    assert status[vendor]["scopes"] == made["scopes"]


async def test_the_challenge_is_of_a_verifier_kept_sealed(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer, runtime: Runtime
) -> None:
    query = query_of(await asked(owner, "google"))
    async with world.work() as work:
        row = (await work.session.scalars(select(OAuthState))).one()
    verifier = runtime.vault.decrypt(row.verifier, f"oauth_states:{world.tenant.id}:{row.id}")
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    assert query["code_challenge"] == digest.rstrip(b"=").decode()
    assert len(verifier) >= 43, "RFC 7636 §4.1"
    assert row.state_hash == hashlib.sha256(query["state"].encode()).digest()
    assert timedelta(minutes=9) < row.expires_at - now() <= timedelta(minutes=10)


async def test_a_state_works_once(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer
) -> None:
    back = await decided(vendors, await asked(owner, "google"))
    assert (await owner.get(back)).status_code == 200
    before = [(r.id, r.secret) for r in await _rows(world)]
    again = await owner.get(back)
    assert (again.status_code, again.json()["code"]) == (400, "oauth-state-invalid")
    assert [(r.id, r.secret) for r in await _rows(world)] == before


async def test_a_state_is_of_one_session_and_one_tenant(
    owner: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
    world: World,
    stranger: World,
    client_of: ClientOf,
    vendors: SandboxServer,
) -> None:
    colleague = await client_of(world, await world.member("admin"))
    back = await decided(vendors, await asked(owner, "google"))
    for thief in (colleague, outsider):
        answer = await thief.get(back)
        assert (answer.status_code, answer.json()["code"]) == (400, "oauth-state-invalid")
    assert await _rows(world) == []
    assert await _rows(stranger) == []
    exchanges = [r for r in await vendors.requests(vendor="google") if r["preview"]]
    assert exchanges == [], "no code was taken to the vendor"
    assert (await owner.get(back)).status_code == 200, "a foreign try does not use it up"


async def test_a_browser_comes_back_with_its_cookie_alone(
    anonymous: httpx.AsyncClient, owner: httpx.AsyncClient, world: World, vendors: SandboxServer
) -> None:
    back = await decided(vendors, await asked(owner, "google", return_to="/conexoes"))
    nobody = await anonymous.get(back)
    assert nobody.status_code == 401
    # A navigation from the vendor's page: no header of ours, a cookie that is SameSite=Lax.
    cookie = {"cookie": f"admin_token={world.owner.token}", "sec-fetch-site": "cross-site"}
    done = await anonymous.get(back, headers=cookie)
    assert done.status_code == 303, done.text
    assert done.headers["location"].startswith("/conexoes?connection_id=")
    assert len(await _rows(world)) == 1


async def test_a_state_ends_after_ten_minutes(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer
) -> None:
    back = await decided(vendors, await asked(owner, "google"))
    async with world.work() as work:
        await work.session.execute(update(OAuthState).values(expires_at=now()))
    late = await owner.get(back)
    assert (late.status_code, late.json()["code"]) == (400, "oauth-state-invalid")
    assert await _rows(world) == []
    await asked(owner, "google")
    assert await _states(world) == 1, "the old one was swept"


async def test_a_code_goes_to_the_vendor_that_gave_it(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer
) -> None:
    back = await decided(vendors, await asked(owner, "google"))
    mixed = await owner.get(back.replace("/google/", "/microsoft/"))
    assert (mixed.status_code, mixed.json()["code"]) == (400, "oauth-state-invalid")
    assert [r for r in await vendors.requests(vendor="microsoft") if r["preview"]] == []


async def test_a_denied_consent_connects_nothing(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer
) -> None:
    back = await decided(vendors, await asked(owner, "hubspot"), "deny")
    denied = await owner.get(back)
    assert (denied.status_code, denied.json()["code"]) == (403, "consent-denied")
    assert await _rows(world) == []
    assert await _states(world) == 0


async def test_forged_code_and_failing_vendor(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer
) -> None:
    state = query_of(await asked(owner, "google"))["state"]
    callback = f"{ROOT}/providers/google/callback"
    forged = await owner.get(callback, params={"state": state, "code": "made-up"})
    assert (forged.status_code, forged.json()["code"]) == (502, "provider-failed")
    assert "Google" in forged.json()["detail"]
    for knob in ({"code": "http-503"}, {"code": "2"}):
        url = await asked(owner, "google")
        back = await decided(vendors, url)
        await vendors.put("google/knobs", error=knob)
        failed = await owner.get(back)
        await vendors.put("google/knobs")
        assert (failed.status_code, failed.json()["code"]) == (502, "provider-failed")
    none = await owner.get(
        callback, params={"state": query_of(await asked(owner, "google"))["state"]}
    )
    assert none.json()["code"] == "provider-failed"
    assert await _rows(world) == []


@pytest.mark.parametrize(
    ("page", "is_allowed"),
    [
        ("/configuracoes/conexoes?aba=2", True),
        ("https://console.loja.example/conexoes", True),
        ("https://evil.example/", False),
        ("https://console.loja.example.evil.example/", False),
        ("//evil.example/", False),
        ("/\\evil.example", False),
        ("javascript:alert(1)", False),
        ("https://console.loja.example@evil.example/", False),
    ],
)
async def test_a_consent_returns_to_listed_places_alone(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer, page: str, is_allowed: bool
) -> None:
    start = f"{ROOT}/providers/google/authorize"
    answer = await owner.post(start, json={"return_to": page})
    if not is_allowed:
        assert (answer.status_code, answer.json()["code"]) == (422, "return-address-refused")
        assert await _states(world) == 0
        return
    url = answer.json()["authorization_url"]
    done = await owner.get(await decided(vendors, url))
    [row] = await _rows(world)
    assert done.status_code == 303
    assert done.headers["location"].startswith(page)
    assert query_of(done.headers["location"])["connection_id"] == str(row.id)
    denied = await owner.get(
        await decided(vendors, await asked(owner, "google", return_to=page), "deny")
    )
    assert query_of(denied.headers["location"])["error"] == "consent-denied"


async def test_connecting_the_same_account_renews_it_and_another_is_added(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer
) -> None:
    first = await connected(owner, vendors, "hubspot")
    [before] = await _rows(world)
    again = await connected(owner, vendors, "hubspot", name="Ignorado")
    assert again["id"] == first["id"]
    [after] = await _rows(world)
    assert after.secret != before.secret
    await vendors.put("hubspot", account_id="2002")
    other = await connected(owner, vendors, "hubspot")
    assert other["id"] != first["id"]
    assert other["name"] == f"{first['name']} 2", "names stay apart"
    assert (first["is_default"], other["is_default"]) == (True, False)


async def test_what_cannot_be_started(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer, runtime: Runtime
) -> None:
    for provider, status, code in (
        ("fax", 404, "unknown-provider"),
        ("openai", 409, "provider-takes-keys"),
    ):
        answer = await owner.post(f"{ROOT}/providers/{provider}/authorize", json={})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        answer = await owner.get(f"{ROOT}/providers/{provider}/callback", params={"state": "x"})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    runtime.settings = runtime.settings.model_copy(update={"google_client_id": ""})
    answer = await owner.post(f"{ROOT}/providers/google/authorize", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "provider-not-configured")
    listed = {p["provider"]: p for p in (await owner.get(f"{ROOT}/providers")).json()}
    assert listed["google"]["is_available"] is False
    assert listed["hubspot"]["is_available"] is True
    assert await _states(world) == 0


async def test_a_program_without_a_session_starts_none(
    world: World, vendors: SandboxServer
) -> None:
    with pytest.raises(ConsentNeedsSession):
        async with world.work() as work:
            await start(work, new_id(), "google", ConsentStart())
    assert await _states(world) == 0


async def test_grants_and_strangers(
    owner: httpx.AsyncClient, world: World, client_of: ClientOf, vendors: SandboxServer
) -> None:
    manager = await client_of(world, await world.member("manager"))
    refused = await manager.post(f"{ROOT}/providers/google/authorize", json={})
    assert refused.status_code == 403
    back = await decided(vendors, await asked(owner, "google"))
    assert (await manager.get(back)).status_code == 403
    assert await _rows(world) == []


@pytest.mark.parametrize(
    ("vendor", "told"), [("google", "yes"), ("hubspot", "yes"), ("microsoft", "not-offered")]
)
async def test_disconnecting_gives_the_consent_back(
    owner: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
    world: World,
    vendors: SandboxServer,
    vendor: str,
    told: str,
) -> None:
    made = await connected(owner, vendors, vendor)
    foreign = await outsider.delete(f"{ROOT}/{made['id']}")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "connection-not-found")
    assert len(await _rows(world)) == 1
    assert (await owner.delete(f"{ROOT}/{made['id']}")).status_code == 204
    assert await _rows(world) == []
    entry = (await owner.get("/api/v1/admin/audit")).json()["items"][0]
    assert (entry["action"], entry["facts"]["revoked"]) == ("connection.deleted", told)
    paths = [r["path"] for r in await vendors.requests(vendor=vendor)]
    assert any("revoke" in path for path in paths) == (told == "yes")


async def test_a_vendor_that_is_down_keeps_nobody_connected(
    owner: httpx.AsyncClient, world: World, vendors: SandboxServer
) -> None:
    await connected(owner, vendors, "google")
    await vendors.put("google/knobs", error={"code": "http-503"})
    assert (await owner.delete("/api/v1/admin/connections/google")).status_code == 204
    assert await _rows(world) == []
    entry = (await owner.get("/api/v1/admin/audit")).json()["items"][0]
    assert entry["facts"]["revoked"].startswith("failed")
