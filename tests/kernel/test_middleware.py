"""The layers around every request: hosts, origins, headers, log lines, limits, crashes."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import httpx
import orjson
import pytest
from fastapi import APIRouter

from app.core import logging as logs
from app.core.ids import new_id
from app.core.settings import Settings
from app.kernel.access import public
from app.main import Largo, create_app
from tests.conftest import serving
from tests.factories.tenants import World

SHOP = "https://loja.example"


@asynccontextmanager
async def _built(config: Settings, **changes: object) -> AsyncIterator[Largo]:
    async with serving(create_app(config.model_copy(update=changes))) as app:
        yield app


@asynccontextmanager
async def _client(
    app: Largo, peer: str = "127.0.0.1", base_url: str = "http://largo.test"
) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(peer, 4711))
    async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
        yield client


@pytest.fixture
async def strict(config: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """An app with hosts, origins and every relaxation of tests switched off."""
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(
            _built(
                config,
                environment="production",
                trusted_hosts=("largo.example", "*.lojas.example"),
                cors_allowed_origins=(SHOP,),
            )
        )
        yield await stack.enter_async_context(_client(app, base_url="https://largo.example"))


# Hosts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("largo.example", 200),
        ("LARGO.example:8443", 200),
        ("bella.lojas.example", 200),
        ("lojas.example", 400),
        ("evil.example", 400),
        ("largo.example.evil.example", 400),
        ("xlojas.example", 400),
        ("", 400),
    ],
)
async def test_trusted_hosts(strict: httpx.AsyncClient, host: str, status: int) -> None:
    answer = await strict.get("/health", headers={"Host": host})
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["code"] == "unknown-host"
        assert answer.headers["content-type"] == "application/problem+json"


# Origins ----------------------------------------------------------------------------------


async def test_preflight_of_a_listed_origin(strict: httpx.AsyncClient) -> None:
    answer = await strict.options(
        "/api/v1/auth/login",
        headers={
            "Origin": SHOP,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,idempotency-key,x-tenant",
        },
    )
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"].startswith("content-type,idempotency")
    assert answer.headers["vary"] == "Origin"


async def test_preflight_of_a_stranger(strict: httpx.AsyncClient) -> None:
    answer = await strict.options(
        "/api/v1/auth/login",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "origin-not-allowed")
    assert "access-control-allow-origin" not in answer.headers


async def test_simple_request_with_origin(strict: httpx.AsyncClient) -> None:
    listed = await strict.get("/health", headers={"Origin": SHOP})
    assert listed.headers["access-control-allow-origin"] == SHOP
    assert "X-Request-Id" in listed.headers["access-control-expose-headers"]
    problem = await strict.get("/nowhere", headers={"Origin": SHOP})
    assert problem.headers["access-control-allow-origin"] == SHOP, "a page may read the problem"
    evil = await strict.get("/health", headers={"Origin": "https://evil.example"})
    assert evil.status_code == 200
    assert "access-control-allow-origin" not in evil.headers
    none = await strict.get("/health")
    assert "access-control-allow-origin" not in none.headers


# Security headers and request ids ---------------------------------------------------------


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/api/v1/auth/me", "/problems/not-found"])
async def test_security_headers_on_success_and_on_problems(
    strict: httpx.AsyncClient, path: str
) -> None:
    answer = await strict.get(path)
    headers = answer.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["strict-transport-security"].startswith("max-age=31536000")
    names = [k for k, _ in headers.raw]
    assert len(names) == len(set(names)), "no header twice"


async def test_docs_may_load_their_scripts_and_nothing_may_frame_them(
    strict: httpx.AsyncClient,
) -> None:
    policy = (await strict.get("/docs")).headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


async def test_no_hsts_outside_production(anonymous: httpx.AsyncClient) -> None:
    assert "strict-transport-security" not in (await anonymous.get("/health")).headers


async def test_request_id_is_echoed_or_made(anonymous: httpx.AsyncClient) -> None:
    given = await anonymous.get("/health", headers={"X-Request-Id": "till-7.sale_42"})
    assert given.headers["x-request-id"] == "till-7.sale_42"
    problem = await anonymous.get("/nowhere", headers={"X-Request-Id": "till-7.sale_43"})
    assert problem.json()["request_id"] == problem.headers["x-request-id"] == "till-7.sale_43"
    made = {(await anonymous.get("/health")).headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3
    for bad in ("short", "x" * 65, "with space in", 'quote"me{}'):
        answer = await anonymous.get("/health", headers={"X-Request-Id": bad})
        assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])


# The access log ---------------------------------------------------------------------------


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The access-log lines written while the test runs."""
    found: list[bytes] = []
    monkeypatch.setattr(logs.ACCESS, "enabled", True)
    monkeypatch.setattr(logs.ACCESS, "add", found.append)
    return found


async def test_access_line_holds_the_template_and_no_ids(
    owner: httpx.AsyncClient, world: World, lines: list[bytes]
) -> None:
    asked = str(uuid4())
    await owner.get(f"/api/v1/admin/users/{asked}", params={"token": "secret-in-query"})
    line = orjson.loads(lines[-1])
    assert line["event"] == "request"
    assert line["method"] == "GET"
    assert line["route"] == "/api/v1/admin/users/{user_id}"
    assert line["status"] == 404
    assert line["tenant"] == world.tenant.slug
    assert line["ip"] == "127.0.0.1"
    assert line["ms"] >= 0
    assert len(line["request_id"]) == 16
    text = lines[-1].decode()
    for secret in (asked, "secret-in-query", world.owner.token, world.owner.email):
        assert secret not in text


