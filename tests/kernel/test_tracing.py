"""Traces over real HTTP: one from request to job to vendor, and nothing at all unless wanted."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from app.core.http import WatchedTransport
from app.core.tracing import CLOSING_S, Spans
from app.core.vitals import Vitals
from app.kernel.connections.schemas import ConnectionPut
from app.kernel.connections.service import ConnectionService
from tests.factories.collector import CLIENT, CONSUMER, SERVER, Collector, Seen, collecting
from tests.factories.commerce import key, make_shop
from tests.factories.receiver import receiving
from tests.factories.tenants import World
from tests.faults.server import ServerProcess
from tests.kernel.queue_probe import ROOT, system
from tests.sandbox.server import SandboxServer, until

AWAY = "http://127.0.0.1:9"
"""Nobody listens at the discard port."""
CHAT, BOT = "-1001122334455", "7001234567:AAHtokenOfTheBot"


@dataclass(frozen=True)
class Caller:
    """Somebody who traces, and asks us as part of it."""

    trace: str
    span: str

    @classmethod
    def new(cls) -> Caller:
        return cls(secrets.token_hex(16), secrets.token_hex(8))

    def header(self, flags: str = "01") -> dict[str, str]:
        return {"traceparent": f"00-{self.trace}-{self.span}-{flags}"}


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as found:
        yield found


@pytest.fixture
async def traced(
    environment: dict[str, str], collector: Collector, sandbox: SandboxServer
) -> AsyncIterator[ServerProcess]:
    """A server that runs jobs, traces, and has its vendors in the sandbox."""
    server = ServerProcess(
        environment,
        WORKER_IN_PROCESS="true",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="100",
        WHATSAPP_GRAPH_BASE_URL=f"{sandbox.url}/graph",
        TELEGRAM_API_BASE_URL=f"{sandbox.url}/telegram",
    )
    await server.start()
    yield server
    server.kill()


@pytest.fixture
async def quiet(world: World) -> None:
    """Jobs that other tests left behind would be run here."""
    await system(world.runtime, "DELETE FROM pgqueuer")


def _one(spans: list[Seen], kind: int, name: str) -> Seen:
    found = [span for span in spans if span.kind == kind and span.name == name]
    assert len(found) == 1, (name, spans)
    return found[0]


@pytest.mark.usefixtures("quiet")
async def test_a_request_its_jobs_and_their_vendor_calls_are_one_trace(
    traced: ServerProcess, collector: Collector, sandbox: SandboxServer, world: World
) -> None:
    shop = await make_shop(world)
    pizza = await shop.product("Pizza calabresa", 123456)
    async with world.work() as work:
        put = ConnectionPut(config={"chat_id": CHAT}, secret={"bot_token": BOT}, is_enabled=True)
        await ConnectionService(work).put("telegram", put)
    caller = Caller.new()
    headers = {"X-Tenant": world.tenant.slug, **key(), **caller.header()}
    async with httpx.AsyncClient(base_url=traced.url) as client:
        answer = await client.post("/api/v1/checkout", json=shop.cart(pizza), headers=headers)
    assert answer.status_code == 201, answer.text

    def told() -> bool:
        return any(span.name == "POST telegram" for span in collector.spans(caller.trace))

    await until(told, 20)
    await asyncio.sleep(0.5)  # the job's own span ends after the call's
    spans = collector.spans(caller.trace)
    request = _one(spans, SERVER, "POST /api/v1/checkout")
    assert request.parent == caller.span
    assert request.facts["http.response.status_code"] == 201
    assert request.facts["largo.tenant_id"] == str(world.tenant.id)
    call = _one(spans, CLIENT, "POST telegram")
    assert call.facts["http.response.status_code"] == 200
    [job] = [span for span in spans if span.id == call.parent]
    assert (job.kind, job.name) == (CONSUMER, "job conversations.notifications.order_telegram")
    news = _one(spans, CONSUMER, "job conversations.notifications.order_news")
    assert (news.parent, job.parent, job.facts["largo.delivery"]) == (request.id, news.id, 1)
    transactions = [s for s in spans if s.name == "transaction" and s.parent == job.id]
    assert {s.facts["largo.transaction"] for s in transactions} == {"committed"}
    [sent] = await sandbox.requests(vendor="telegram")
    assert sent["headers"]["traceparent"] == f"00-{caller.trace}-{call.id}-01"
    assert not any(span.is_error or span.events for span in spans)
    for secret in ("Maria", "98765", CHAT, BOT, answer.json()["tracking_token"], "127.0.0.1:"):
        assert secret.encode() not in collector.bytes, secret


@pytest.mark.usefixtures("quiet")
async def test_an_address_of_a_tenants_own_learns_nothing_of_the_trace(
    traced: ServerProcess, collector: Collector, world: World
) -> None:
    headers = {"X-Tenant": world.tenant.slug, "Authorization": f"Bearer {world.owner.token}"}
    caller = Caller.new()
    async with (
        receiving() as shop_system,
        httpx.AsyncClient(base_url=traced.url, headers=headers) as owner,
    ):
        made = await owner.post(
            "/api/v1/admin/webhooks", json={"url": shop_system.url, "events": ["*"]}
        )
        assert made.status_code == 201, made.text
        test = f"/api/v1/admin/webhooks/{made.json()['id']}/test"
        asked = await owner.post(test, headers={**key(), **caller.header()})
        assert asked.is_success, asked.text
        await until(lambda: bool(shop_system.got), 20)
        [got] = shop_system.got
    assert "traceparent" not in got.headers
    assert caller.trace.encode() not in got.body
    await until(lambda: any(span.kind == CONSUMER for span in collector.spans(caller.trace)), 20)


async def test_what_a_caller_says_of_its_trace_is_taken_when_it_is_well_formed(
    traced: ServerProcess, collector: Collector, world: World
) -> None:
    quiet, loud = Caller.new(), Caller.new()
    async with httpx.AsyncClient(base_url=traced.url) as client:
        await client.get("/health")  # nobody wants to read of probes
        for sent in ({"traceparent": "00-zz-1-01"}, quiet.header("00"), loud.header(), {}):
            answer = await client.get(
                f"/nowhere/{CHAT}", headers={"X-Tenant": world.tenant.slug, **sent}
            )
            assert answer.status_code == 404
        await client.request("PROPFIND", "/nowhere", headers={"X-Tenant": world.tenant.slug})
    await until(lambda: len(collector.spans(loud.trace)) == 1, 20)

    def here() -> list[Seen]:
        return [span for span in collector.spans() if span.kind == SERVER and not span.parent]

    await until(lambda: len(here()) == 3, 20)
    assert sorted(span.name for span in here()) == [
        "GET unmatched",
        "GET unmatched",
        "_OTHER unmatched",
    ]
    assert collector.spans(quiet.trace) == [], "who asks for no record gets none"
    assert CHAT.encode() not in collector.bytes, "a path may hold a secret"


async def test_only_vendors_that_the_settings_name_are_told_of_the_trace(
    collector: Collector,
) -> None:
    told: dict[str, str | None] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        told[request.url.host] = request.headers.get("traceparent")
        return httpx.Response(503 if request.url.path == "/away" else 200)

    spans = await asyncio.to_thread(Spans, collector.url, "largo", "1")
    vitals = Vitals([("https://api.vendor.example/", "vendor")])
    transport = WatchedTransport(httpx.MockTransport(answer), vitals, spans)
    async with httpx.AsyncClient(transport=transport) as client:
        for host in ("api.vendor.example", "api.vendor.example.evil.example", "evil.example"):
            await client.get(f"https://{host}/segredo")
    await asyncio.to_thread(spans.close)
    found = collector.spans()
    assert [span.name for span in found] == ["GET vendor", "GET other", "GET other"]
    first = found[0]
    header = told.pop("api.vendor.example") or ""
    assert header.startswith(f"00-{first.trace}-{first.id}-")
    assert told == {
        "api.vendor.example.evil.example": None,
        "evil.example": None,
    }
    assert b"segredo" not in collector.bytes


async def test_a_collector_that_is_away_holds_up_no_end() -> None:
    spans = await asyncio.to_thread(Spans, AWAY, "largo", "1")
    with spans.call("GET", "vendor", "api.vendor.example"):
        pass
    async with asyncio.timeout(CLOSING_S + 3):
        await asyncio.to_thread(spans.close)


_LOADED = """
import asyncio, sys
OTEL = "opentelemetry."
OURS = (OTEL + "sdk.trace", OTEL + "exporter", OTEL + "proto", "google.protobuf")
from app.main import create_app
from app.worker import close_runtime

