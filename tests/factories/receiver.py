"""A webhook receiver on loopback that answers as it is told and keeps what it was sent."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Received:
    line: str
    headers: dict[str, str]
    body: bytes

    def is_signed_by(self, secret: str) -> bool:
        """Verified from the text of the Standard Webhooks specification, not from our code."""
        key = base64.b64decode(secret.split("_", 1)[1])
        text = b".".join(
            (
                self.headers["webhook-id"].encode(),
                self.headers["webhook-timestamp"].encode(),
                self.body,
            )
        )
        wanted = "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
        return wanted in self.headers["webhook-signature"].split(" ")


@dataclass
class Receiver:
    """``answer`` gives the bytes of each answer by its number; None hangs."""

    port: int = 0
    got: list[Received] = field(default_factory=list)
    answer: Callable[[int], bytes | None] = lambda _: reply(200)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ganchos"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *rest = head.strip().split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (one.partition(":") for one in rest)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.got.append(Received(line, headers, body))
            answer = self.answer(len(self.got))
            if answer is None:
                await reader.read()  # until the caller has had enough
            else:
                writer.write(answer)
                await writer.drain()
        writer.close()


def reply(status: int, body: bytes = b"ok", **headers: str) -> bytes:
    """The bytes of an answer; underscores in header names stand for dashes."""
    lines = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in headers.items())
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{lines}\r\n"
    return head.encode() + body


@asynccontextmanager
async def receiving(answer: Callable[[int], bytes | None] | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port, gone at the end."""
    receiver = Receiver()
    if answer is not None:
        receiver.answer = answer
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await asyncio.sleep(0)
