"""Pure rules of AI calls: what a question is, its key, the most it can cost, when to ask again."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
from pydantic import JsonValue

from app.contracts.gateways.llm import (
    ChatMessage,
    ChatRequest,
    LLMFailure,
    LLMRefused,
    LLMUnanswered,
    TokenUsage,
)

MAX_ATTEMPTS = 4
_MAX_UNANSWERED = 2
"""Each of these may be billed although nobody hears the answer."""
_FIRST_WAIT_S = 0.5
_PER_MESSAGE = 16
"""Tokens that a vendor adds around each message, at most."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One question. ``feature`` says in the ledger what the money went for (``minutes``, ...).

    ``provider`` and ``model`` None: the tenant's own choice, else the platform's. ``cache_for``
    None: always ask anew. ``patience_s`` bounds all attempts and the waits between them.
    """

    feature: str
    messages: tuple[ChatMessage, ...]
    provider: str | None = None
    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    json_schema: Mapping[str, JsonValue] | None = None
    cache_for: timedelta | None = timedelta(days=1)
    patience_s: float = 180.0


def month_of(at: datetime, timezone: str) -> str:
    """``YYYY-MM`` where the tenant lives."""
    return at.astimezone(ZoneInfo(timezone)).strftime("%Y-%m")


def result_key(provider: str, base_url: str, request: ChatRequest) -> str:
    """Equal for questions that must get the same answer, for nothing else."""
    facts = (
        provider,
        base_url,
        request.model,
        [(m.role, m.content) for m in request.messages],
        request.max_tokens,
        request.temperature,
        request.json_schema,
    )
    return hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def most_usage(request: ChatRequest) -> TokenUsage:
    """More tokens than the call can be billed: no tokenizer makes more of a text than its bytes."""
    texts = sum(len(m.content.encode()) + _PER_MESSAGE for m in request.messages)
    schema = len(orjson.dumps(request.json_schema)) if request.json_schema is not None else 0
    return TokenUsage(input=texts + schema, output=request.max_tokens)


def likely_usage(request: ChatRequest, said: str) -> TokenUsage:
    """Four characters to a token: for when the vendor did not live to tell."""
    asked = sum(len(m.content) // 4 + 4 for m in request.messages)
    return TokenUsage(input=asked, output=-(-len(said) // 4))


def wait_after(failure: LLMFailure, attempt: int, left_s: float) -> float | None:
    """Seconds until the next attempt (``attempt`` were made); None to give up."""
    most = _MAX_UNANSWERED if isinstance(failure, LLMUnanswered) else MAX_ATTEMPTS
    if not failure.retryable or attempt >= most:
        return None
    wait = _FIRST_WAIT_S * 2 ** (attempt - 1) * random.uniform(1, 1.5)  # noqa: S311 - jitter
    if isinstance(failure, LLMRefused) and failure.retry_after_s is not None:
        wait = max(wait, failure.retry_after_s)
    return wait if wait < left_s else None
