"""Anthropic's messages."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
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

VENDOR = "anthropic"
_VERSION = "2023-06-01"
_STOPS: dict[object, Stop] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "filtered",
}


class AnthropicClient:
    """Satisfies ``LLMGateway``."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def complete(self, account: LLMAccount, request: ChatRequest) -> Completion:
        """The whole answer. Raises the failures of ``contracts.gateways.llm``."""
        body = await post(self._wire, _call(account, request))
        match body:
            case {"content": list(blocks), "stop_reason": reason, "usage": dict(usage)}:
                text = "".join(str(b.get("text", "")) for b in blocks if b.get("type") == "text")
                model = str(body.get("model") or request.model)
                return Completion(text, model, _STOPS.get(reason, "end"), _usage(usage))
        raise LLMUnanswered(VENDOR, "an answer without content")

    async def stream(
        self, account: LLMAccount, request: ChatRequest
    ) -> AsyncGenerator[Delta | Completion, None]:
        """The answer piece by piece. Raises the failures of ``contracts.gateways.llm``."""
        call = _call(account, request, stream=True)
        text, model, reason = "", request.model, None
        usage: dict[str, Any] = {}
        async with aclosing(post_for_events(self._wire, call)) as events:
            async for event in events:
                match event:
                    case {"type": "message_start", "message": {"usage": dict(found), **message}}:
                        usage |= found
                        model = str(message.get("model") or model)
                    case {"type": "content_block_delta", "delta": {"text": str(piece)}} if piece:
                        text += piece
                        yield Delta(piece)
                    case {"type": "message_delta", "delta": dict(delta), **rest}:
                        reason = delta.get("stop_reason") or reason
                        usage |= _object(rest.get("usage"))  # cumulative, so the last one counts
                    case {"type": "message_stop"}:
                        yield Completion(text, model, _STOPS.get(reason, "end"), _usage(usage))
                        return
                    case {"type": "error"}:
                        raise refusal(call, 500, event)
        raise LLMUnanswered(VENDOR, "the answer broke off")


def _call(account: LLMAccount, request: ChatRequest, **more: Any) -> Call:
    system = "\n\n".join(m.content for m in request.messages if m.role == "system")
    payload: dict[str, Any] = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": [
            {"role": m.role, "content": m.content} for m in request.messages if m.role != "system"
        ],
        **more,
    }
    if system:
        payload["system"] = system
    # No temperature: the vendor has taken it out of what it describes, and newer models refuse it.
    if request.json_schema is not None:
        payload["output_config"] = {
            "format": {"type": "json_schema", "schema": request.json_schema}
        }
    headers = {"x-api-key": account.api_key, "anthropic-version": _VERSION}
    return Call(VENDOR, account, "/v1/messages", headers, payload)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _usage(found: Mapping[str, Any]) -> TokenUsage:
    # The vendor counts the cached parts apart from ``input_tokens``.
    read = count(found.get("cache_read_input_tokens"))
    write = count(found.get("cache_creation_input_tokens"))
    return TokenUsage(
        input=count(found.get("input_tokens")) + read + write,
        output=count(found.get("output_tokens")),
        cache_read=read,
        cache_write=write,
    )
