"""Asking a language model: whose account, kept answers, limits, budget, retries, the ledger.

Each attempt is three steps: reserve in a transaction of its own, ask with none open, settle in
another. A process that dies in between leaves a reservation that is given back by its age.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID
from weakref import WeakValueDictionary

import orjson
from pydantic import JsonValue

from app.contracts.gateways.llm import (
    ChatRequest,
    Completion,
    Delta,
    LLMFailure,
    LLMGateway,
    LLMRefused,
    LLMUnanswered,
    TokenUsage,
)
from app.core.ratelimit import Limit
from app.kernel.ai.accounts import Payer, payer_for
from app.kernel.ai.ledger import LedgerService
from app.kernel.ai.models import ANSWERED, FAILED, UNANSWERED
from app.kernel.ai.pricing import cost_of
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
from app.kernel.ai.repository import Ending, Line
from app.kernel.ai.rules import Ask, likely_usage, most_usage, result_key, wait_after
from app.kernel.work import Runtime, WorkFactory

__all__ = ["AiAnswer", "AiService", "Ask"]

_PLACES, _SHARE = 40, 10
"""Calls at once of one process, and of one tenant in it: the client's other connections stay for
other vendors, and nobody's slow model keeps the rest waiting."""


@dataclass(frozen=True, slots=True)
class AiAnswer:
    """An answer and what it took. ``cost_micro_usd`` None: no price is published."""

    text: str
    provider: str
    model: str
    usage: TokenUsage
    cost_micro_usd: int | None
    is_cached: bool = False
    call_id: UUID | None = None

    def data(self) -> JsonValue:
        """The answer as JSON, for questions with a schema. Raises AiAnswerUnreadable."""
        try:
            found: JsonValue = orjson.loads(self.text)
        except ValueError:
            raise AiAnswerUnreadable() from None
        return found


@dataclass(frozen=True, slots=True)
class _Call:
    """A question with everything that answering it needs."""

    ask: Ask
    request: ChatRequest
    payer: Payer
    gateway: LLMGateway
    line: Line
    key: str
    runtime: Runtime
    tenant_id: UUID
    until: float


@dataclass(frozen=True, slots=True)
class _Attempt:
    call: _Call
    id: UUID
    began: float


