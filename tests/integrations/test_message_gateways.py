"""The contract of every message gateway, run against the sandbox over real HTTP."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest

from app.contracts.gateways.messaging import (
    GatewayFailure,
    GatewayOutcomeUnknown,
    GatewayRefused,
    GatewayUnavailable,
    MessageGateway,
    MessagingCredentials,
    Refusal,
)
from app.core.guard import Guard
from app.core.http import new_http_client
from app.integrations.telegram.client import TelegramClient
from app.integrations.whatsapp.cloud import CloudApi
from app.integrations.whatsapp.graph import Graph
from tests.sandbox.server import SandboxServer, until

TEXT = 'Olá, Conceição! Pedido nº 42: <b>R$ 59,90</b> "pago" 🍕'


@dataclass(frozen=True)
class Case:
    """One vendor, as the contract needs it."""

    vendor: str
    credentials: MessagingCredentials
    to: str
    errors: dict[str, tuple[Refusal, str]]
    make: Callable[[httpx.AsyncClient, str], MessageGateway]


WHATSAPP = Case(
    vendor="whatsapp",
    credentials=MessagingCredentials(token="EAAGsecretTokenOfTheShop", sender="109876543210987"),
    to="5511987654321",
    errors={
        "131047": (Refusal.PERMANENT, "message"),
        "131026": (Refusal.PERMANENT, "recipient"),
        "131056": (Refusal.RETRY_PAIR, "pair"),
        "130429": (Refusal.RETRY, "number"),
        "131048": (Refusal.STOP, "number"),
        "131049": (Refusal.DEFER, "recipient"),
        "132015": (Refusal.STOP, "template"),
        "190": (Refusal.AUTH, "account"),
        "2": (Refusal.RETRY, "call"),
        "http-429": (Refusal.RETRY, "call"),
        "http-401": (Refusal.AUTH, "account"),
        "http-404": (Refusal.PERMANENT, "message"),
    },
    make=lambda http, url: CloudApi(Graph(http, Guard(), f"{url}/graph", "v23.0")),
)
TELEGRAM = Case(
    vendor="telegram",
    credentials=MessagingCredentials(token="7001234567:AAHsecretTokenOfTheBot"),
    to="-1001122334455",
    errors={
        "400": (Refusal.PERMANENT, "message"),
        "401": (Refusal.AUTH, "account"),
        "403": (Refusal.PERMANENT, "recipient"),
        "404": (Refusal.AUTH, "account"),
        "429": (Refusal.RETRY, "number"),
        "http-429": (Refusal.RETRY, "call"),
    },
    make=lambda http, url: TelegramClient(http, f"{url}/telegram"),
)
CASES = [WHATSAPP, TELEGRAM]
ERRORS = [(case, code) for case in CASES for code in case.errors]


@pytest.fixture(params=CASES, ids=lambda case: case.vendor)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


async def failure_of(case: Case, gateway: MessageGateway, text: str = TEXT) -> GatewayFailure:
    with pytest.raises(GatewayFailure) as caught:
        await gateway.send_text(
            credentials=case.credentials, to=case.to, text=text, reference="attempt-1"
        )
    return caught.value


async def test_a_text_arrives_whole_and_gets_the_vendors_id(
    case: Case, sandbox: SandboxServer, http: httpx.AsyncClient
) -> None:
    gateway = case.make(http, sandbox.url)
    first = await gateway.send_text(
        credentials=case.credentials, to=case.to, text=TEXT, reference="attempt-1"
    )
    second = await gateway.send_text(
        credentials=case.credentials, to=case.to, text=TEXT, reference="attempt-2"
    )
    newest, oldest = await sandbox.requests(vendor=case.vendor)
    assert first.id
    assert first.id != second.id
    assert first.address == case.to
    assert (oldest["preview"], oldest["to"], oldest["verdict"]) == (TEXT, case.to, "accepted")
    assert first.id in str(oldest["answer"])
    assert second.id in str(newest["answer"])
    assert oldest["headers"]["user-agent"].startswith("largo/")


@pytest.mark.parametrize(("case", "code"), ERRORS, ids=lambda v: getattr(v, "vendor", v))
async def test_each_refusal_says_what_it_asks_for(
    case: Case, code: str, sandbox: SandboxServer, http: httpx.AsyncClient
) -> None:
    await sandbox.put(f"{case.vendor}/knobs", error={"code": code, "times": 1})
    gateway = case.make(http, sandbox.url)
    refused = await failure_of(case, gateway)
    assert isinstance(refused, GatewayRefused)
    assert (refused.action, refused.scope) == case.errors[code]
    assert refused.code == code
    assert refused.retryable == (refused.action in {"retry", "retry-pair", "defer"})
    assert await gateway.send_text(
        credentials=case.credentials, to=case.to, text=TEXT, reference="attempt-2"
    )


async def test_a_wait_named_by_the_vendor_is_handed_on(
    case: Case, sandbox: SandboxServer, http: httpx.AsyncClient
) -> None:
    error = {"code": "http-429", "times": 1, "retry_after_s": 34}
    await sandbox.put(f"{case.vendor}/knobs", error=error)
    refused = await failure_of(case, case.make(http, sandbox.url))
    assert isinstance(refused, GatewayRefused)
    assert refused.retry_after_s == 34


@pytest.mark.parametrize("code", ["http-500", "http-502", "http-503"])
async def test_a_server_error_without_the_vendors_word_is_an_unknown_outcome(
    case: Case, code: str, sandbox: SandboxServer, http: httpx.AsyncClient
) -> None:
    await sandbox.put(f"{case.vendor}/knobs", error={"code": code})
    assert isinstance(await failure_of(case, case.make(http, sandbox.url)), GatewayOutcomeUnknown)


async def test_a_lost_answer_is_an_unknown_outcome_although_the_vendor_accepted(
    case: Case, sandbox: SandboxServer, http: httpx.AsyncClient
) -> None:
    await sandbox.put(f"{case.vendor}/knobs", drop_answer=1)
    gateway = case.make(http, sandbox.url)
    assert isinstance(await failure_of(case, gateway), GatewayOutcomeUnknown)
    [dropped] = await sandbox.requests(vendor=case.vendor)
    assert (dropped["status"], dropped["verdict"]) == (200, "answer dropped")
    assert await gateway.send_text(
        credentials=case.credentials, to=case.to, text=TEXT, reference="attempt-2"
    )


async def test_a_slow_answer_is_an_unknown_outcome(case: Case, sandbox: SandboxServer) -> None:
    await sandbox.put(f"{case.vendor}/knobs", latency_ms=600)
    async with new_http_client(httpx.Timeout(1, read=0.1)) as impatient:
        failure = await failure_of(case, case.make(impatient, sandbox.url))
    assert isinstance(failure, GatewayOutcomeUnknown)
    assert failure.reason == "ReadTimeout"

    async def accepted() -> bool:
        [entry] = await sandbox.requests(vendor=case.vendor)
        return bool(entry["verdict"] == "accepted")

    await until(accepted)


async def test_an_unreachable_vendor_means_that_nothing_was_sent(
    case: Case, http: httpx.AsyncClient
) -> None:
    failure = await failure_of(case, case.make(http, "http://127.0.0.1:1"))
    assert isinstance(failure, GatewayUnavailable)


async def test_text_beyond_the_vendors_limit_is_refused_for_good(
    case: Case, sandbox: SandboxServer, http: httpx.AsyncClient
) -> None:
    gateway = case.make(http, sandbox.url)
    at_limit = await gateway.send_text(
        credentials=case.credentials, to=case.to, text="é" * 4096, reference="attempt-1"
    )
    refused = await failure_of(case, gateway, "é" * 4097)
    assert at_limit.id
    assert isinstance(refused, GatewayRefused)
    assert not refused.retryable


@pytest.mark.parametrize("knobs", [{"drop_answer": 1}, {"error": {"code": "http-502"}}, {}])
async def test_no_failure_and_no_log_line_carries_the_token(
    case: Case,
    knobs: dict[str, object],
    sandbox: SandboxServer,
    http: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With empty knobs the token itself is refused, and WhatsApp quotes it in its error."""
    await sandbox.put(f"{case.vendor}/knobs", **knobs)
    await sandbox.put(case.vendor, tokens=["111:another"])
    with caplog.at_level(logging.DEBUG, "httpx"):
        failure = await failure_of(case, case.make(http, sandbox.url))
        unreachable = await failure_of(case, case.make(http, "http://127.0.0.1:1"))
    for found in (failure, unreachable):
        told = "".join(traceback.format_exception(found)) + repr(vars(found))
        assert case.credentials.token not in told
        chain: BaseException | None = found
        while chain is not None:
            assert not isinstance(chain, httpx.RequestError)
            chain = chain.__cause__ or chain.__context__
    assert case.credentials.token not in caplog.text
    assert case.credentials.token not in repr(case.credentials)
