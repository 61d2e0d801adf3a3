"""OpenAI's chat completions, and every server that speaks them (Azure, Groq, Ollama, vLLM, ...)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

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

VENDOR = "openai"
COMPATIBLE = "openai-compatible"
_STOPS: dict[object, Stop] = {"stop": "end", "length": "length", "content_filter": "filtered"}


class OpenAIClient:
    """Satisfies ``LLMGateway``. The base URL ends in ``/v1``, as the vendor's own client has it."""

    def __init__(self, wire: Wire, vendor: str = VENDOR) -> None:
        self._wire = wire
        self._vendor = vendor

    async def complete(self, account: LLMAccount, request: ChatRequest) -> Completion:
        """The whole answer. Raises the failures of ``contracts.gateways.llm``."""
        body = await post(self._wire, self._call(account, request))
        match body:
            case {"choices": [{"message": dict(message), **choice}, *_]}:
                stop = _stop(choice.get("finish_reason"), message)
                model = str(body.get("model") or request.model)
                text = message.get("content") or ""
                return Completion(str(text), model, stop, _usage(body.get("usage")))
        raise LLMUnanswered(self._vendor, "an answer without choices")

    async def stream(
        self, account: LLMAccount, request: ChatRequest
    ) -> AsyncGenerator[Delta | Completion, None]:
        """The answer piece by piece. Raises the failures of ``contracts.gateways.llm``."""
        call = self._call(account, request, stream=True, stream_options={"include_usage": True})
        text, model, reason = "", request.model, None
        usage: TokenUsage | None = None
        async with aclosing(post_for_events(self._wire, call)) as events:
            async for event in events:
                if event == "[DONE]":
                    break
                if not isinstance(event, dict) or "error" in event:
                    raise refusal(call, 500, event)
                model, usage = str(event.get("model") or model), _usage(event.get("usage")) or usage
                for choice in event.get("choices") or ():
                    piece = (choice.get("delta") or {}).get("content") or ""
                    reason = choice.get("finish_reason") or reason
                    text += piece
                    if piece:
                        yield Delta(piece)
        if reason is None:
            raise LLMUnanswered(self._vendor, "the answer broke off")
        yield Completion(text, model, _stop(reason, {}), usage)

    def _call(self, account: LLMAccount, request: ChatRequest, **more: Any) -> Call:
        payload: dict[str, Any] = {
            "model": request.model,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            # The vendor renamed it; the servers that copy it mostly know the old name alone.
            "max_completion_tokens" if self._vendor == VENDOR else "max_tokens": request.max_tokens,
            **more,
        }
        if request.temperature is not None:
            payload["temperature"] = request.temperature
        if request.json_schema is not None:
            schema = {"name": "answer", "schema": request.json_schema, "strict": True}
            payload["response_format"] = {"type": "json_schema", "json_schema": schema}
        # A server of one's own may want no key at all.
        headers = {"authorization": f"Bearer {account.api_key}"} if account.api_key else {}
        return Call(self._vendor, account, "/chat/completions", headers, payload)


def _stop(reason: object, message: dict[str, Any]) -> Stop:
    if message.get("refusal"):
        return "filtered"
    return _STOPS.get(reason, "end")


def _usage(found: object) -> TokenUsage | None:
    if not isinstance(found, dict):
        return None
    prompt = found.get("prompt_tokens_details") or {}
    answer = found.get("completion_tokens_details") or {}
    return TokenUsage(
        input=count(found.get("prompt_tokens")),
        output=count(found.get("completion_tokens")),
        cache_read=count(prompt.get("cached_tokens")),
        cache_write=count(prompt.get("cache_write_tokens")),
        reasoning=count(answer.get("reasoning_tokens")),
    )
