"""Asking language models over HTTP: answers, kept ones, retries, streams, whose key, the ledger."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from app.contracts.gateways.llm import Delta
from app.kernel.ai.models import AiCall, AiResult
from app.kernel.ai.problems import (
    AiAnswerTruncated,
    AiAnswerUnreadable,
    AiAnswerWithheld,
    AiNotConfigured,
    AiProblem,
    AiProviderRefused,
    AiProviderUnavailable,
    AiTooManyCalls,
    AiUnanswered,
)
from app.kernel.ai.service import AiAnswer, AiService
from app.kernel.work import Runtime, WorkFactory, unit_of_work
from tests.factories.tenants import SYSTEM, World
from tests.kernel.ai_probe import PRICE, PROMPT, SAID, SONNET, ask, used, works_of
from tests.kernel.conftest import ClientOf
from tests.sandbox.server import SandboxServer, until

CONNECTIONS = "/api/v1/admin/connections"
KEY = "sk-do-inquilino-1234"


@pytest.fixture
def works(runtime: Runtime, world: World, sandbox: SandboxServer) -> WorkFactory:
    return works_of(runtime, world.tenant, sandbox.url)


@pytest.fixture
def ai(works: WorkFactory) -> AiService:
    return AiService(works)


async def calls(works: WorkFactory) -> list[AiCall]:
    async with works() as work:
        return list(await work.session.scalars(select(AiCall).order_by(AiCall.id)))


async def heard(ai: AiService, **changes: Any) -> tuple[str, AiAnswer | None]:
    said, answer = "", None
    async with ai.stream(ask(**changes)) as parts:
        async for part in parts:
            if isinstance(part, Delta):
                said += part.text
            else:
                answer = part
    return said, answer


async def test_an_answer_its_tokens_and_its_cost(
    ai: AiService, works: WorkFactory, sandbox: SandboxServer
) -> None:
    await sandbox.put("openai", answer=SAID)
    found = await ai.complete(ask())
    assert (found.text, found.provider, found.model) == (SAID, "openai", "gpt-4o-mini")
    assert (found.usage.input, found.usage.output, found.cost_micro_usd) == (1000, 100, PRICE)
    [call] = await calls(works)
    assert (call.id, call.state, call.on_platform) == (found.call_id, "answered", True)
    shown = await used(works)
    assert (shown.spent_micro_usd, shown.reserved_micro_usd, shown.platform_micro_usd) == (
        PRICE,
        0,
        PRICE,
    )


async def test_a_kept_answer_costs_nothing_and_asks_nobody(
    ai: AiService, works: WorkFactory, sandbox: SandboxServer, stranger: World
) -> None:
    first = await ai.complete(ask(cached=True))
    again = await ai.complete(ask(cached=True))
    streamed, last = await heard(ai, cached=True)
    assert first.text == again.text == streamed
    assert last is not None
    assert [a.is_cached for a in (first, again, last)] == [False, True, True]
    assert (again.cost_micro_usd, last.cost_micro_usd) == (0, 0)
    assert len(await sandbox.requests(vendor="openai")) == 1
    shown = await used(works)
    assert shown.spent_micro_usd == first.cost_micro_usd
    assert [(i.calls, i.cached_calls) for i in shown.items] == [(1, 2)]
    # Another question, another way to ask, another tenant, an answer past its time: all anew.
    await ai.complete(ask("outra", cached=True))
    await ai.complete(ask(cached=True, temperature=0.1))
    other = works_of(stranger.runtime, stranger.tenant, sandbox.url)
    await AiService(other).complete(ask(cached=True))
    async with works() as work:
        for row in await work.session.scalars(select(AiResult)):
            row.expires_at = row.created_at
    await ai.complete(ask(cached=True))
    assert len(await sandbox.requests(vendor="openai")) == 5


async def test_what_may_pass_is_tried_again_and_each_try_is_in_the_ledger(
    ai: AiService, works: WorkFactory, sandbox: SandboxServer
) -> None:
    await sandbox.put("openai/knobs", error={"code": "429", "times": 1, "retry_after_s": 1})
    began = asyncio.get_running_loop().time()
    assert (await ai.complete(ask())).text
    assert asyncio.get_running_loop().time() - began >= 1
    await sandbox.put("openai/knobs", drop_answer=1)
    assert (await ai.complete(ask())).text
    states = [(c.state, c.is_estimated, (c.cost_micro_usd or 0) > 0) for c in await calls(works)]
    assert states == [
        ("failed", False, False),
        ("answered", False, True),
        ("unanswered", True, True),
        ("answered", False, True),
    ]


@pytest.mark.parametrize(
    ("knobs", "problem", "tries"),
    [
        ({"error": {"code": "400"}}, AiProviderRefused, 1),
        ({"error": {"code": "401"}}, AiProviderRefused, 1),
        ({"error": {"code": "402"}}, AiProviderRefused, 1),
        ({"error": {"code": "500"}}, AiProviderUnavailable, 4),
        ({"error": {"code": "429", "retry_after_s": 900}}, AiProviderUnavailable, 1),
        ({"drop_answer": 9}, AiUnanswered, 2),
    ],
)
async def test_what_does_not_pass_is_told(
    knobs: dict[str, Any],
    problem: type[AiProblem],
    tries: int,
    ai: AiService,
    works: WorkFactory,
    sandbox: SandboxServer,
) -> None:
    await sandbox.put("openai/knobs", **knobs)
    with pytest.raises(problem) as told:
        await ai.complete(ask())
    assert told.value.retryable == (problem is not AiProviderRefused)
    if knobs.get("error", {}).get("retry_after_s"):
        assert told.value.retry_after_s == 900
        assert told.value.headers == {"Retry-After": "901"}
    assert len(await sandbox.requests(vendor="openai")) == tries
    shown = await used(works)
    assert shown.reserved_micro_usd == 0
    assert [i.failed_calls for i in shown.items] == [tries]
    assert (shown.spent_micro_usd > 0) == (problem is AiUnanswered)


async def test_a_cut_a_withheld_and_an_unreadable_answer_are_paid_and_not_kept(
    ai: AiService, works: WorkFactory, sandbox: SandboxServer
) -> None:
    await sandbox.put("openai", answer=SAID)
    with pytest.raises(AiAnswerTruncated):
        await ai.complete(ask(cached=True, max_tokens=10))
    await sandbox.put("openai", filtered=True)
    with pytest.raises(AiAnswerWithheld):
        await ai.complete(ask(cached=True))
    await sandbox.put("openai", filtered=False, answer="{meia")
    found = await ai.complete(ask(json_schema={"type": "object"}))
    with pytest.raises(AiAnswerUnreadable):
        found.data()
    await sandbox.put("openai", answer='{"a": 1}')
    assert (await ai.complete(ask(json_schema={"type": "object"}))).data() == {"a": 1}
    assert [c.state for c in await calls(works)] == ["answered"] * 4
    assert (await used(works)).spent_micro_usd > 0
    async with works() as work:
        assert (await work.session.scalars(select(AiResult))).all() == []


async def test_a_stream_is_settled_as_a_whole_answer_is(
    ai: AiService, works: WorkFactory, sandbox: SandboxServer
) -> None:
    await sandbox.put("openai", answer=SAID)
    said, answer = await heard(ai, cached=True)
    assert said == SAID
    assert answer is not None
    assert (answer.text, answer.cost_micro_usd) == (SAID, PRICE)
    assert (await ai.complete(ask(cached=True))).is_cached
    assert (await used(works)).spent_micro_usd == PRICE


async def test_a_stream_cut_on_its_way_is_paid_by_what_was_heard(
    ai: AiService, works: WorkFactory, sandbox: SandboxServer
) -> None:
    await sandbox.put("openai", answer=SAID, cut_after=5)
    with pytest.raises(AiUnanswered):
        await heard(ai)
    assert len(await sandbox.requests(vendor="openai")) == 1, "what was heard is not said twice"
    [call] = await calls(works)
    assert (call.state, call.is_estimated) == ("unanswered", True)
    assert 0 < call.output_tokens <= 15
    shown = await used(works)
    assert (shown.spent_micro_usd, shown.reserved_micro_usd) == (call.cost_micro_usd, 0)


async def test_a_stream_that_fails_before_its_first_piece_is_tried_again(
    ai: AiService, sandbox: SandboxServer
) -> None:
    await sandbox.put("openai/knobs", error={"code": "503", "times": 2})
    said, answer = await heard(ai)
    assert answer is not None
    assert said == answer.text
    assert len(await sandbox.requests(vendor="openai")) == 3


async def test_who_leaves_a_stream_pays_for_what_was_heard(
    ai: AiService, works: WorkFactory, sandbox: SandboxServer
) -> None:
    await sandbox.put("openai", answer=SAID, piece_delay_ms=20)
    async with ai.stream(ask()) as parts:
        async for _ in parts:
            break
    [call] = await calls(works)
    assert (call.state, call.failure, call.output_tokens) == ("unanswered", "GeneratorExit", 3)
    assert (await used(works)).reserved_micro_usd == 0


async def test_a_cancelled_call_gives_its_reservation_back(
    ai: AiService, works: WorkFactory, sandbox: SandboxServer
) -> None:
    await sandbox.put("openai/knobs", latency_ms=5000)
    asking = asyncio.create_task(ai.complete(ask()))

    async def reserved() -> bool:
        return bool(await calls(works))

    await until(reserved)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    [call] = await calls(works)
    assert (call.state, call.is_estimated) == ("unanswered", True)
    assert (await used(works)).reserved_micro_usd == 0


async def test_the_tenants_own_key_goes_before_the_platforms(
    owner: httpx.AsyncClient, runtime: Runtime, world: World, sandbox: SandboxServer
) -> None:
    works = works_of(runtime, world.tenant, sandbox.url)
    body: dict[str, Any] = {"config": {}, "secret": {"api_key": KEY}}
    assert (await owner.put(f"{CONNECTIONS}/anthropic", json=body)).status_code == 200
    with pytest.raises(AiNotConfigured, match="Name a model"):
        await AiService(works).complete(ask())
    body["config"] = {"model": SONNET}
    assert (await owner.put(f"{CONNECTIONS}/anthropic", json=body)).status_code == 200
    theirs = await AiService(works).complete(ask())
    assert (theirs.provider, theirs.model) == ("anthropic", SONNET)
    assert theirs.cost_micro_usd
    ours = await AiService(works).complete(ask(provider="openai"))
    with pytest.raises(AiNotConfigured):
        await AiService(works).complete(ask(provider="gemini"))
    with pytest.raises(AiNotConfigured):
        await AiService(works).complete(ask(provider="fax"))
    assert [c.on_platform for c in await calls(works)] == [False, True]
    shown = await used(works)
    assert shown.platform_micro_usd == ours.cost_micro_usd
    assert shown.spent_micro_usd == theirs.cost_micro_usd + (ours.cost_micro_usd or 0)
    [asked] = await sandbox.requests(vendor="anthropic")
    assert asked["headers"]["x-api-key"] == "***1234"


async def test_a_server_of_ones_own_has_no_price_and_passes_the_guard(
    owner: httpx.AsyncClient, runtime: Runtime, world: World, sandbox: SandboxServer
) -> None:
    config = {"base_url": f"{sandbox.url}/openai/v1", "model": "modelo-da-casa"}
    body: dict[str, Any] = {"config": config, "secret": {"api_key": KEY}}
    assert (await owner.put(f"{CONNECTIONS}/openai-compatible", json=body)).status_code == 200
    works = works_of(runtime, world.tenant, sandbox.url)
    found = await AiService(works).complete(ask())
    assert (found.provider, found.cost_micro_usd, found.usage.input) == (
        "openai-compatible",
        None,
        1000,
    )
    assert [i.unpriced_calls for i in (await used(works)).items] == [1]
    body["config"]["base_url"] = "https://10.0.0.7/v1"
    inside = await owner.put(f"{CONNECTIONS}/openai-compatible", json=body)
    assert (inside.status_code, inside.json()["code"]) == (422, "provider-url-refused")
    body["config"]["base_url"] = "https://10.7/v1"  # to a resolver it is 10.0.0.7
    assert (await owner.put(f"{CONNECTIONS}/openai-compatible", json=body)).status_code == 200
    with pytest.raises(AiProviderRefused, match="public internet"):
        await AiService(works).complete(ask())


async def test_calls_per_minute_are_limited_and_kept_answers_are_not(
    runtime: Runtime, world: World, sandbox: SandboxServer
) -> None:
    ai = AiService(works_of(runtime, world.tenant, sandbox.url, ai_calls_per_minute=2))
    for text in ("um", "dois"):
        await ai.complete(ask(text, cached=True))
    with pytest.raises(AiTooManyCalls) as told:
        await ai.complete(ask("três"))
    assert (told.value.retryable, 0 < (told.value.retry_after_s or 0) <= 30) == (True, True)
    assert (await ai.complete(ask("um", cached=True))).is_cached
    assert len(await sandbox.requests(vendor="openai")) == 2


async def test_one_tenants_slow_model_keeps_nobody_else_waiting(
    runtime: Runtime, world: World, stranger: World, sandbox: SandboxServer
) -> None:
    key = SecretStr("chave-da-plataforma")
    slow = works_of(runtime, world.tenant, sandbox.url, gemini_api_key=key)
    async with slow() as work:
        shared = work.runtime
    await sandbox.put("openai/knobs", latency_ms=60_000)
    waiting = [asyncio.create_task(AiService(slow).complete(ask())) for _ in range(60)]

    async def all_places_taken() -> bool:
        return len(await sandbox.requests(vendor="openai")) == 10

    await until(all_places_taken, 30)
    theirs = AiService(lambda: unit_of_work(shared, stranger.tenant, SYSTEM))
    assert (await theirs.complete(ask(provider="gemini"))).text
    assert len(await sandbox.requests(vendor="openai")) == 10
    await sandbox.put("openai/knobs")
    assert len(await asyncio.gather(*waiting)) == 60


async def test_the_ledger_is_the_sum_of_what_was_used(
    ai: AiService, works: WorkFactory, sandbox: SandboxServer, owner: httpx.AsyncClient
) -> None:
    await sandbox.put("openai/knobs", error={"code": "500", "probability": 0.2})
    found = await asyncio.gather(
        *(ai.complete(ask(PROMPT[: 40 * n], feature=f"f{n % 3}")) for n in range(1, 25)),
        return_exceptions=True,
    )
    answers = [a for a in found if isinstance(a, AiAnswer)]
    assert answers
    shown = (await owner.get("/api/v1/ai/usage")).json()
    assert shown["spent_micro_usd"] == sum(a.cost_micro_usd or 0 for a in answers)
    for name, told in (
        ("cost_micro_usd", shown["spent_micro_usd"]),
        ("input_tokens", sum(a.usage.input for a in answers)),
        ("output_tokens", sum(a.usage.output for a in answers)),
    ):
        assert sum(item[name] for item in shown["items"]) == told
    assert [item["feature"] for item in shown["items"]] == ["f0", "f1", "f2"]
    assert shown["reserved_micro_usd"] == 0


async def test_use_and_budget_over_http(
    owner: httpx.AsyncClient,
    outsider: httpx.AsyncClient,
    client_of: ClientOf,
    world: World,
    ai: AiService,
) -> None:
    await ai.complete(ask())
    assert (await outsider.get("/api/v1/ai/usage")).json()["items"] == []
    assert (await owner.get("/api/v1/ai/usage?month=2026-13")).status_code == 422
    past = (await owner.get("/api/v1/ai/usage?month=2020-01")).json()
    assert (past["items"], past["spent_micro_usd"]) == ([], 0)
    put = await owner.put("/api/v1/ai/budget", json={"monthly_micro_usd": 5})
    assert put.json()["monthly_micro_usd"] == 5
    assert (await outsider.get("/api/v1/ai/budget")).json()["monthly_micro_usd"] is None
    for body in ({"monthly_micro_usd": -1}, {}, {"monthly_micro_usd": "x"}):
        assert (await owner.put("/api/v1/ai/budget", json=body)).status_code == 422
    manager = await client_of(world, await world.member("manager"))
    agent = await client_of(world, await world.member("agent"))
    assert (await manager.get("/api/v1/ai/usage")).status_code == 200
    assert (await agent.get("/api/v1/ai/usage")).status_code == 403
    refused = await manager.put("/api/v1/ai/budget", json={"monthly_micro_usd": 9})
    assert (refused.status_code, refused.json()["code"]) == (403, "action-not-allowed")
    assert (await owner.get("/api/v1/ai/budget")).json()["monthly_micro_usd"] == 5
    audit = (await owner.get("/api/v1/admin/audit")).json()["items"][0]
    assert (audit["action"], audit["facts"]) == ("ai_budget.put", {"before": None, "after": 5})
    gone = await owner.put("/api/v1/ai/budget", json={"monthly_micro_usd": None})
    assert gone.json()["monthly_micro_usd"] is None
