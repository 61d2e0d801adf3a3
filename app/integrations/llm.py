"""What the clients of language models share: one POST, read whole or as server-sent events.

Bodies are read raw and bounded: a tenant may name any server as a compatible one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from app.contracts.gateways.llm import (
    LLMAccount,
    LLMFailure,
    LLMRefused,
    LLMUnanswered,
    LLMUnavailable,
)
from app.core.guard import Guard, UrlRefused
from app.core.http import CallNotSent, classify_failure, new_http_client, retry_after
from app.integrations.problems import without

MAX_BODY = 8 * 1024 * 1024
_RETRYABLE = frozenset({408, 409, 425, 429})


@dataclass(frozen=True, slots=True)
class Wire:
    """How this process reaches vendors: the shared client, the guard, the whole call's deadline."""

    http: httpx.AsyncClient
    guard: Guard
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Call:
    """One request to one vendor, with what must not leak out of it."""

    vendor: str
    account: LLMAccount
    path: str
    headers: Mapping[str, str]
    payload: Mapping[str, Any]


async def post(wire: Wire, call: Call) -> Any:
    """The JSON of a 2xx answer. Raises LLMFailure."""
    until = _until(wire)
    async with _answer(wire, call, until) as response:
        body = _json(await _whole(response, until))
        if response.is_success and isinstance(body, dict):
            return body
        raise refusal(call, response.status_code, body, response.headers.get("retry-after"))


async def post_for_events(wire: Wire, call: Call) -> AsyncGenerator[Any, None]:
    """The JSON of each event's data, as it comes; ends when the vendor closes. Raises LLMFailure.

    The vendor's own last word (``[DONE]``, ``message_stop``) is the caller's to look for.
    """
    until = _until(wire)
    async with _answer(wire, call, until) as response:
        if not response.is_success:
            body = _json(await _whole(response, until))
            raise refusal(call, response.status_code, body, response.headers.get("retry-after"))
        parser = Events()
        async for chunk in _bounded(response, until):
            for data in parser.feed(chunk):
                yield data if data == "[DONE]" else _json(data.encode())


class Events:
    """Incremental reader of server-sent events: bytes in, the data of whole events out.

    Split on bytes, so that a character cut in two by a packet is whole again when it is decoded
    (WHATWG HTML 9.2; CR alone, which no vendor sends, is not a line's end here).
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[str]:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        found = []
        for raw in lines:
            line = raw.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" ").decode("utf-8", "replace"))
            elif not line and self._data:
                found.append("\n".join(self._data))
                self._data = []
        return found


def refusal(call: Call, status: int, body: Any, wait: str | None = None) -> LLMFailure:
    """Judge an answer that is not a success, by the vendor's own words where it has some."""
    error = body.get("error") if isinstance(body, dict) else None
    facts = error if isinstance(error, dict) else {}
    code = str(facts.get("status") or facts.get("code") or facts.get("type") or f"http-{status}")
    message = without(call.account.api_key, str(facts.get("message") or "no explanation"))
    if 200 <= status < 300 and not facts:
        return LLMUnanswered(call.vendor, "the answer cannot be read")
    # Out of credit is a 429 too, and waiting does not fill an account.
    retryable = (status in _RETRYABLE or status >= 500) and code != "insufficient_quota"
    return LLMRefused(
        call.vendor,
        code,
        message,
        retryable=retryable,
        retry_after_s=retry_after(wait) if wait else _google_delay(facts),
    )


def _google_delay(facts: Mapping[str, Any]) -> float | None:
    """Seconds of a ``google.rpc.RetryInfo`` among an error's details: ``"34s"``."""
    details = facts.get("details")
    for detail in details if isinstance(details, list) else ():
        match detail:
            case {"retryDelay": str(delay)} if delay.removesuffix("s").replace(".", "").isdecimal():
                return float(delay.removesuffix("s"))
    return None


def joined(account: LLMAccount, path: str) -> str:
    return f"{account.base_url.rstrip('/')}{path}"


@asynccontextmanager
async def _answer(wire: Wire, call: Call, until: float) -> AsyncIterator[httpx.Response]:
    """An open response; every failure of transport as an LLMFailure.

    The deadline covers our own waits alone: around a ``yield`` it would cancel the listener in
    whatever it does between two pieces.
    """
    failure: LLMFailure
    try:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout_at(until):
                response = await stack.enter_async_context(_sent(wire, call))
            yield response
            return
    except TimeoutError:
        failure = LLMUnanswered(call.vendor, "deadline")
    except UrlRefused as refused:
        failure = _refused_url(call, refused)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        failure = _transport(call, error)
    # Raised out here so that no httpx exception, which keeps the request, is its context.
    raise failure


@asynccontextmanager
async def _sent(wire: Wire, call: Call) -> AsyncIterator[httpx.Response]:
    options: dict[str, Any] = {
        "content": orjson.dumps(call.payload),
        # Nothing is unpacked: a small body must not become a large one here.
        "headers": {
            "content-type": "application/json",
            "accept-encoding": "identity",
            **call.headers,
        },
        "timeout": httpx.Timeout(connect=3, read=wire.deadline_s, write=10, pool=5),
    }
    url = joined(call.account, call.path)
    if not call.account.guarded:
        async with wire.http.stream("POST", url, **options) as response:
            yield response
        return
    wire.guard.check(url)
    # A client of its own: no connection is shared between tenants.
    async with (
        new_http_client(backend=wire.guard.backend()) as http,
        http.stream("POST", url, **options) as response,
    ):
        yield response


def _transport(call: Call, error: Exception) -> LLMFailure:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UrlRefused):
            return _refused_url(call, cause)
        cause = cause.__cause__ or cause.__context__
    found = classify_failure(error)
    kind = LLMUnavailable if isinstance(found, CallNotSent) else LLMUnanswered
    return kind(call.vendor, str(found))


def _refused_url(call: Call, refused: UrlRefused) -> LLMRefused:
    return LLMRefused(call.vendor, "url-refused", str(refused), retryable=False)


def _until(wire: Wire) -> float:
    return asyncio.get_running_loop().time() + wire.deadline_s


async def _bounded(response: httpx.Response, until: float) -> AsyncIterator[bytes]:
    size, chunks = 0, response.aiter_raw()
    while True:
        async with asyncio.timeout_at(until):
            chunk = await anext(chunks, b"")
        if not chunk:
            return
        size += len(chunk)
        if size > MAX_BODY:
            raise httpx.ReadError("the answer is too large")
        yield chunk


async def _whole(response: httpx.Response, until: float) -> bytes:
    return b"".join([chunk async for chunk in _bounded(response, until)])


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except ValueError:
        return None


def count(value: object) -> int:
    """A token count as vendors give it; what is missing or no number is none."""
    return value if isinstance(value, int) and value > 0 else 0
