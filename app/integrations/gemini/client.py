"""Google's Gemini API: generateContent."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from app.contracts.gateways.llm import (
    ChatRequest,
    Completion,
    Delta,
    LLMAccount,
    LLMUnanswered,
    Stop,
    TokenUsage,
)
from app.integrations.llm import Call, Wire, count, post, post_for_events, refusal

VENDOR = "gemini"
_STOPS: dict[object, Stop] = {"STOP": "end", "MAX_TOKENS": "length"}
"""Every other reason (SAFETY, RECITATION, BLOCKLIST, ...) withholds the answer."""


class GeminiClient:
    """Satisfies ``LLMGateway``."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def complete(self, account: LLMAccount, request: ChatRequest) -> Completion:
        """The whole answer. Raises the failures of ``contracts.gateways.llm``."""
        body = await post(self._wire, _call(account, request, "generateContent"))
        reason = _reason(body)
        if reason is None:
            raise LLMUnanswered(VENDOR, "an answer without an end")
        model = str(body.get("modelVersion") or request.model)
        usage = _usage(body.get("usageMetadata"))
        return Completion(_text(body), model, _STOPS.get(reason, "filtered"), usage)

    async def stream(
        self, account: LLMAccount, request: ChatRequest
    ) -> AsyncGenerator[Delta | Completion, None]:
        """The answer piece by piece. Raises the failures of ``contracts.gateways.llm``."""
        call = _call(account, request, "streamGenerateContent?alt=sse")
        text, model, reason = "", request.model, None
        usage: TokenUsage | None = None
        async with aclosing(post_for_events(self._wire, call)) as events:
            async for event in events:
                if not isinstance(event, dict) or "error" in event:
                    raise refusal(call, 500, event)
                piece, reason = _text(event), _reason(event) or reason
                model = str(event.get("modelVersion") or model)
                usage = _usage(event.get("usageMetadata")) or usage  # cumulative
                text += piece
                if piece:
                    yield Delta(piece)
        # The vendor has no last word: it says why it stops, then closes.
        if reason is None:
            raise LLMUnanswered(VENDOR, "the answer broke off")
        yield Completion(text, model, _STOPS.get(reason, "filtered"), usage)


def _call(account: LLMAccount, request: ChatRequest, method: str) -> Call:
    system = [{"text": m.content} for m in request.messages if m.role == "system"]
    config: dict[str, Any] = {"maxOutputTokens": request.max_tokens}
    if request.temperature is not None:
        config["temperature"] = request.temperature
    if request.json_schema is not None:
        config["responseMimeType"] = "application/json"
        config["responseJsonSchema"] = request.json_schema
    payload: dict[str, Any] = {
        "contents": [
            {"role": "model" if m.role == "assistant" else "user", "parts": [{"text": m.content}]}
            for m in request.messages
            if m.role != "system"
        ],
        "generationConfig": config,
    }
    if system:
        payload["systemInstruction"] = {"parts": system}
    path = f"/v1beta/models/{quote(request.model, safe='')}:{method}"
    return Call(VENDOR, account, path, {"x-goog-api-key": account.api_key}, payload)


def _text(body: dict[str, Any]) -> str:
    match body:
        case {"candidates": [{"content": {"parts": list(parts)}}, *_]}:
            return "".join(str(p.get("text", "")) for p in parts if not p.get("thought"))
    return ""


def _reason(body: dict[str, Any]) -> object:
    match body:
        case {"candidates": [{"finishReason": reason}, *_]}:
            return reason
        case {"promptFeedback": {"blockReason": reason}}:
            return reason
    return None


def _usage(found: object) -> TokenUsage | None:
    if not isinstance(found, dict):
        return None
    thoughts = count(found.get("thoughtsTokenCount"))
    return TokenUsage(
        input=count(found.get("promptTokenCount")),
        # The vendor bills thoughts as output and counts them apart.
        output=count(found.get("candidatesTokenCount")) + thoughts,
        cache_read=count(found.get("cachedContentTokenCount")),
        reasoning=thoughts,
    )
