"""The guard: what tenants' URLs may reach, by rebinding, tunnels and redirects too."""

from __future__ import annotations

import asyncio
import time
from ipaddress import ip_address

import pytest

from app.core.guard import MAX_BODY, Guard, NotDelivered, UrlRefused, is_public
from tests.factories.receiver import receiving, reply

INSIDE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254",
    "100.64.0.1", "100.127.255.255", "0.1.2.3", "224.0.0.1", "239.1.1.1", "240.0.0.1",
    "0.0.0.0",  # noqa: S104 - nothing is bound to it
    "255.255.255.255", "192.0.2.1", "198.18.0.1", "192.88.99.1", "::", "::1", "fe80::1",
    "fe80::1%lo", "fc00::1", "fd12:3456::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8",
    "::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::1", "2001:0:4136:e378::1",
    "2001:db8::1", "fec0::1",
]  # fmt: skip


async def _nobody(host: str, port: int) -> list[str]:
    raise AssertionError(f"{host} was looked up")


def _always(*addresses: str) -> Guard:
    async def resolver(host: str, port: int) -> list[str]:
        return list(addresses)

    return Guard(allow_http=True, resolver=resolver)


@pytest.mark.parametrize("address", INSIDE)
async def test_inner_addresses_are_refused_as_literals_and_by_name(address: str) -> None:
    assert not is_public(ip_address(address))
    if "%" not in address:
        literal = f"[{address}]" if ":" in address else address
        with pytest.raises(UrlRefused, match="public"):
            Guard(resolver=_nobody).check(f"https://{literal}/x")
    with pytest.raises(UrlRefused, match="public"):
        await _always(address).post("http://loja.example/x", headers={}, body=b"")


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "200.160.2.3"])
def test_public_addresses_pass(address: str) -> None:
    assert is_public(ip_address(address))


async def test_one_inner_address_among_public_ones_refuses_the_name() -> None:
    with pytest.raises(UrlRefused):
        await _always("8.8.8.8", "127.0.0.1").addresses("loja.example", 443)
    assert await _always("8.8.8.8", "1.1.1.1").addresses("loja.example", 443) == [
        "8.8.8.8",
        "1.1.1.1",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "http://loja.example/x", "ftp://loja.example/", "file:///etc/passwd", "https://",
        "https://eu:senha@loja.example/", "https://loja.example/#x", "https://loja.example:8443/",
        "https://loja.example:99999/", "https://[::1", "https://loja.example/a b",
        "https://loja.example/\r\nX: y", "https://" + "a" * 70 + ".example/", "javascript:alert(1)",
    ],
)  # fmt: skip
async def test_urls_of_another_kind_are_refused(url: str) -> None:
    guard = Guard(resolver=_nobody)
    with pytest.raises(UrlRefused):
        guard.check(url)
    with pytest.raises(UrlRefused):
        await guard.post(url, headers={}, body=b"")


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "localhost"])
async def test_numbers_and_names_that_mean_loopback_reach_nobody(host: str) -> None:
    """The system's resolver knows how to read them; what it says is judged."""
    async with receiving() as receiver:
        with pytest.raises((UrlRefused, NotDelivered)):
            await Guard(allow_http=True).post(f"http://{host}:80/", headers={}, body=b"")
        assert receiver.got == []


async def test_a_name_that_rebinds_is_dialled_where_it_was_judged() -> None:
    """Outside at the first look, inside at every later one: there is no later one."""
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    async with receiving() as receiver:
        guard = Guard(allow_http=True, allowed=["127.0.0.0/8"], resolver=rebinding)
        url = f"http://loja.example:{receiver.port}/x?y=1"
        receipt = await guard.post(url, headers={"a": "b"}, body=b"{}")
        assert (receipt.status, receipt.excerpt, asked) == (200, "ok", ["loja.example"])
        [got] = receiver.got
        assert got.line == "POST /x?y=1 HTTP/1.1"
        assert got.headers["host"] == f"loja.example:{receiver.port}"
        assert got.headers["a"] == "b"
        with pytest.raises(UrlRefused):
            await guard.post(url, headers={}, body=b"{}")
        assert len(receiver.got) == 1


