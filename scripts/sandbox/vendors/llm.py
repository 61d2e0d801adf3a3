"""What the played language models share: an answer that is known beforehand, whole or dripping.

Deterministic on purpose: the same question gets the same words and the same token counts (one for
every four characters, and four for each message), so a test can say what a call must cost.
"""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field, JsonValue
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from scripts.sandbox.knobs import ErrorKnob
from scripts.sandbox.recorder import Received
from scripts.sandbox.settings import SandboxSettings
from scripts.sandbox.vendors.base import Reply, Vendor, VendorConfig, cut

_PIECE = 12
_SAMPLES: dict[object, JsonValue] = {
    "string": "texto",
    "integer": 1,
    "number": 1,
    "boolean": True,
    "null": None,
}


class LLMConfig(VendorConfig):
    """What is answered, and how a stream goes wrong; a PUT changes the fields it names."""

    answer: str = Field(default="", description="said to every question; empty: a default answer")
    piece_delay_ms: int = Field(default=0, ge=0, le=60_000)
    cut_after: int | None = Field(default=None, ge=0, description="pieces, then the line is cut")
    fail_after: int | None = Field(default=None, ge=0, description="pieces, then an error event")
    cached_tokens: int = Field(default=0, ge=0)
    reasoning_tokens: int = Field(default=0, ge=0)
    filtered: bool = Field(default=False, description="withhold the answer, as a filter does")


@dataclass(frozen=True, slots=True)
class Question:
    """A request as every one of the vendors means it."""

    model: str
    texts: list[str]
    max_tokens: int | None
    schema: dict[str, Any] | None
    stream: bool


@dataclass(frozen=True, slots=True)
class Spoken:
    """What is answered and counted."""

    question: Question
    text: str
    stop: str
    input: int
    output: int
    config: LLMConfig

    @property
    def pieces(self) -> list[str]:
        return [self.text[at : at + _PIECE] for at in range(0, len(self.text), _PIECE)]


class Refused(Exception):
    """The request is not one the vendor takes."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class LLMVendor(Vendor):
    """A vendor of language models; a subclass knows its paths, shapes and error codes."""

    config: LLMConfig
    key_header: ClassVar[str]

    @classmethod
    def configured(cls, settings: SandboxSettings) -> LLMConfig:
        return LLMConfig()

    @abstractmethod
    def question(self, request: Request, body: dict[str, Any]) -> Question:
        """Read a request. Raises Refused."""

    @abstractmethod
    def whole(self, spoken: Spoken) -> JsonValue:
        """The body of an answer in one piece."""

    @abstractmethod
    def events(self, spoken: Spoken) -> tuple[list[str], list[list[str]], list[str]]:
        """A stream: the events before the pieces, those of each piece, and those after."""

    @abstractmethod
    def error(self, status: int, message: str) -> JsonValue:
        """The body of a refusal."""

    def error_event(self) -> str:
        """What a stream says that fails on its way."""
        return sse(self.error(500, "The model failed on its way."))

    def failure(self, error: ErrorKnob) -> Reply:
        wait = error.retry_after_s
        headers = {"retry-after": str(wait)} if wait is not None else None
        status = int(error.code)
        return Reply(status, self.error(status, "As the knob says."), "refused", headers)

    def describe(self, entry: Received) -> None:
        entry.preview = json.dumps(entry.body, ensure_ascii=False)[:500]

    def receive(self, request: Request, entry: Received) -> Reply:
        key = request.headers.get(self.key_header, "").removeprefix("Bearer ")
        if not key or (self.config.tokens and key not in self.config.tokens):
            # The vendors quote the key that they refuse.
            return Reply(401, self.error(401, f"Incorrect API key provided: {key}"), "refused")
        try:
            body = entry.body if isinstance(entry.body, dict) else {}
            question = self.question(request, body)
        except Refused as refused:
            return Reply(refused.status, self.error(refused.status, str(refused)), "refused")
        spoken = self._spoken(question)
        entry.preview = question.texts[-1]
        respond = (lambda: self._stream(request, spoken)) if question.stream else None
        return Reply(200, self.whole(spoken), "accepted", respond=respond)

    def _spoken(self, question: Question) -> Spoken:
        config = self.config
        text = config.answer or f"Resposta de exemplo a: {question.texts[-1][:200]}"
        if question.schema is not None and not config.answer:
            text = json.dumps(sample(question.schema), ensure_ascii=False)
        stop, room = "end", question.max_tokens
        if room is not None and tokens(text) + config.reasoning_tokens > room:
            text, stop = text[: max(room - config.reasoning_tokens, 0) * 4], "length"
        if config.filtered:
            text, stop = "", "filtered"
        asked = sum(tokens(t) + 4 for t in question.texts)
        return Spoken(question, text, stop, asked, tokens(text), config)

    def _stream(self, request: Request, spoken: Spoken) -> Response:
        return StreamingResponse(self._drip(request, spoken), media_type="text/event-stream")

    async def _drip(self, request: Request, spoken: Spoken) -> AsyncIterator[bytes]:
        first, pieces, last = self.events(spoken)
        for event in first:
            yield event.encode()
        for number, events in enumerate(pieces):
            if number == spoken.config.cut_after:
                await asyncio.sleep(0.02)  # what was said so far leaves first
                await cut(request)
                return
            if number == spoken.config.fail_after:
                yield self.error_event().encode()
                return
            for event in events:
                raw = event.encode()
                # In two halves: a reader that takes packets for events must fail.
                yield raw[: len(raw) // 2]
                await asyncio.sleep(spoken.config.piece_delay_ms / 1000)
                yield raw[len(raw) // 2 :]
        for event in last:
            yield event.encode()


def tokens(text: str) -> int:
    return -(-len(text) // 4)


def sse(data: JsonValue, event: str = "") -> str:
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n"


def sample(schema: Any) -> JsonValue:
    """A value that the schema allows, as far as its types say."""
    if not isinstance(schema, dict):
        return None
    if "enum" in schema:
        first: JsonValue = schema["enum"][0]
        return first
    match schema.get("type"):
        case "object":
            return {k: sample(v) for k, v in schema.get("properties", {}).items()}
        case "array":
            return [sample(schema.get("items"))]
        case kind:
            return _SAMPLES.get(kind)


def needed(body: dict[str, Any], *names: str) -> None:
    """Raises Refused for what is missing."""
    for name in names:
        if body.get(name) in (None, "", []):
            raise Refused(400, f"{name}: Field required")
