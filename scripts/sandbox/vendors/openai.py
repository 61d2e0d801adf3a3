"""OpenAI's chat completions, under ``/openai/v1``; also plays the servers that copy them."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import JsonValue
from starlette.requests import Request
from starlette.routing import Route

from scripts.sandbox.vendors.llm import LLMVendor, Question, Refused, Spoken, needed, sse

_STOPS = {"end": "stop", "length": "length", "filtered": "content_filter"}
_CODES = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
_ROLES = {"system", "developer", "user", "assistant", "tool"}


class OpenAI(LLMVendor):
    name: ClassVar[str] = "openai"
    key_header: ClassVar[str] = "authorization"

    def routes(self) -> list[Route]:
        return [Route("/openai/v1/chat/completions", self.endpoint, methods=["POST"])]

    def question(self, request: Request, body: dict[str, Any]) -> Question:
        needed(body, "model", "messages")
        for message in body["messages"]:
            if message.get("role") not in _ROLES or not isinstance(message.get("content"), str):
                raise Refused(400, "Invalid value in 'messages'.")
        if "max_tokens" in body and "max_completion_tokens" in body:
            raise Refused(400, "Setting 'max_tokens' and 'max_completion_tokens' is not supported.")
        wanted = body.get("response_format") or {}
        if wanted.get("type") == "json_schema" and not wanted["json_schema"].get("name"):
            raise Refused(400, "Missing required parameter: 'response_format.json_schema.name'.")
        return Question(
            body["model"],
            [m["content"] for m in body["messages"]],
            body.get("max_completion_tokens") or body.get("max_tokens"),
            (wanted.get("json_schema") or {}).get("schema"),
            bool(body.get("stream")),
        )

    def whole(self, spoken: Spoken) -> JsonValue:
        message: JsonValue = {"role": "assistant", "content": spoken.text, "refusal": None}
        return {
            **_head(spoken, "chat.completion"),
            "choices": [{"index": 0, "message": message, "finish_reason": _STOPS[spoken.stop]}],
            "usage": _usage(spoken),
        }

    def events(self, spoken: Spoken) -> tuple[list[str], list[list[str]], list[str]]:
        def chunk(delta: JsonValue, stop: str | None = None) -> str:
            choice: JsonValue = {"index": 0, "delta": delta, "finish_reason": stop}
            return sse({**_head(spoken, "chat.completion.chunk"), "choices": [choice]})

        first = [chunk({"role": "assistant", "content": ""})]
        pieces = [[chunk({"content": piece})] for piece in spoken.pieces]
        counted: JsonValue = {
            **_head(spoken, "chat.completion.chunk"),
            "choices": [],
            "usage": _usage(spoken),
        }
        return first, pieces, [chunk({}, _STOPS[spoken.stop]), sse(counted), "data: [DONE]\n\n"]

    def error(self, status: int, message: str) -> JsonValue:
        kind, code = _CODES.get(status, ("server_error", None))
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _head(spoken: Spoken, kind: str) -> dict[str, JsonValue]:
    return {
        "id": "chatcmpl-sandbox",
        "object": kind,
        "created": 1_760_000_000,
        "model": spoken.question.model,
    }


def _usage(spoken: Spoken) -> JsonValue:
    output = spoken.output + spoken.config.reasoning_tokens
    return {
        "prompt_tokens": spoken.input,
        "completion_tokens": output,
        "total_tokens": spoken.input + output,
        "prompt_tokens_details": {"cached_tokens": spoken.config.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": spoken.config.reasoning_tokens},
    }
