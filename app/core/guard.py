"""Sends to URLs that tenants give: one look-up, only public addresses, dialled as checked.

Why: a name that is checked and then resolved again may point inside the second time (DNS
rebinding). Here the only look-up is the one whose addresses are judged and dialled; Host and SNI
stay the URL's. Nothing follows redirects, reads proxies, keeps cookies or unpacks bodies.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import SplitResult, urlsplit

import httpcore
import httpx

from app.core.http import new_http_client, retry_after, tls_context, user_agent
from app.core.settings import Settings

CONNECT_S = 3.0
TOTAL_S = 15.0
MAX_BODY = 64 * 1024
_EXCERPT = 1024
_CONNECTIONS = 50

Resolver = Callable[[str, int], Awaitable[list[str]]]
"""Addresses of a host, as text; OSError when there are none."""
Network = IPv4Network | IPv6Network

# Global by IANA's tables, yet no place of its own: each carries or relays an IPv4 address.
_TUNNELS = tuple(
    ip_network(block)
    for block in ("192.88.99.0/24", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")
)
_UNICAST_V6 = IPv6Network("2000::/3")


class UrlRefused(Exception):
    """The URL may not be called; the message says why, in words for the tenant."""


class NotDelivered(Exception):
    """No usable answer came; the message says why and names no address."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the receiver answered; ``excerpt`` is the start of its body."""

    status: int
    excerpt: str
    retry_after_s: float | None
    duration_ms: int
    body: bytes = b""
    """As much of it as was asked for; one byte more says that it goes on."""


async def system_resolver(host: str, port: int) -> list[str]:
    """Addresses by the system's resolver. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is global unicast and reaches nobody else's by a tunnel (RFC 6890)."""
    if isinstance(address, IPv6Address) and address not in _UNICAST_V6:
        return False
    if any(address.version == block.version and address in block for block in _TUNNELS):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