class AiService:
    """Takes ``Works``, not a Work: no transaction is open while a vendor is asked."""

    def __init__(self, works: WorkFactory) -> None:
        self.works = works

    async def complete(self, ask: Ask) -> AiAnswer:
        """A whole answer, kept from before or asked for now, tried again where that may help.

        Raises the problems of ``kernel.ai.problems``; a truncated answer is one of them.
        """
        call = await self._prepared(ask)
        if isinstance(call, AiAnswer):
            return call
        attempts = 0
        while True:
            attempts += 1
            try:
                return await self._attempt(call)
            except LLMFailure as failure:
                wait = wait_after(failure, attempts, call.until - time.monotonic())
                if wait is None:
                    raise _problem(failure) from failure
            await asyncio.sleep(wait)

    @asynccontextmanager
    async def stream(self, ask: Ask) -> AsyncIterator[AsyncGenerator[Delta | AiAnswer, None]]:
        """An answer piece by piece, the whole with its cost last; leaving the block hangs up.

        ``async with ai.stream(ask) as parts: async for part in parts: ...``. Tried again only
        until its first piece was heard. Raises as ``complete`` does.
        """
        async with aclosing(self._parts(ask)) as parts:
            yield parts

    async def _parts(self, ask: Ask) -> AsyncGenerator[Delta | AiAnswer, None]:
        call = await self._prepared(ask)
        if isinstance(call, AiAnswer):
            yield Delta(call.text)
            yield call
            return
        attempts, heard = 0, False
        while True:
            attempts += 1
            try:
                async with aclosing(self._streamed(call)) as parts:
                    async for part in parts:
                        heard = True
                        yield part
                return
            except LLMFailure as failure:
                wait = wait_after(failure, attempts, call.until - time.monotonic())
                if wait is None or heard:
                    raise _problem(failure) from failure
            await asyncio.sleep(wait)

    async def _prepared(self, ask: Ask) -> _Call | AiAnswer:
        """What to call, or the answer that is kept. Raises AiNotConfigured, AiTooManyCalls."""
        until = time.monotonic() + ask.patience_s
        async with self.works() as work:
            payer = await payer_for(work, ask.provider)
            model = ask.model or payer.model
            if not model:
                raise AiNotConfigured("Name a model: in the connection or with the question.")
            request = ChatRequest(
                model=model,
                messages=ask.messages,
                max_tokens=ask.max_tokens or work.runtime.settings.ai_max_tokens,
                temperature=ask.temperature,
                json_schema=ask.json_schema,
            )
            ledger = LedgerService(work)
            line = Line(ledger.month, ask.feature, payer.provider, request.model, payer.on_platform)
            key = result_key(payer.provider, payer.account.base_url, request)
            kept = await ledger.results.kept(key) if ask.cache_for is not None else None
            if kept is not None:
                id_ = await ledger.calls.add_cached(line)
                return AiAnswer(kept[0], payer.provider, kept[1], TokenUsage(), 0, True, id_)
            gateway = work.port(LLMGateway, payer.provider)
            runtime, tenant_id = work.runtime, work.tenant.id
        await _throttle(runtime, tenant_id)
        return _Call(ask, request, payer, gateway, line, key, runtime, tenant_id, until)

    async def _attempt(self, call: _Call) -> AiAnswer:
        async with _place(call):
            attempt = await self._reserved(call)
            try:
                completion = await call.gateway.complete(call.payer.account, call.request)
            except BaseException as error:
                await self._broke(attempt, error, "")
                raise
            return await self._answered(attempt, completion)

    async def _streamed(self, call: _Call) -> AsyncGenerator[Delta | AiAnswer, None]:
        async with _place(call):
            attempt, said = await self._reserved(call), ""
            whole: Completion | None = None
            try:
                async with aclosing(call.gateway.stream(call.payer.account, call.request)) as parts:
                    async for part in parts:
                        if isinstance(part, Completion):
                            whole = part
                            break
                        said += part.text
                        yield part
                if whole is None:
                    raise LLMUnanswered(call.payer.provider, "the answer broke off")
            except BaseException as error:
                # Also a listener who leaves: GeneratorExit.
                await self._broke(attempt, error, said)
                raise
            answer = await self._answered(attempt, whole)
        yield answer

    async def _reserved(self, call: _Call) -> _Attempt:
        """Set aside the most the call can cost; 0 for a model without a price.

        Raises AiBudgetReached.
        """
        amount = await self._cost(call, call.request.model, most_usage(call.request))
        async with self.works() as work:
            id_ = await LedgerService(work).reserve(call.line, amount or 0)
        return _Attempt(call, id_, time.monotonic())

    async def _answered(self, attempt: _Attempt, found: Completion) -> AiAnswer:
        """Settle and keep the answer. Raises AiAnswerTruncated, AiAnswerWithheld: paid alike."""
        call = attempt.call
        usage = found.usage or likely_usage(call.request, found.text)
        cost = await self._cost(call, found.model, usage)
        if cost is None:
            cost = await self._cost(call, call.request.model, usage)
        ending = _ending(attempt, ANSWERED, cost, usage, is_estimated=found.usage is None)
        keep_for = call.ask.cache_for if found.stop == "end" else None
        async with self.works() as work:
            ledger = LedgerService(work)
            await ledger.settle(attempt.id, ending)
            if keep_for is not None:
                life_s = keep_for.total_seconds()
                await ledger.results.keep(call.key, found.text, found.model, life_s)
        if found.stop == "length":
            raise AiAnswerTruncated(max_tokens=call.request.max_tokens)
        if found.stop == "filtered":
            raise AiAnswerWithheld()
        return AiAnswer(
            found.text, call.payer.provider, found.model, usage, cost, call_id=attempt.id
        )

    async def _broke(self, attempt: _Attempt, error: BaseException, said: str) -> None:
        """Settle a call without an answer: billed, by our estimate, when the vendor may have
        worked; free when it refused at once or was never reached."""
        call, usage, cost = attempt.call, TokenUsage(), 0 if isinstance(error, LLMFailure) else None
        billed = bool(said) or not isinstance(error, LLMFailure) or isinstance(error, LLMUnanswered)
        if billed:
            usage = likely_usage(call.request, said)
            cost = await self._cost(call, call.request.model, usage)
        state = UNANSWERED if billed else FAILED
        why = str(error)[:300] if isinstance(error, LLMFailure) else type(error).__name__
        ending = _ending(attempt, state, cost, usage, is_estimated=billed, failure=why)
        async with self.works() as work:
            await LedgerService(work).settle(attempt.id, ending)

    async def _cost(self, call: _Call, model: str, usage: TokenUsage) -> int | None:
        return await cost_of(call.payer.provider, call.payer.account.base_url, model, usage)


def _ending(
    attempt: _Attempt,
    state: str,
    cost: int | None,
    usage: TokenUsage,
    *,
    is_estimated: bool,
    failure: str | None = None,
) -> Ending:
    tokens = (usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning)
    took = int((time.monotonic() - attempt.began) * 1000)
    return Ending(state, cost, is_estimated, failure, took, tokens)


async def _throttle(runtime: Runtime, tenant_id: UUID) -> None:
    limit = Limit("ai", runtime.settings.ai_calls_per_minute, 60)
    decision = await runtime.limiter.take(limit, str(tenant_id))
    if not decision.allowed:
        problem = AiTooManyCalls()
        problem.retry_after_s = decision.retry_after_s
        problem.headers = {"Retry-After": str(int(decision.retry_after_s) + 1)}
        raise problem


class _Places:
    def __init__(self) -> None:
        self._all = asyncio.Semaphore(_PLACES)
        # A tenant's line lasts as long as somebody stands in it.
        self._lines: WeakValueDictionary[UUID, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def place(self, tenant_id: UUID) -> AsyncIterator[None]:
        line = self._lines.setdefault(tenant_id, asyncio.Semaphore(_SHARE))
        async with line, self._all:
            yield


def _place(call: _Call) -> AbstractAsyncContextManager[None]:
    caches = call.runtime.caches
    found = caches.get("ai")
    if not isinstance(found, _Places):
        found = caches["ai"] = _Places()
    return found.place(call.tenant_id)


def _problem(failure: LLMFailure) -> AiProblem:
    """What a person, or a job, is told of a failure."""
    wait: float | None = None
    if isinstance(failure, LLMUnanswered):
        return AiUnanswered(f"{failure}.")
    if isinstance(failure, LLMRefused):
        wait = failure.retry_after_s
    if not failure.retryable:
        return AiProviderRefused(f"{failure}.")
    problem = AiProviderUnavailable(f"{failure}.")
    problem.retry_after_s = wait
    if wait is not None:
        problem.headers = {"Retry-After": str(int(wait) + 1)}
    return problem
