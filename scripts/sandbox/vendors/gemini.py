"""Google's Gemini API, under ``/gemini``."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import JsonValue
from starlette.requests import Request
from starlette.routing import Route

from scripts.sandbox.knobs import ErrorKnob
from scripts.sandbox.vendors.base import Reply
from scripts.sandbox.vendors.llm import LLMVendor, Question, Refused, Spoken, needed, sse

_STOPS = {"end": "STOP", "length": "MAX_TOKENS", "filtered": "SAFETY"}
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_METHODS = {"generateContent", "streamGenerateContent"}


class Gemini(LLMVendor):
    name: ClassVar[str] = "gemini"
    key_header: ClassVar[str] = "x-goog-api-key"

    def routes(self) -> list[Route]:
        return [Route("/gemini/v1beta/models/{call}", self.endpoint, methods=["POST"])]

    def failure(self, error: ErrorKnob) -> Reply:
        """The wait is in the body: this vendor sends no Retry-After."""
        status, wait = int(error.code), error.retry_after_s
        body = self.error(status, "As the knob says.")
        if wait is not None and isinstance(body, dict) and isinstance(body["error"], dict):
            kind = "type.googleapis.com/google.rpc.RetryInfo"
            body["error"]["details"] = [{"@type": kind, "retryDelay": f"{wait}s"}]
        return Reply(status, body, "refused")

    def question(self, request: Request, body: dict[str, Any]) -> Question:
        model, _, method = request.path_params["call"].partition(":")
        if method not in _METHODS:
            raise Refused(404, "Method not found.")
        needed(body, "contents")
        if any(c.get("role") not in ("user", "model") for c in body["contents"]):
            raise Refused(400, "Please use a valid role: user, model.")
        config = body.get("generationConfig") or {}
        if "responseJsonSchema" in config and config.get("responseMimeType") != "application/json":
            raise Refused(400, "responseJsonSchema needs responseMimeType application/json.")
        said = [body.get("systemInstruction") or {"parts": []}, *body["contents"]]
        streams = method == "streamGenerateContent"
        if streams and request.query_params.get("alt") != "sse":
            raise Refused(400, "The sandbox streams with alt=sse alone.")
        return Question(
            model,
            [part["text"] for content in said for part in content["parts"]],
            config.get("maxOutputTokens"),
            config.get("responseJsonSchema"),
            streams,
        )

    def whole(self, spoken: Spoken) -> JsonValue:
        return _chunk(spoken, spoken.text, _STOPS[spoken.stop], spoken.output)

    def events(self, spoken: Spoken) -> tuple[list[str], list[list[str]], list[str]]:
        pieces = [[sse(_chunk(spoken, piece, None, 1))] for piece in spoken.pieces]
        return [], pieces, [sse(_chunk(spoken, "", _STOPS[spoken.stop], spoken.output))]

    def error(self, status: int, message: str) -> JsonValue:
        named = _STATUSES.get(status, "UNKNOWN")
        return {"error": {"code": status, "message": message, "status": named}}


def _chunk(spoken: Spoken, text: str, stop: str | None, output: int) -> JsonValue:
    candidate: dict[str, JsonValue] = {
        "index": 0,
        "content": {"role": "model", "parts": [{"text": text}]},
    }
    if stop is not None:
        candidate["finishReason"] = stop
    thoughts = spoken.config.reasoning_tokens
    return {
        "candidates": [candidate],
        "modelVersion": spoken.question.model,
        "usageMetadata": {
            "promptTokenCount": spoken.input,
            "candidatesTokenCount": output,
            "thoughtsTokenCount": thoughts,
            "cachedContentTokenCount": spoken.config.cached_tokens,
            "totalTokenCount": spoken.input + output + thoughts,
        },
    }
