"""The month's budget: exact under concurrency, and whole again after a process dies."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from app.contracts.gateways.llm import ChatMessage, ChatRequest
from app.kernel.ai.models import AiCall, AiMonth
from app.kernel.ai.problems import AiBudgetReached
from app.kernel.ai.repository import CallRepository, Ending
from app.kernel.ai.rules import most_usage
from app.kernel.ai.service import AiAnswer, AiService
from app.kernel.work import Runtime, WorkFactory
from tests.factories.tenants import World
from tests.kernel.ai_probe import MOST, PRICE, SAID, ask, budget, used, works_of
from tests.kernel.queue_probe import system
from tests.sandbox.server import SandboxServer, until

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def works(runtime: Runtime, world: World, sandbox: SandboxServer) -> WorkFactory:
    await sandbox.put("openai", answer=SAID)
    return works_of(runtime, world.tenant, sandbox.url)


async def held(works: WorkFactory) -> int:
    async with works() as work:
        return await work.session.scalar(select(AiMonth.reserved_micro_usd)) or 0


async def test_a_hundred_at_once_never_pass_the_budget(
    works: WorkFactory, sandbox: SandboxServer
) -> None:
    """Five fit while all may yet cost their most; the vendor answers when all have asked."""
    await budget(works, 5 * MOST + MOST // 2)
    await sandbox.put("openai/knobs", latency_ms=60_000)
    ai = AiService(works)
    asked = [asyncio.create_task(ai.complete(ask())) for _ in range(100)]
    await until(lambda: sum(task.done() for task in asked) == 95, 60)
    assert await held(works) == 5 * MOST
    await sandbox.put("openai/knobs")
    found = await asyncio.gather(*asked, return_exceptions=True)
    refused = [f for f in found if isinstance(f, AiBudgetReached)]
    assert len(refused) == 95
    assert {r.extra["needed_micro_usd"] for r in refused} == {MOST}
    assert len([f for f in found if isinstance(f, AiAnswer)]) == 5
    shown = await used(works)
    assert (shown.spent_micro_usd, shown.reserved_micro_usd) == (5 * PRICE, 0)
    assert len(await sandbox.requests(vendor="openai")) == 5


async def test_the_rest_of_a_reservation_is_free_again(works: WorkFactory) -> None:
    await budget(works, MOST + 2 * PRICE)
    ai = AiService(works)
    assert [(await ai.complete(ask())).cost_micro_usd for _ in range(3)] == [PRICE] * 3
    with pytest.raises(AiBudgetReached):
        await ai.complete(ask())
    assert (await used(works)).spent_micro_usd == 3 * PRICE
    await budget(works, 0)
    with pytest.raises(AiBudgetReached):
        await ai.complete(ask())
    await budget(works, None)
    assert (await ai.complete(ask())).text


async def test_the_platform_pays_so_much_and_no_more(
    runtime: Runtime, world: World, sandbox: SandboxServer
) -> None:
    await sandbox.put("openai", answer=SAID)
    works = works_of(runtime, world.tenant, sandbox.url, ai_platform_monthly_micro_usd=MOST + PRICE)
    await budget(works, 1_000_000)
    ai = AiService(works)
    for _ in range(2):
        assert (await ai.complete(ask())).text
    with pytest.raises(AiBudgetReached) as told:
        await ai.complete(ask())
    assert told.value.extra["platform_micro_usd"] == 2 * PRICE


async def test_a_killed_caller_holds_its_reservation_until_its_time_has_passed(
    works: WorkFactory,
    runtime: Runtime,
    world: World,
    sandbox: SandboxServer,
    environment: dict[str, str],
) -> None:
    await budget(works, MOST + MOST // 2)
    await sandbox.put("openai/knobs", latency_ms=60_000)
    process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own program, no shell
        [sys.executable, "-m", "tests.kernel.ai_probe", str(world.tenant.id), sandbox.url],
        cwd=ROOT,
        env=environment,
    )

    async def asked() -> bool:
        return bool(await sandbox.requests(vendor="openai"))

    try:
        await until(asked, 60)
    finally:
        process.kill()
        process.wait(10)
    await sandbox.put("openai/knobs")
    assert await held(works) == MOST
    with pytest.raises(AiBudgetReached):
        await AiService(works).complete(ask())
    await system(
        runtime,
        "UPDATE ai_calls SET expires_at = now() - interval '1 s' WHERE tenant_id = $1",
        world.tenant.id,
    )
    answers = await asyncio.gather(
        *(AiService(works).complete(ask()) for _ in range(4)), return_exceptions=True
    )
    assert any(isinstance(a, AiAnswer) for a in answers)
    async with works() as work:
        states = (await work.session.scalars(select(AiCall.state).order_by(AiCall.id))).all()
        # It ends after all: what it cost is spent, and nothing is given back twice.
        lost = await work.session.scalar(select(AiCall.id).where(AiCall.state == "lost"))
        assert lost is not None
        late = Ending("answered", 7, False, None, 1, (1, 1, 0, 0, 0))
        for _ in range(2):
            await CallRepository(work.session).settle(lost, late)
    assert (states[0], set(states[1:])) == ("lost", {"answered"})
    shown = await used(works)
    assert shown.spent_micro_usd == PRICE * (len(states) - 1) + 7
    assert shown.reserved_micro_usd == 0


@pytest.mark.parametrize("text", ["ação e coração 🍕", "a", "", "字" * 50])
def test_no_text_has_more_tokens_than_bytes(text: str) -> None:
    request = ChatRequest("m", (ChatMessage("user", text),), 10)
    assert most_usage(request).input >= len(text.encode())
