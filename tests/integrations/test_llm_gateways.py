"""The contract of every gateway of language models, run against the sandbox over real HTTP."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contracts.gateways.llm import (
    ChatMessage,
    ChatRequest,
    Completion,
    Delta,
    LLMAccount,
    LLMFailure,
    LLMGateway,
    LLMRefused,
    LLMUnanswered,
    LLMUnavailable,
    TokenUsage,
)
from app.core.guard import Guard
from app.integrations.anthropic.client import AnthropicClient
from app.integrations.gemini.client import GeminiClient
from app.integrations.llm import Events, Wire
from app.integrations.openai.client import COMPATIBLE, OpenAIClient
from tests.sandbox.server import Json, SandboxServer

KEY = "sk-uma-chave-bem-secreta"
ANSWER = "Olá! A reunião decidiu três coisas: ação, coração e é só isso. 🍕" * 3
ASK = ChatRequest(
    "modelo-1",
    (
        ChatMessage("system", "Responda em português."),
        ChatMessage("user", "O que foi decidido?"),
        ChatMessage("assistant", "Três coisas."),
        ChatMessage("user", "Quais?"),
    ),
    500,
)
ASKED = sum(-(-len(m.content) // 4) + 4 for m in ASK.messages)
SAID = -(-len(ANSWER) // 4)
SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {"titulo": {"type": "string"}, "itens": {"type": "array", "items": {}}},
    "required": ["titulo"],
}


@dataclass(frozen=True)
class Case:
    name: str
    vendor: str
    base: str
    make: Callable[[Wire], LLMGateway]
    quirk: str
    """What its request alone has."""


CASES = [
    Case("openai", "openai", "/openai/v1", OpenAIClient, "max_completion_tokens"),
    Case("compatible", "openai", "/openai/v1", lambda w: OpenAIClient(w, COMPATIBLE), "max_tokens"),
    Case("anthropic", "anthropic", "/anthropic", AnthropicClient, "system"),
    Case("gemini", "gemini", "/gemini", GeminiClient, "systemInstruction"),
]


@pytest.fixture(params=CASES, ids=lambda c: c.name)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def account(case: Case, sandbox: SandboxServer) -> LLMAccount:
    return LLMAccount(f"{sandbox.url}{case.base}", KEY)


@pytest.fixture
def wire(http: httpx.AsyncClient) -> Wire:
    return Wire(http, Guard(allow_http=True, allowed=["127.0.0.0/8"]), 5.0)


@pytest.fixture
def gateway(case: Case, wire: Wire) -> LLMGateway:
    return case.make(wire)


async def heard(stream: AsyncGenerator[Delta | Completion, None]) -> tuple[list[str], Completion]:
    pieces: list[str] = []
    async for part in stream:
        if isinstance(part, Completion):
            return pieces, part
        pieces.append(part.text)
    pytest.fail("the stream ended without a completion")


async def failure_of(gateway: LLMGateway, account: LLMAccount, *, stream: bool) -> LLMFailure:
    asked = heard(gateway.stream(account, ASK)) if stream else gateway.complete(account, ASK)
    with pytest.raises(LLMFailure) as caught:
        await asked
    return caught.value


async def test_an_answer_whole_and_streamed_is_the_same_and_counted_the_same(
    case: Case, gateway: LLMGateway, account: LLMAccount, sandbox: SandboxServer
) -> None:
    await sandbox.put(case.vendor, answer=ANSWER, cached_tokens=5, piece_delay_ms=1)
    whole = await gateway.complete(account, ASK)
    pieces, streamed = await heard(gateway.stream(account, ASK))
    assert whole == streamed
    assert whole == Completion(ANSWER, "modelo-1", "end", TokenUsage(ASKED, SAID, cache_read=5))
    assert len(pieces) > 10
    assert "".join(pieces) == ANSWER
    for entry in await sandbox.requests(vendor=case.vendor):
        assert case.quirk in entry["body"]
        assert KEY not in json.dumps(entry)


async def test_unseen_thinking_is_output(
    case: Case, gateway: LLMGateway, account: LLMAccount, sandbox: SandboxServer
) -> None:
    if case.vendor == "anthropic":
        pytest.skip("the vendor does not tell it apart")
    await sandbox.put(case.vendor, answer="Sim.", reasoning_tokens=40)
    found = await gateway.complete(account, ASK)
    assert found.usage == TokenUsage(ASKED, 41, reasoning=40)
    assert (await heard(gateway.stream(account, ASK)))[1].usage == found.usage


async def test_a_cut_or_withheld_answer_says_so(
    case: Case, gateway: LLMGateway, account: LLMAccount, sandbox: SandboxServer
) -> None:
    await sandbox.put(case.vendor, answer=ANSWER)
    short = replace(ASK, max_tokens=10)
    for found in (
        await gateway.complete(account, short),
        (await heard(gateway.stream(account, short)))[1],
    ):
        assert (found.stop, found.text) == ("length", ANSWER[:40])
    await sandbox.put(case.vendor, filtered=True)
    assert (await gateway.complete(account, ASK)).stop == "filtered"
    assert (await heard(gateway.stream(account, ASK)))[1].stop == "filtered"


async def test_json_is_asked_for_in_the_vendors_way(
    gateway: LLMGateway, account: LLMAccount
) -> None:
    found = await gateway.complete(account, replace(ASK, json_schema=SCHEMA, temperature=0.2))
    assert json.loads(found.text) == {"titulo": "texto", "itens": [None]}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("code", "retryable"),
    [("429", True), ("500", True), ("503", True), ("http-502", True), ("400", False),
     ("404", False), ("402", False)],
)  # fmt: skip
async def test_each_refusal_says_whether_it_may_be_repeated(
    code: str,
    retryable: bool,
    stream: bool,
    case: Case,
    gateway: LLMGateway,
    account: LLMAccount,
    sandbox: SandboxServer,
) -> None:
    error = {"code": code, "times": 1, "retry_after_s": 7}
    await sandbox.put(f"{case.vendor}/knobs", error=error)
    refused = await failure_of(gateway, account, stream=stream)
    assert isinstance(refused, LLMRefused)
    assert refused.retryable is retryable
    # Gemini names its wait in the body, which a gateway in between does not write.
    assert refused.retry_after_s == 7 or retryable is False
    assert (await gateway.complete(account, ASK)).text


@pytest.mark.parametrize("cut_after", [0, 3])
async def test_a_stream_that_is_cut_is_unanswered(
    cut_after: int, case: Case, gateway: LLMGateway, account: LLMAccount, sandbox: SandboxServer
) -> None:
    await sandbox.put(case.vendor, answer=ANSWER, cut_after=cut_after)
    pieces: list[str] = []

    async def listen() -> None:
        async for part in gateway.stream(account, ASK):
            assert isinstance(part, Delta)
            pieces.append(part.text)

    with pytest.raises(LLMUnanswered):
        await listen()
    assert len(pieces) <= cut_after
    assert ANSWER.startswith("".join(pieces))


async def test_an_error_within_a_stream_is_no_answer(
    case: Case, gateway: LLMGateway, account: LLMAccount, sandbox: SandboxServer
) -> None:
    await sandbox.put(case.vendor, answer=ANSWER, fail_after=2)
    failed = await failure_of(gateway, account, stream=True)
    assert isinstance(failed, LLMRefused)
    assert failed.retryable


@pytest.mark.parametrize("stream", [False, True])
async def test_lost_slow_and_unreachable_are_told_apart(
    stream: bool, case: Case, wire: Wire, account: LLMAccount, sandbox: SandboxServer
) -> None:
    gateway = case.make(wire)
    await sandbox.put(f"{case.vendor}/knobs", drop_answer=1)
    assert isinstance(await failure_of(gateway, account, stream=stream), LLMUnanswered)
    nowhere = replace(account, base_url="http://127.0.0.1:1")
    assert isinstance(await failure_of(gateway, nowhere, stream=stream), LLMUnavailable)
    await sandbox.put(f"{case.vendor}/knobs", latency_ms=500)
    hasty = case.make(replace(wire, deadline_s=0.1))
    assert isinstance(await failure_of(hasty, account, stream=stream), LLMUnanswered)


async def test_a_listener_who_dawdles_is_not_interrupted(
    case: Case, wire: Wire, account: LLMAccount, sandbox: SandboxServer
) -> None:
    """The deadline passes while the listener does something of its own between two pieces."""
    await sandbox.put(case.vendor, answer=ANSWER, piece_delay_ms=30)
    done = 0
    with pytest.raises(LLMUnanswered, match="deadline"):  # noqa: PT012 - the loop is the test
        async with aclosing(case.make(replace(wire, deadline_s=0.3)).stream(account, ASK)) as parts:
            async for _ in parts:
                await asyncio.sleep(0.4)
                done += 1
    assert done >= 1


async def test_a_tenants_address_is_dialled_by_the_guard(
    case: Case, wire: Wire, account: LLMAccount
) -> None:
    theirs = replace(account, guarded=True)
    assert (await case.make(wire).complete(theirs, ASK)).text
    assert (await heard(case.make(wire).stream(theirs, ASK)))[1].text

    async def inside(host: str, port: int) -> list[str]:
        return ["10.0.0.7"]

    strict = case.make(replace(wire, guard=Guard(allow_http=True)))
    rebound = case.make(replace(wire, guard=Guard(allow_http=True, resolver=inside)))
    for found in (
        await failure_of(strict, theirs, stream=False),
        await failure_of(rebound, replace(theirs, base_url="http://modelo.example"), stream=True),
    ):
        assert isinstance(found, LLMRefused)
        assert (found.code, found.retryable) == ("url-refused", False)


async def test_no_failure_carries_the_key(
    case: Case, gateway: LLMGateway, account: LLMAccount, sandbox: SandboxServer
) -> None:
    """The refused key is quoted by the vendor itself."""
    await sandbox.put(case.vendor, tokens=["outra-chave"])
    refused = await failure_of(gateway, account, stream=False)
    assert isinstance(refused, LLMRefused)
    assert "***" in str(refused)
    await sandbox.put(f"{case.vendor}/knobs", drop_answer=1)
    await sandbox.put(case.vendor, tokens=[])
    lost = await failure_of(gateway, account, stream=True)
    for found in (refused, lost):
        chain: BaseException | None = found
        while chain is not None:
            assert not isinstance(chain, httpx.RequestError)
            chain = chain.__cause__ or chain.__context__
        assert KEY not in "".join(traceback.format_exception(found)) + repr(vars(found))
    assert KEY not in repr(account)


@given(st.lists(st.text(alphabet="ação {}:🍕x", max_size=9), max_size=8), st.data())
def test_events_come_out_whole_however_the_bytes_are_cut(
    texts: list[str], data: st.DataObject
) -> None:
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    raw = "".join(f": ping{end}event: x{end}data: {t}{end}{end}" for t in texts).encode()
    parser, found, at = Events(), [], 0
    while at < len(raw):
        size = data.draw(st.integers(1, 7))
        found += parser.feed(raw[at : at + size])
        at += size
    assert found == texts
