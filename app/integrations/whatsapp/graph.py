"""One request to the Graph API: whose token, which address, and what its end means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from app.contracts.gateways.messaging import (
    GatewayFailure,
    GatewayOutcomeUnknown,
    GatewayRefused,
    GatewayUnavailable,
    Refusal,
)
from app.contracts.gateways.whatsapp import WhatsAppAccount
from app.core.guard import Guard, UrlRefused
from app.core.http import (
    Answer,
    CallNotSent,
    Verdict,
    classify_failure,
    retry_after,
    verdict_of,
)
from app.integrations.whatsapp.errors import VENDOR, failure_of

DEADLINE_S = 20.0
TRANSFER_S = 120.0
"""For a whole upload or download."""
_MEDIA_HOSTS = ("facebook.com", "fbsbx.com", "whatsapp.net", "fbcdn.net")


@dataclass(frozen=True, slots=True)
class Graph:
    """How this process reaches the vendor: the shared client, the guard, the usual address."""

    http: httpx.AsyncClient
    guard: Guard
    base_url: str
    version: str

    def url(self, account: WhatsAppAccount, *path: str) -> str:
        """The address of a node; every part of the path is quoted."""
        root = (account.base_url or self.base_url).rstrip("/")
        parts = [account.version or self.version, *path]
        return "/".join([root, *(quote(part, safe="") for part in parts)])

    async def ask(
        self,
        account: WhatsAppAccount,
        method: str,
        *path: str,
        deadline_s: float = DEADLINE_S,
        **options: Any,
    ) -> dict[str, Any]:
        """The answer's object. Raises the gateway failures; a look is never of unknown outcome."""
        failure: GatewayFailure
        try:
            http = self._client(account)
            headers = {**_bearer(account), **options.pop("headers", {})}
            url = self.url(account, *path)
            async with asyncio.timeout(deadline_s):
                response = await http.request(method, url, headers=headers, **options)
            answer = _answer(response)
        except TimeoutError:
            failure = _unanswered(method, "deadline")
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, UrlRefused) as error:
            failure = _broken(method, error)
        else:
            return _object(method, answer, account.token)
        # Raised out here: httpx's exceptions keep the request, and with it the token.
        raise failure

    @asynccontextmanager
    async def stream(
        self, account: WhatsAppAccount, url: str, most: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes at an address that the vendor gave; the token goes to its own hosts alone."""
        if not self._may_hold_media(account, url):
            raise refused("foreign-host", "the address is not the vendor's own")
        try:
            http = self._client(account)
            async with (
                asyncio.timeout(TRANSFER_S),
                http.stream("GET", url, headers=_bearer(account)) as response,
            ):
                if response.status_code != 200:
                    await response.aread()
                    raise _final("GET", failure_of(_answer(response), account.token))
                yield _capped(response, most)
        except TimeoutError:
            raise _unanswered("GET", "deadline") from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, UrlRefused) as error:
            raise _broken("GET", error) from None

    def _may_hold_media(self, account: WhatsAppAccount, url: str) -> bool:
        try:
            asked, home = urlsplit(url), urlsplit(account.base_url or self.base_url)
            where = (asked.scheme, asked.hostname, asked.port)
        except ValueError:
            return False
        if where == (home.scheme, home.hostname, home.port):
            return True
        host = asked.hostname or ""
        theirs = any(host == name or host.endswith(f".{name}") for name in _MEDIA_HOSTS)
        return asked.scheme == "https" and asked.port in (None, 443) and theirs

    def _client(self, account: WhatsAppAccount) -> httpx.AsyncClient:
        """The process's client, or the one that dials through the guard. Raises UrlRefused."""
        if not account.base_url:
            return self.http
        self.guard.check(account.base_url)
        return self.guard.client()


async def _capped(response: httpx.Response, most: int) -> AsyncIterator[bytes]:
    """The body in pieces, refused as soon as it is longer than ``most`` bytes."""
    claimed = response.headers.get("content-length", "")
    if claimed.isdecimal() and int(claimed) > most:
        raise refused("too-large", f"the medium has {claimed} bytes, {most} are allowed")
    got = 0
    async for piece in response.aiter_bytes():
        got += len(piece)
        if got > most:
            raise refused("too-large", f"the medium has more than {most} bytes")
        yield piece


def _bearer(account: WhatsAppAccount) -> dict[str, str]:
    return {"authorization": f"Bearer {account.token}"}


def _answer(response: httpx.Response) -> Answer:
    try:
        body = response.json()
    except ValueError:
        body = None
    return Answer(response.status_code, body, retry_after(response.headers.get("retry-after")))


def _object(method: str, answer: Answer, token: str) -> dict[str, Any]:
    if verdict_of(answer.status) is not Verdict.ACCEPTED:
        raise _final(method, failure_of(answer, token))
    match answer.body:
        case {"success": False}:
            raise refused("unsuccessful", "the vendor answered that it did not do it")
        case dict() as found:
            return found
    raise _unanswered(method, f"http-{answer.status} without an object")


def _final(method: str, failure: GatewayFailure) -> GatewayFailure:
    """A look changes nothing, so whatever is unknown of one is merely to be repeated."""
    if method == "GET" and isinstance(failure, GatewayOutcomeUnknown):
        return GatewayUnavailable(VENDOR, failure.reason)
    return failure


def _unanswered(method: str, reason: str) -> GatewayFailure:
    return _final(method, GatewayOutcomeUnknown(VENDOR, reason))


def _broken(method: str, error: Exception) -> GatewayFailure:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UrlRefused):
            return refused("url-refused", str(cause))
        cause = cause.__cause__ or cause.__context__
    found = classify_failure(error)
    if isinstance(found, CallNotSent):
        return GatewayUnavailable(VENDOR, str(found))
    return _unanswered(method, str(found))


def refused(code: str, message: str) -> GatewayRefused:
    """A refusal of our own making, in the vendor's name."""
    return GatewayRefused(VENDOR, code, message, action=Refusal.PERMANENT)


def mapping(value: object) -> Mapping[str, Any]:
    """``value`` when it is an object, else an empty one: vendors leave things out."""
    return value if isinstance(value, dict) else {}
