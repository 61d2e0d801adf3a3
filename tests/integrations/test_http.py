"""The shared HTTP client: how failures are read, what is waited for, what never leaks."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from datetime import timedelta
from email.utils import format_datetime
from socket import socket

import httpx
import pytest

from app.core.clock import now
from app.core.http import (
    CallNotSent,
    CallUnanswered,
    Verdict,
    classify_failure,
    new_http_client,
    post_json,
    retry_after,
    tls_context,
    verdict_of,
)
from tests.sandbox.server import SandboxServer


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.ACCEPTED),
        (204, Verdict.ACCEPTED),
        (301, Verdict.REFUSED),
        (400, Verdict.REFUSED),
        (404, Verdict.REFUSED),
        (408, Verdict.UNKNOWN),
        (425, Verdict.RETRY_LATER),
        (429, Verdict.RETRY_LATER),
        (500, Verdict.UNKNOWN),
        (503, Verdict.UNKNOWN),
    ],
)
def test_a_status_is_read_alike_for_every_vendor(status: int, verdict: Verdict) -> None:
    assert verdict_of(status) is verdict


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError("x"), CallNotSent),
        (httpx.ConnectTimeout("x"), CallNotSent),
        (httpx.PoolTimeout("x"), CallNotSent),
        (httpx.UnsupportedProtocol("x"), CallNotSent),
        (httpx.InvalidURL("x"), CallNotSent),
        (httpx.WriteError("x"), CallUnanswered),
        (httpx.WriteTimeout("x"), CallUnanswered),
        (httpx.ReadError("x"), CallUnanswered),
        (httpx.ReadTimeout("x"), CallUnanswered),
        (httpx.RemoteProtocolError("x"), CallUnanswered),
        (httpx.DecodingError("x"), CallUnanswered),
    ],
)
def test_only_a_call_that_never_left_may_be_repeated(
    error: Exception, expected: type[Exception]
) -> None:
    assert type(classify_failure(error)) is expected


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("34", 34.0),
        ("99999999999", 604_800.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
def test_retry_after_is_read_and_bounded(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


def test_retry_after_may_be_a_date() -> None:
    moment = format_datetime(now() + timedelta(seconds=90), usegmt=True)
    assert retry_after(moment) == pytest.approx(90, abs=2)


async def test_a_server_that_drips_bytes_meets_the_deadline() -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, new_http_client() as http:
        with pytest.raises(CallUnanswered, match="deadline"):
            await post_json(http, url, payload={}, deadline_s=0.2)


async def test_a_server_that_never_accepts_is_not_a_sent_call() -> None:
    with socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        async with new_http_client() as http:
            with pytest.raises(CallNotSent) as caught:
                await post_json(http, url, payload={})
    assert caught.value.__context__ is None


@pytest.mark.parametrize("url", ["http://[bad/", "ftp://example.com/x", "not a url"])
async def test_a_wrong_address_is_a_call_that_never_left(url: str) -> None:
    async with new_http_client() as http:
        with pytest.raises(CallNotSent):
            await post_json(http, url, payload={})


async def test_the_process_loads_its_certificates_once_and_checks_them() -> None:
    assert tls_context() is tls_context()
    assert tls_context().verify_mode is ssl.CERT_REQUIRED
    assert tls_context().check_hostname


async def test_proxies_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, sandbox: SandboxServer
) -> None:
    """The proxy named here would refuse the connection."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with new_http_client() as http:
        answer = await post_json(http, f"{sandbox.url}/direct", payload={})
    assert answer.status == 404
    assert [entry["path"] for entry in await sandbox.requests()] == ["/direct"]


async def test_a_redirect_does_not_carry_the_call_elsewhere(sandbox: SandboxServer) -> None:
    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        target = f"{sandbox.url}/stolen".encode()
        writer.write(b"HTTP/1.1 307 X\r\nlocation: " + target + b"\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(redirect, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, new_http_client() as http:
        answer = await post_json(http, url, payload={}, headers={"authorization": "Bearer t"})
    assert answer.status == 307
    assert await sandbox.requests() == []