async def test_reading_is_guarded_as_sending_is() -> None:
    with pytest.raises(UrlRefused, match="public"):
        await _always("10.0.0.1").get("http://modelos.example/v1/models", headers={})
    async with receiving(lambda _: reply(302, b"", Location="http://10.0.0.1/")) as receiver:
        guard = Guard(allow_http=True, allowed=["127.0.0.0/8"])
        told = await guard.get(receiver.url, headers={"authorization": "Bearer x"})
    assert told.status == 302
    [seen] = receiver.got
    assert seen.line.startswith("GET /ganchos ")
    assert (seen.headers["authorization"], seen.body) == ("Bearer x", b"")


async def test_redirects_are_answers_and_are_not_followed() -> None:
    async with receiving(lambda _: reply(302, Location="http://169.254.169.254/")) as receiver:
        receipt = await _loopback().post(receiver.url, headers={}, body=b"")
    assert receipt.status == 302
    assert len(receiver.got) == 1


async def test_who_hangs_is_left_after_the_total() -> None:
    async with receiving(lambda _: None) as receiver:
        began = time.monotonic()
        with pytest.raises(NotDelivered, match="timeout"):
            await _loopback(0.3).post(receiver.url, headers={}, body=b"")
        assert 0.25 < time.monotonic() - began < 2
    drip = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"
    async with receiving(lambda _: drip) as receiver:
        with pytest.raises(NotDelivered):
            await _loopback(0.3).post(receiver.url, headers={}, body=b"")


async def test_a_huge_body_is_not_read() -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n" + b"a" * (MAX_BODY * 4)
    async with receiving(lambda _: endless) as receiver:
        receipt = await _loopback(5).post(receiver.url, headers={}, body=b"")
    assert receipt.status == 200
    assert receipt.excerpt == "a" * 1024


async def test_as_much_of_a_body_is_given_as_is_asked_for() -> None:
    async with receiving(lambda _: reply(200, b"a" * 200_000)) as receiver:
        guard = Guard(allow_http=True, allowed=("127.0.0.0/8",))
        plain = await guard.get(receiver.url, headers={})
        whole = await guard.get(receiver.url, headers={}, most=200_000)
        first = await guard.get(receiver.url, headers={}, most=150_000)
    assert (plain.body, len(plain.excerpt)) == (b"", 1024)
    assert whole.body == b"a" * 200_000
    assert len(first.body) == 150_001, "one more says that it goes on"


async def test_what_is_no_http_and_nobody_there_are_not_delivered() -> None:
    async with receiving(lambda _: b"\x16\x03\x01 what?") as receiver:
        with pytest.raises(NotDelivered):
            await _loopback().post(receiver.url, headers={}, body=b"")
    with pytest.raises(NotDelivered, match="no connection"):
        await _loopback().post(receiver.url, headers={}, body=b"")


async def test_retry_after_is_read_and_a_nul_is_not_kept() -> None:
    async with receiving(lambda _: reply(503, b"a\x00b", Retry_After="120")) as receiver:
        receipt = await _loopback().post(receiver.url, headers={}, body=b"")
    assert (receipt.status, receipt.retry_after_s, receipt.excerpt) == (503, 120.0, "ab")


def _loopback(total_s: float = 5.0) -> Guard:
    return Guard(allow_http=True, allowed=["127.0.0.0/8"], total_s=total_s)


async def test_tls_names_the_host_and_not_the_address() -> None:
    """The ClientHello carries the URL's host (SNI), and a stranger's certificate is refused."""
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(4096))
        writer.close()

    async def resolver(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    guard = Guard(allowed=["127.0.0.0/8"], resolver=resolver)
    with pytest.raises(NotDelivered):
        await guard.post(f"https://loja.example:{port}/x", headers={}, body=b"segredo")
    server.close()
    [hello] = heard
    assert hello[:1] == b"\x16"
    assert b"loja.example" in hello
    assert b"segredo" not in hello