async def main():
    app = create_app()
    sent = []
    async def send(message): sent.append(message)
    async def receive(): return {"type": "http.request", "body": b"", "more_body": False}
    scope = {"type": "http", "method": "GET", "path": "/health", "headers": [], "query_string": b"",
             "raw_path": b"/health", "http_version": "1.1", "scheme": "http",
             "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "root_path": ""}
    await app(scope, receive, send)
    await close_runtime(app.runtime)
    print(sent[0]["status"], sum(name.startswith(OURS) for name in sys.modules))

asyncio.run(main())
"""


@pytest.mark.parametrize("is_wanted", [False, True])
def test_without_a_collector_nothing_that_makes_or_sends_traces_is_loaded(
    environment: dict[str, str], is_wanted: bool
) -> None:
    # Its interface is loaded all the same: fastapi requires it, and redis looks for its metrics.
    wanted = {"OTEL_EXPORTER_OTLP_ENDPOINT": AWAY} if is_wanted else {}
    done = subprocess.run(  # noqa: S603 - our own program, no shell
        [sys.executable, "-c", _LOADED],
        cwd=ROOT,
        env=environment | wanted,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    status, modules = done.stdout.splitlines()[-1].split()
    assert status == "200"
    assert (int(modules) > 0) is is_wanted
