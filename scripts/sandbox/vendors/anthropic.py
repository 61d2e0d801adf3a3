"""Anthropic's messages, under ``/anthropic``."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import JsonValue
from starlette.requests import Request
from starlette.routing import Route

from scripts.sandbox.vendors.llm import LLMVendor, Question, Refused, Spoken, needed, sse

_STOPS = {"end": "end_turn", "length": "max_tokens", "filtered": "refusal"}
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class Anthropic(LLMVendor):
    name: ClassVar[str] = "anthropic"
    key_header: ClassVar[str] = "x-api-key"

    def routes(self) -> list[Route]:
        return [Route("/anthropic/v1/messages", self.endpoint, methods=["POST"])]

    def question(self, request: Request, body: dict[str, Any]) -> Question:
        if not request.headers.get("anthropic-version"):
            raise Refused(400, "anthropic-version: header is required")
        needed(body, "model", "max_tokens", "messages")
        if any(m.get("role") not in ("user", "assistant") for m in body["messages"]):
            raise Refused(400, 'messages: Unexpected role "system".')
        wanted = (body.get("output_config") or {}).get("format") or {}
        return Question(
            body["model"],
            [t for t in [body.get("system"), *(m["content"] for m in body["messages"])] if t],
            body["max_tokens"],
            wanted.get("schema"),
            bool(body.get("stream")),
        )

    def whole(self, spoken: Spoken) -> JsonValue:
        return {
            **_head(spoken),
            "content": [{"type": "text", "text": spoken.text}],
            "stop_reason": _STOPS[spoken.stop],
            "stop_sequence": None,
            "usage": {**_asked(spoken), "output_tokens": spoken.output},
        }

    def events(self, spoken: Spoken) -> tuple[list[str], list[list[str]], list[str]]:
        def event(kind: str, **facts: JsonValue) -> str:
            return sse({"type": kind, **facts}, kind)

        begun: JsonValue = {
            **_head(spoken),
            "content": [],
            "stop_reason": None,
            "usage": {**_asked(spoken), "output_tokens": 1},
        }
        empty: JsonValue = {"type": "text", "text": ""}
        first = [
            event("message_start", message=begun),
            event("content_block_start", index=0, content_block=empty),
            event("ping"),
        ]
        pieces = [
            [event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})]
            for piece in spoken.pieces
        ]
        ended: JsonValue = {"stop_reason": _STOPS[spoken.stop], "stop_sequence": None}
        last = [
            event("content_block_stop", index=0),
            event("message_delta", delta=ended, usage={"output_tokens": spoken.output}),
            event("message_stop"),
        ]
        return first, pieces, last

    def error(self, status: int, message: str) -> JsonValue:
        kind = _TYPES.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}}

    def error_event(self) -> str:
        return sse(self.error(529, "Overloaded"), "error")


def _head(spoken: Spoken) -> dict[str, JsonValue]:
    return {
        "id": "msg_sandbox",
        "type": "message",
        "role": "assistant",
        "model": spoken.question.model,
    }


def _asked(spoken: Spoken) -> dict[str, JsonValue]:
    # What came from the cache is counted apart.
    cached = spoken.config.cached_tokens
    return {
        "input_tokens": max(spoken.input - cached, 0),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
    }
