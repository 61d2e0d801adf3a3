"""What a running process tells of itself, and what it does while Valkey or Postgres is away."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from app.core.http import WatchedTransport
from app.core.ratelimit import Limit, SharedLimiter
from app.core.redis import Bus
from app.core.settings import Settings
from app.core.vitals import Vitals
from app.kernel import health
from app.kernel.throttle import API_RATE, KEY_RATE, rate
from app.main import Largo, create_app
from tests.conftest import serving
from tests.factories.tenants import World, make_world
from tests.factories.valkey import Valkey
from tests.faults.server import ServerProcess

READY = "/health/ready"


@asynccontextmanager
async def _client(app: Largo, peer: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(peer, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://largo.test") as client:
        yield client


async def _until(true: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await true():  # noqa: ASYNC110 - it asks over HTTP
            await asyncio.sleep(0.05)


# Rate limits ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "burst", "period"), [("10/h", 10, 3600), ("100/15min", 100, 900), ("5/s", 5, 1)]
)
def test_rates_as_routes_write_them(text: str, burst: int, period: int) -> None:
    assert rate("x", text) == Limit("x", burst, period)


@pytest.mark.parametrize("text", ["10", "0/h", "ten/h", "10/week", ""])
def test_other_rates_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no rate"):
        rate("x", text)


async def test_processes_share_a_limit(valkey: Valkey) -> None:
    buses = [Bus(valkey.url), Bus(valkey.url)]
    limiters = [SharedLimiter(bus.redis) for bus in buses]
    limit = Limit("shared", 10, 60)
    decisions = await asyncio.gather(*(limiters[i % 2].take(limit, "k") for i in range(40)))
    for bus in buses:
        await bus.stop()
    assert sum(d.allowed for d in decisions) == 10
    assert sorted(d.remaining for d in decisions if d.allowed) == list(range(10))
    assert all(0 < d.retry_after_s <= 6 for d in decisions if not d.allowed)


async def test_limits_go_on_without_valkey(
    valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    bus = Bus(valkey.url)
    limiter, limit = SharedLimiter(bus.redis), Limit("away", 3, 60)
    with caplog.at_level(logging.WARNING, "app.core.ratelimit"):
        assert (await limiter.take(limit, "k")).allowed
        valkey.stop()
        alone = [(await limiter.take(limit, "k")).allowed for _ in range(5)]
        assert alone == [True, True, True, False, False], "this process counts by itself"
        said = [r.__dict__["redis"] for r in caplog.records]
        assert said == ["lost"], "logged once, not for every request"
        await valkey.start()
        back = [(await limiter.take(limit, "k")).allowed for _ in range(4)]
        assert back == [True, True, True, False]
        assert [r.__dict__["redis"] for r in caplog.records] == ["lost", "found"]
    await bus.stop()


async def test_plan_limits_the_rate_of_a_tenants_members_alone(app: Largo, world: World) -> None:
    async with app.runtime.database.system_driver() as driver:
        await driver.execute(
            "UPDATE tenants SET limits = jsonb_build_object($2::text, 3) WHERE id = $1",
            world.tenant.id,
            API_RATE,
        )
    await app.runtime.bus.ring("tenants", str(world.tenant.id))
    own = {"X-Tenant": world.tenant.slug, "Authorization": f"Bearer {world.owner.token}"}
    other = await make_world(app.runtime)
    theirs = {"X-Tenant": world.tenant.slug, "Authorization": f"Bearer {other.owner.token}"}
    async with _client(app) as client:
        for headers in ({"X-Tenant": world.tenant.slug}, theirs):
            for _ in range(5):
                answer = await client.get("/api/v1/auth/me", headers=headers)
                assert answer.status_code in (401, 403), "strangers use up nothing"
        answers = [await client.get("/api/v1/auth/me", headers=own) for _ in range(4)]
    assert [a.status_code for a in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"plan";q=3;w=60'
    assert answers[0].headers["ratelimit"].startswith('"plan";r=2;t=')
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 21


async def test_plan_limits_each_key_by_itself_and_all_of_them_together(
    app: Largo, world: World
) -> None:
    own = {"X-Tenant": world.tenant.slug, "Authorization": f"Bearer {world.owner.token}"}
    path = "/api/v1/admin/stores"
    async with _client(app) as client:
        keys = []
        for name in ("ERP", "Planilha"):
            body = {"name": name, "scopes": ["commerce.stores:read"]}
            made = await client.post("/api/v1/admin/api-keys", json=body, headers=own)
            assert made.status_code == 201, made.text
            keys.append({"X-Api-Key": made.json()["key"]})
        async with app.runtime.database.system_driver() as driver:
            await driver.execute(
                "UPDATE tenants SET limits = jsonb_build_object($2::text, 2, $3::text, 5) "
                "WHERE id = $1",
                world.tenant.id,
                KEY_RATE,
                API_RATE,
            )
        await app.runtime.bus.ring("tenants", str(world.tenant.id))
        stranger = {"X-Api-Key": keys[0]["X-Api-Key"] + "x", "X-Tenant": world.tenant.slug}
        for _ in range(6):
            assert (await client.get(path, headers=stranger)).status_code == 401
        first = [await client.get(path, headers=keys[0]) for _ in range(3)]
        second = [await client.get(path, headers=keys[1]) for _ in range(3)]
        member = [await client.get(path, headers=own) for _ in range(2)]
    assert [a.status_code for a in first] == [200, 200, 429]
    assert [a.status_code for a in second] == [200, 200, 429], "the other key has its own"
    assert [a.status_code for a in member] == [200, 429], "a refused one used up nothing of all"
    assert first[0].headers["ratelimit-policy"] == '"key";q=2;w=60, "plan";q=5;w=60'
    assert 1 <= int(first[-1].headers["retry-after"]) <= 31


# Health -----------------------------------------------------------------------------------


async def test_health_without_valkey_and_with_it_again(config: Settings, valkey: Valkey) -> None:
    changed = config.model_copy(update={"redis_url": valkey.url})
    async with serving(create_app(changed)) as app, _client(app) as client:
        await health.beat(app.runtime)
        assert (await client.get(READY)).json()["status"] == "ok"
        valkey.stop()
        answer = await client.get("/api/v1/health")
        assert answer.status_code == 200, "it serves on"
        assert answer.json()["checks"] == {"database": "ok", "redis": "down", "worker": "ok"}
        assert answer.json()["status"] == "degraded"
        assert (await client.get("/health")).json()["status"] == "ok"
        await valkey.start()

        async def healed() -> bool:
            return bool((await client.get(READY)).json()["status"] == "ok")

        await _until(healed)


async def test_worker_of_another_process_is_seen_by_its_beat(
    config: Settings, valkey: Valkey
) -> None:
    changed = config.model_copy(update={"redis_url": valkey.url})
    async with (
        serving(create_app(changed)) as web,
        serving(create_app(changed)) as elsewhere,
        _client(web) as client,
    ):
        assert (await client.get(READY)).json()["checks"]["worker"] == "down"
        await health.beat(elsewhere.runtime)
        assert (await client.get(READY)).json()["checks"]["worker"] == "ok"


async def test_not_ready_while_the_database_refuses(config: Settings) -> None:
    async with serving(create_app(config)) as app, _client(app) as client:
        name = app.runtime.database.url.database
        server = await asyncpg.connect(os.environ["TEST_POSTGRES_URL"])
        assert (await client.get(READY)).status_code == 200
        try:
            await server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            await app.runtime.database.close()  # what a failover does to the pools
            await app.runtime.bus.ring("tenants", "")  # nothing is known from before
            answer = await client.get(READY)
            assert answer.status_code == 503
            assert answer.json()["checks"]["database"] == "down"
            assert (await client.get("/health")).status_code == 200
        finally:
            await server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
            await server.close()
        assert (await client.get(READY)).status_code == 200


async def test_vendors_are_judged_by_real_calls(second_process: ServerProcess) -> None:
    url = second_process.url
    vitals = Vitals([(url, "vendor"), ("http://127.0.0.1:9", "nobody")])
    inner = httpx.AsyncHTTPTransport()
    async with httpx.AsyncClient(transport=WatchedTransport(inner, vitals)) as http:
        await http.get(f"{url}/health")
        assert vitals.vendors["vendor"].state == "ok"
        for expected in ("degraded", "degraded", "down"):
            with pytest.raises(httpx.ConnectError):
                await http.get("http://127.0.0.1:9/")
            assert vitals.vendors["nobody"].state == expected
        assert vitals.vendors["vendor"].state == "ok"
        await http.get(f"{url}/nowhere")
        assert vitals.vendors["vendor"].calls == {True: 2, False: 0}


# Metrics ----------------------------------------------------------------------------------


async def test_metrics_count_what_happened(app: Largo, world: World) -> None:
    own = {"X-Tenant": world.tenant.slug, "Authorization": f"Bearer {world.owner.token}"}
    async with _client(app) as client:
        before = await _count(client, "/api/v1/auth/me", "200")
        for _ in range(3):
            assert (await client.get("/api/v1/auth/me", headers=own)).status_code == 200
        await client.get(f"/api/v1/nowhere-{world.tenant.slug}")
        async with world.work() as work:
            work.enqueue("tests.metrics", {})
        text = (await client.get("/metrics")).text
        assert await _count(client, "/api/v1/auth/me", "200") == before + 3
    families = {f.name: f for f in text_string_to_metric_families(text)}
    assert world.tenant.slug not in text, "no paths and no tenants among the labels"
    jobs = {
        (s.labels["entrypoint"], s.labels["status"]): s.value
        for s in families["largo_jobs"].samples
    }
    assert jobs["tests.metrics", "queued"] >= 1
    due = {
        s.labels["entrypoint"]: s.value for s in families["largo_jobs_oldest_due_seconds"].samples
    }
    assert due["tests.metrics"] >= 0
    samples = families["largo_pool_connections"].samples
    pools = {(s.labels["pool"], s.labels["state"]): s.value for s in samples}
    assert pools["tenant", "limit"] == app.runtime.settings.database_pool_size
    assert families["largo_redis_up"].samples[0].value == 1
    lag = families["largo_event_loop_lag_seconds"].samples
    assert {s.labels["kind"] for s in lag} == {"last", "worst"}


async def _count(client: httpx.AsyncClient, route: str, status: str) -> float:
    text = (await client.get("/metrics")).text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            wanted = {"method": "GET", "route": route, "status": status}
            if sample.name == "largo_http_request_seconds_count" and sample.labels == wanted:
                return float(sample.value)
    return 0


async def test_blocked_loop_shows_as_lag(app: Largo) -> None:
    loop = asyncio.get_running_loop()
    app.runtime.vitals.worst_lag_s = 0.0
    await asyncio.sleep(0.15)
    until = loop.time() + 0.3
    while loop.time() < until:
        pass
    await asyncio.sleep(0.2)
    assert app.runtime.vitals.worst_lag_s > 0.15


async def test_strangers_do_not_read_metrics(config: Settings, app: Largo) -> None:
    async with _client(app, peer="10.0.0.7") as far, _client(app) as near:
        refused = await far.get("/metrics")
        assert (refused.status_code, refused.json()["code"]) == (403, "metrics-closed")
        through = await near.get("/metrics", headers={"X-Forwarded-For": "8.8.8.8"})
        assert through.status_code == 403, "a proxy on this machine speaks for somebody else"
    closed = config.model_copy(update={"metrics_token": SecretStr("scrape-me-please")})
    async with serving(create_app(closed)) as other, _client(other, peer="10.0.0.7") as far:
        assert (await far.get("/metrics")).status_code == 403
        for given, status in (("Bearer wrong", 403), ("Bearer scrape-me-please", 200)):
            answer = await far.get("/metrics", headers={"Authorization": given})
            assert answer.status_code == status


async def test_series_are_bounded() -> None:
    vitals = Vitals()
    for n in range(5000):
        vitals.requests.add("GET", f"/r/{n}", 200, 0.01)
    vitals.requests.add("BREW", "/r/1", 418, 0.01)
    assert len(vitals.requests.counts) <= 3002
    assert all(method in ("GET", "other") for method, _, _ in vitals.requests.counts)