async def test_access_line_of_what_no_route_matched(
    anonymous: httpx.AsyncClient, lines: list[bytes]
) -> None:
    await anonymous.get("/wp-admin/0123456789")
    await anonymous.get("/api/v1/catalog", headers={"X-Tenant": "nobody"})
    assert [orjson.loads(x)["route"] for x in lines] == ["unmatched", "unmatched"]
    assert [orjson.loads(x)["status"] for x in lines] == [404, 404]


@pytest.mark.parametrize(
    ("proxies", "forwarded", "ip"),
    [
        (0, "1.1.1.1", "9.9.9.9"),
        (1, "1.1.1.1", "1.1.1.1"),
        (1, "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        (2, "6.6.6.6, 1.1.1.1, 10.0.0.2", "1.1.1.1"),
        (2, "1.1.1.1", "9.9.9.9"),
        (1, None, "9.9.9.9"),
    ],
)
async def test_client_address_behind_proxies(
    config: Settings, lines: list[bytes], proxies: int, forwarded: str | None, ip: str
) -> None:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    async with (
        _built(config, trusted_proxy_count=proxies) as app,
        _client(app, peer="9.9.9.9") as client,
    ):
        logs.ACCESS.enabled = True  # building the app set it by its own log level
        await client.get("/health", headers=headers)
    assert orjson.loads(lines[-1])["ip"] == ip


# Limits -----------------------------------------------------------------------------------


async def test_limits_answer_with_retry_after(config: Settings) -> None:
    tiny = {
        "environment": "development",
        "rate_limit_anonymous": 2,
        "rate_limit_reads_per_minute": 4,
    }
    async with _built(config, **tiny) as app, AsyncExitStack() as stack:
        client = await stack.enter_async_context(_client(app, peer="7.7.7.1"))
        neighbour = await stack.enter_async_context(_client(app, peer="7.7.7.2"))
        reads = [await client.get("/health") for _ in range(5)]
        assert [r.status_code for r in reads] == [200, 200, 200, 200, 429]
        assert "ratelimit" not in reads[0].headers, "told from half of the budget on"
        assert reads[1].headers["ratelimit-policy"] == '"reads";q=4;w=60'
        told = [r.headers["ratelimit"].partition(";t=") for r in reads[1:]]
        assert [t[0] for t in told] == [f'"reads";r={left}' for left in (2, 1, 0, 0)]
        assert [25 < int(t[2]) <= 61 for t in told[:3]] == [True] * 3
        assert told[-1][2] == reads[-1].headers["retry-after"]
        refused = reads[-1]
        assert refused.json()["code"] == "too-many-requests"
        assert 1 <= int(refused.headers["retry-after"]) <= 16
        assert refused.json()["request_id"] == refused.headers["x-request-id"]
        assert refused.headers["x-content-type-options"] == "nosniff"

        writes = [await client.post("/api/v1/auth/login", json={}) for _ in range(3)]
        assert [w.status_code for w in writes] == [422, 422, 429]
        assert 1 <= int(writes[-1].headers["retry-after"]) <= 451
        assert (await neighbour.get("/health")).status_code == 200
        # Only a token that we signed makes a member: anybody can send a header.
        for forged in ({"Authorization": "Bearer x.y.z"}, {"Cookie": "admin_token=x; a=b"}):
            answer = await client.post("/api/v1/auth/login", json={}, headers=forged)
            assert answer.status_code == 429
        token, _ = app.runtime.tokens.issue(new_id(), new_id(), "agent", new_id())
        member = {"Authorization": f"Bearer {token}"}
        for _ in range(3):
            known = await neighbour.post("/api/v1/auth/login", json={}, headers=member)
            assert known.headers["ratelimit-policy"].startswith('"reads"')
        provider = await stack.enter_async_context(_client(app, peer="7.7.7.3"))
        for path in ("webhooks/stripe", "billing/webhook/status", "billing/webhook/intake"):
            delivered = await provider.post(f"/api/v1/{path}", content=b"{}")
            assert delivered.status_code == 404, "no secret is configured here"
        assert delivered.headers["ratelimit-policy"].startswith('"reads"'), "many from one"


# Crashes ----------------------------------------------------------------------------------


async def test_crash_is_a_problem_with_the_request_id(
    config: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Building an app points the root logger at this test's own standard output.
    monkeypatch.setattr(logging.root, "handlers", [*logging.root.handlers])
    router = APIRouter()

    @router.get("/crash", dependencies=[public()])
    async def crash() -> None:
        raise RuntimeError("the secret reason")

    app = create_app(config)
    app.api.include_router(router)
    async with serving(app), _client(app) as client:
        answer = await client.get("/crash", headers={"X-Request-Id": "crash-0001"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["code"], body["request_id"]) == ("internal-error", "crash-0001")
    assert "secret reason" not in answer.text
    assert answer.headers["x-request-id"] == "crash-0001"
    assert answer.headers["x-content-type-options"] == "nosniff"
    lines = [orjson.loads(x) for x in capsys.readouterr().out.splitlines()]
    crashed = [x for x in lines if x["event"] == "request.crashed"]
    assert [x["request_id"] for x in crashed] == ["crash-0001"]
    assert "the secret reason" in crashed[0]["exception"]


async def test_text_that_postgres_cannot_store_is_the_callers_fault(
    owner: httpx.AsyncClient,
) -> None:
    for answer in (
        await owner.post("/api/v1/admin/groups", json={"name": "a\0b"}),
        await owner.get("/api/v1/admin/audit", params={"action": "a\0b"}),
        await owner.post("/api/v1/auth/login", json={"email": "a\0@b.example", "password": "x"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert (await owner.get("/api/v1/admin/groups")).json()["items"] == []