class Guard:
    """Judges and calls the URLs of tenants; one per process."""

    def __init__(
        self,
        *,
        allow_http: bool = False,
        allowed: Iterable[str] = (),
        resolver: Resolver = system_resolver,
        total_s: float = TOTAL_S,
    ) -> None:
        self._ports = {443, 80} if allow_http else {443}
        self._schemes = {"https", "http"} if allow_http else {"https"}
        self._allowed: tuple[Network, ...] = tuple(ip_network(block) for block in allowed)
        self._resolver = resolver
        self._total_s = total_s
        self._client: httpx.AsyncClient | None = None

    @classmethod
    def of(cls, config: Settings) -> Guard:
        """The guard that the settings ask for."""
        return cls(allow_http=config.webhook_allow_http, allowed=config.webhook_allowed_networks)

    def check(self, url: str) -> None:
        """Refuse a URL for what can be read off it, before it is stored. Raises UrlRefused.

        Names are judged when they are dialled: what they say today binds nobody tomorrow.
        """
        host, port = self._parts(url)
        literal = _literal(host)
        if literal is not None:
            self._judge(literal, port)
        elif port not in self._ports and not self._allowed:
            raise UrlRefused("use the standard port of https, 443")

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Receipt:
        """POST ``body``; any status is an answer. Raises UrlRefused, NotDelivered.

        At most 3 s to connect, 15 s in all, 64 KiB read: what comes after is left unread.
        """
        return await self._send("POST", url, headers, body, 0)

    async def get(self, url: str, *, headers: Mapping[str, str], most: int = 0) -> Receipt:
        """GET, with the failures of ``post`` and its bounds, but for a body of ``most`` bytes."""
        return await self._send("GET", url, headers, None, most)

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, most: int
    ) -> Receipt:
        self.check(url)
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._total_s):
                return await self._exchange(method, url, headers, body, most, began)
        except (TimeoutError, httpcore.TimeoutException):
            raise NotDelivered("timeout") from None
        except httpcore.ConnectError as error:
            refused = error.__cause__ or error.__context__
            if isinstance(refused, UrlRefused):
                raise refused from None
            raise NotDelivered("no connection") from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise NotDelivered(type(error).__name__) from None

    def backend(self) -> httpcore.AsyncNetworkBackend:
        """Dials only what this guard allows; for a client whose answers ``post`` cannot hold."""
        return _Dialler(self)

    def client(self) -> httpx.AsyncClient:
        """The process's client for addresses that tenants give again and again, e.g. per number.

        Every connection was judged when it was dialled; credentials go with each call.
        """
        if self._client is None:
            self._client = new_http_client(backend=self.backend(), connections=_CONNECTIONS)
        return self._client

    async def aclose(self) -> None:
        """Let go of the client's connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses to dial, every one of them judged. Raises UrlRefused, OSError."""
        literal = _literal(host)
        found = [str(literal)] if literal is not None else await self._resolver(host, port)
        if not found:
            raise OSError("the name has no address")
        for text in found:
            self._judge(ip_address(text), port)
        return found

    async def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        most: int,
        began: float,
    ) -> Receipt:
        timeout = {"connect": CONNECT_S, "read": self._total_s, "write": 5.0, "pool": 1.0}
        # A pool of its own per call: no connection is ever shared between two tenants.
        async with (
            httpcore.AsyncConnectionPool(
                ssl_context=tls_context(),
                max_connections=1,
                max_keepalive_connections=0,
                network_backend=_Dialler(self),
            ) as pool,
            pool.stream(
                method,
                _ascii(url),
                headers=[("user-agent", user_agent()), *headers.items()],
                content=body,
                extensions={"timeout": timeout},
            ) as response,
        ):
            got = await _start_of(response, max(most + 1, MAX_BODY))
        waits = {name.lower(): value for name, value in response.headers}.get(b"retry-after")
        return Receipt(
            response.status,
            # Postgres holds no NUL; a receiver may answer anything.
            got[:_EXCERPT].decode("utf-8", "replace").replace("\x00", ""),
            retry_after(waits.decode("latin-1") if waits else None),
            int((time.monotonic() - began) * 1000),
            got[: most + 1] if most else b"",
        )

    def _parts(self, url: str) -> tuple[str, int]:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise UrlRefused("this is not a URL") from None
        if parts.scheme not in self._schemes:
            raise UrlRefused("use an https:// URL")
        if not host or parts.username is not None or parts.password is not None or parts.fragment:
            raise UrlRefused("give a host, and neither a login nor a fragment")
        _ascii(url)
        return host, port if port is not None else (443 if parts.scheme == "https" else 80)

    def _judge(self, address: IPv4Address | IPv6Address, port: int) -> None:
        if any(address.version == block.version and address in block for block in self._allowed):
            return
        if not is_public(address):
            raise UrlRefused("the host is not on the public internet")
        if port not in self._ports:
            raise UrlRefused("use the standard port of https, 443")


class _Dialler(httpcore.AsyncNetworkBackend):
    """Dials addresses that were judged; httpcore keeps the URL's host for Host and SNI."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._dial = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                return await self._first(host, port, timeout, socket_options)
        except TimeoutError:
            raise httpcore.ConnectTimeout("connect") from None
        except UrlRefused as refused:
            raise httpcore.ConnectError(str(refused)) from refused
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(type(error).__name__) from None

    async def _first(
        self,
        host: str,
        port: int,
        timeout: float | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        found = await self._guard.addresses(host, port)
        for address in found[:-1]:
            try:
                return await self._dial.connect_tcp(address, port, timeout, None, socket_options)
            except httpcore.ConnectError:
                continue
        return await self._dial.connect_tcp(found[-1], port, timeout, None, socket_options)


async def _start_of(response: httpcore.Response, most: int) -> bytes:
    got = b""
    async for chunk in response.aiter_stream():
        got += chunk
        if len(got) >= most:
            break
    return got


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _ascii(url: str) -> str:
    """The URL with its host in IDNA form. Raises UrlRefused for what no request line can hold."""
    parts = urlsplit(url)
    try:
        host = (parts.hostname or "").encode("idna").decode()
    except UnicodeError:
        raise UrlRefused("the host name is not valid") from None
    rest = parts.path + parts.query
    if not rest.isascii() or any(c <= " " or c == "\x7f" for c in url):
        raise UrlRefused("percent-encode what is not ASCII in the path")
    bracketed = f"[{host}]" if ":" in host else host
    netloc = bracketed if parts.port is None else f"{bracketed}:{parts.port}"
    return SplitResult(parts.scheme, netloc, parts.path or "/", parts.query, "").geturl()
