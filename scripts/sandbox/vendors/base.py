"""What every played vendor shares: record, be slow, fail on demand, answer, cut the line."""

from __future__ import annotations

import asyncio
import json
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, JsonValue
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from scripts.sandbox.callbacks import Callbacks
from scripts.sandbox.knobs import ErrorKnob, Knobs
from scripts.sandbox.recorder import Received, Recorder, mask
from scripts.sandbox.settings import SandboxSettings

_KEYS = frozenset({"x-api-key", "x-goog-api-key"})


class VendorConfig(BaseModel):
    """Settings common to all vendors; a PUT changes the fields it names."""

    model_config = ConfigDict(extra="forbid")

    tokens: list[str] = []
    """Accepted tokens; empty means any well-formed one."""


@dataclass(slots=True)
class Reply:
    """What a vendor says, and what it does after saying it."""

    status: int
    body: JsonValue
    verdict: str
    headers: dict[str, str] | None = None
    after: Callable[[], None] | None = None
    respond: Callable[[], Response] | None = None
    """Makes the answer where it is more than a body, e.g. a stream; ``body`` is for the list."""


class Played(ABC):
    """Whatever is played: its knobs, its configuration, what it starts and stops."""

    name: ClassVar[str]

    def __init__(self, settings: SandboxSettings, recorder: Recorder, callbacks: Callbacks) -> None:
        self.recorder = recorder
        self.callbacks = callbacks
        self.knobs = Knobs()
        self.config = self.configured(settings)

    @classmethod
    @abstractmethod
    def configured(cls, settings: SandboxSettings) -> VendorConfig:
        """The configuration at start."""

    @abstractmethod
    def routes(self) -> list[Route]:
        """Its HTTP endpoints, each under ``/{name's prefix}/``."""

    async def start(self, settings: SandboxSettings) -> None:
        """Listen, for what is not reached over HTTP."""
        return

    async def stop(self) -> None:
        """Stop listening."""
        return

    def facts(self) -> dict[str, JsonValue]:
        """What whoever asks for the sandbox's health should know of it."""
        return {}


class Vendor(Played):
    """One vendor reached over HTTP."""

    @abstractmethod
    def failure(self, error: ErrorKnob) -> Reply:
        """The vendor's own answer for the error code that a knob asks for."""

    @abstractmethod
    def receive(self, request: Request, entry: Received) -> Reply:
        """Check the request as the vendor does, and answer."""

    @abstractmethod
    def describe(self, entry: Received) -> None:
        """Fill in whom the request is for and what it says, for whoever reads the list."""

    def masked_path(self, request: Request) -> str:
        """The path as it may be shown; vendors with secrets in it override this."""
        return request.url.path

    def shown_answer(self, body: JsonValue) -> JsonValue:
        """The answer as it may be shown; vendors that give out tokens override this."""
        return body

    async def body_of(self, request: Request) -> JsonValue:
        """The body as it is kept; vendors that take bytes override this."""
        return await parsed_body(request)

    async def endpoint(self, request: Request) -> Response:
        """One request from its bytes to its answer, as the knobs say."""
        entry = self.recorder.open(
            self.name,
            request.method,
            self.masked_path(request),
            shown_headers(request),
            await self.body_of(request),
        )
        self.describe(entry)
        await self._be_slow()
        error = self.knobs.take_error()
        reply = self._forced(error) if error else self.receive(request, entry)
        entry.status, entry.verdict = reply.status, reply.verdict
        entry.answer = self.shown_answer(reply.body)
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        self.recorder.note(entry, asked, await request.body())
        if reply.after is not None:
            reply.after()
        if self.knobs.late_ms:
            # The answer is what was true before the wait: two of them can arrive in wrong order.
            await asyncio.sleep(random.uniform(0, self.knobs.late_ms / 1000))
        # Who hung up meanwhile, at its own deadline, must not use up the loss meant for the next.
        heard = reply.verdict == "accepted" and not await request.is_disconnected()
        if heard and self.knobs.take_drop():
            entry.verdict = "answer dropped"
            await cut(request)
        if reply.respond is not None:
            return reply.respond()
        if isinstance(reply.body, str):
            return HTMLResponse(reply.body, reply.status, reply.headers)
        return JSONResponse(reply.body, reply.status, reply.headers)

    async def _be_slow(self) -> None:
        """Until the latency has passed, or somebody lowers it: that lets go who waits."""
        began = time.monotonic()
        while (left := began + self.knobs.latency_ms / 1000 - time.monotonic()) > 0:  # noqa: ASYNC110 - others change it
            await asyncio.sleep(min(left, 0.05))

    def _forced(self, error: ErrorKnob) -> Reply:
        if not error.code.startswith("http-"):
            return self.failure(error)
        headers = {"retry-after": str(error.retry_after_s)} if error.retry_after_s else None
        status = int(error.code.removeprefix("http-"))
        return Reply(status, "<html><body>gateway error</body></html>", "forced error", headers)


async def parsed_body(request: Request) -> JsonValue:
    """JSON when it reads as JSON, whatever it is called; a form as an object; else the text."""
    raw = (await request.body()).decode("utf-8", "replace")
    try:
        body: JsonValue = json.loads(raw) if raw else None
    except ValueError:
        if "form" not in request.headers.get("content-type", ""):
            return raw
        form = await request.form()
        return {key: value for key, value in form.items() if isinstance(value, str)}
    return body


def shown_headers(request: Request) -> dict[str, str]:
    headers = dict(request.headers)
    if "authorization" in headers:
        scheme, _, secret = headers["authorization"].partition(" ")
        headers["authorization"] = f"{scheme} {mask(secret)}"
    for name in _KEYS & headers.keys():
        headers[name] = mask(headers[name])
    return headers


async def cut(request: Request) -> None:
    """End the connection without a byte of answer, as a network failure does."""
    abort: Callable[[], Awaitable[None]] = request.scope["sandbox.abort"]
    await abort()
