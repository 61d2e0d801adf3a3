"""The client side of a measurement: one process that keeps N connections busy and keeps time.

Closed loop: a connection sends its next request when the whole answer to the last has come. With
a rate it is an open loop: requests are due at their instants, whatever the server does, and their
latency counts from then. Raw sockets and ready-made request bytes, because a client that costs as
much as the server would measure itself; its own CPU is reported so that one sees when it was the
limit.
"""

from __future__ import annotations

import base64
import gc
import json
import os
import random
import select
import socket
import subprocess
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from scripts.local.console import Failed
from scripts.local.environment import PYTHON, ROOT

KEY = b"@@@@@@@@-fresh-key-@@@@@@@@"
"""Stands in a request for what must be new every time, such as an Idempotency-Key."""

_SUCCESS = ord("2")
_DRAIN_SECONDS = 5.0
_RECEIVE_BYTES = 262_144
_HEAD_BYTES = 4096
_LENGTH = b"content-length: "
"""As uvicorn writes it; looking for it in any case would cost a copy per answer."""


@dataclass(frozen=True)
class Target:
    """Where to send what; ``requests`` are whole HTTP requests, sent in random order, or in theirs
    and once each at ``rate`` requests a second."""

    port: int
    requests: Sequence[bytes]
    connections: int
    rate: float | None = None


@dataclass
class Answers:
    """What came back in ``seconds``; latencies in milliseconds."""

    seconds: float = 0.0
    completed: int = 0
    """Answers that came in time; latencies are theirs."""
    sent: int = 0
    """All requests that the server worked on, the last ones after the time included."""
    statuses: dict[str, int] = field(default_factory=dict)
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    cpu_seconds: float = 0.0
    lost: int = 0
    """Connections that the server closed or that stayed silent."""
    sample: str = ""
    """The first answer that was not 2xx."""

    @property
    def per_second(self) -> float:
        return self.completed / self.seconds if self.seconds else 0.0

    @property
    def refused(self) -> int:
        return sum(n for status, n in self.statuses.items() if status[0] != "2")

    @property
    def client_share(self) -> float:
        """The client's CPU as a share of one core: near 1 it was the limit."""
        return self.cpu_seconds / self.seconds if self.seconds else 0.0


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the ordered values lie; 0 when there are none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class _Connection:
    """One keep-alive connection with at most one request under way."""

    __slots__ = ("awaited", "began", "head", "socket", "status")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10.0)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.awaited = 0
        self.began = 0.0
        self.status = b""
        self.head = b""

    def take(self, memory: bytearray, count: int) -> bool:
        """Read on in ``memory``, where ``count`` bytes have come; whether the answer is whole now.

        HTTP/1.1 with Content-Length (RFC 9112 §6.2); chunked answers are not measured here.
        Raises ValueError without a length.
        """
        if self.awaited:
            self.awaited -= count
            return self.awaited <= 0
        known = len(self.head)
        self.head += memory[: min(count, _HEAD_BYTES)]
        end = self.head.find(b"\r\n\r\n")
        if end < 0:
            if len(self.head) > _HEAD_BYTES:
                raise ValueError("an answer whose head does not end")
            return False
        self.status = self.head[9:12]
        at = self.head.find(_LENGTH, 0, end)
        if at < 0:
            raise ValueError("an answer without content-length")
        at += len(_LENGTH)
        self.awaited = end + 4 + int(self.head[at : self.head.index(b"\r", at)]) - known - count
        return self.awaited <= 0


class _Client:
    """The loop over all connections of one measurement."""

    def __init__(self, target: Target) -> None:
        # The parts around KEY; a request without it has one part.
        self._requests = [request.split(KEY) for request in target.requests]
        self._rate = target.rate
        if self._rate is None:
            random.shuffle(self._requests)
        self._prefix = os.urandom(8).hex().encode()
        self._serial = 0
        self._poll = select.epoll()
        self._latencies = array("d")
        self._statuses: Counter[bytes] = Counter()
        self._memory = bytearray(_RECEIVE_BYTES)
        self._under_way = 0
        self._free: deque[_Connection] = deque()
        self.answers = Answers()
        self._connections: dict[int, _Connection] = {}
        for _ in range(target.connections):
            connection = _Connection(target.port)
            self._connections[connection.socket.fileno()] = connection
            self._poll.register(connection.socket.fileno(), select.EPOLLIN)

    def run(self, seconds: float) -> Answers:
        """Work for ``seconds``, then wait for what is under way."""
        answers = self.answers
        started, cpu = time.perf_counter(), time.process_time()
        deadline = started + seconds
        if self._rate is None:
            self._keep_busy(deadline)
        else:
            self._keep_pace(started, self._rate, deadline)
        answers.seconds = time.perf_counter() - started
        answers.cpu_seconds = time.process_time() - cpu
        while self._under_way and (at := time.perf_counter()) < deadline + _DRAIN_SECONDS:
            self._turn(deadline + _DRAIN_SECONDS - at, deadline)
        answers.lost += self._under_way
        answers.statuses = {status.decode(): n for status, n in self._statuses.items()}
        ordered = sorted(self._latencies)
        answers.completed = len(ordered)
        answers.p50_ms = percentile(ordered, 0.50) * 1e3
        answers.p99_ms = percentile(ordered, 0.99) * 1e3
        for connection in self._connections.values():
            connection.socket.close()
        return answers

    def _keep_busy(self, deadline: float) -> None:
        for connection in list(self._connections.values()):
            self._send(connection, time.perf_counter())
        while (at := time.perf_counter()) < deadline and self._connections:
            self._turn(deadline - at, deadline)

    def _keep_pace(self, started: float, rate: float, deadline: float) -> None:
        """Send each request when it is due, or as soon as a connection is free."""
        self._free.extend(self._connections.values())
        for number in range(len(self._requests)):
            due = started + number / rate
            while self._connections and (
                (at := time.perf_counter()) < due or (not self._free and at < deadline + 60)
            ):
                self._turn(max(0.0, due - at) if self._free else 1.0, deadline)
            if not self._free:
                return
            self._send(self._free.popleft(), due)
        while self._under_way and (at := time.perf_counter()) < deadline + _DRAIN_SECONDS:
            self._turn(deadline + _DRAIN_SECONDS - at, deadline)

    def _turn(self, wait: float, deadline: float) -> None:
        for descriptor, _ in self._poll.poll(wait):
            connection = self._connections[descriptor]
            try:
                count = connection.socket.recv_into(self._memory)
            except OSError:
                count = 0
            if not count:
                self._drop(connection)
            elif connection.take(self._memory, count):
                self._finished(connection, deadline)

    def _finished(self, connection: _Connection, deadline: float) -> None:
        at = time.perf_counter()
        self._under_way -= 1
        self._statuses[connection.status] += 1
        if connection.status[0] != _SUCCESS and not self.answers.sample:
            self.answers.sample = connection.head.decode(errors="replace")[-600:]
        connection.head = b""
        connection.awaited = 0
        if self._rate is not None:
            self._latencies.append(at - connection.began)
            self._free.append(connection)
        elif at < deadline:
            self._latencies.append(at - connection.began)
            self._send(connection, at)

    def _send(self, connection: _Connection, due: float) -> None:
        parts = self._requests[self._serial % len(self._requests)]
        self._serial += 1
        if len(parts) == 1:
            request = parts[0]
        else:
            request = (b"%s-%010d" % (self._prefix, self._serial)).join(parts)
        connection.began = due
        self._under_way += 1
        self.answers.sent += 1
        try:
            connection.socket.sendall(request)
        except OSError:
            self._drop(connection)

    def _drop(self, connection: _Connection) -> None:
        if connection in self._free:
            self._free.remove(connection)
        else:
            self._under_way -= 1
            self.answers.lost += 1
        descriptor = connection.socket.fileno()
        self._poll.unregister(descriptor)
        del self._connections[descriptor]
        connection.socket.close()


def run(target: Target, seconds: float, core: int | None) -> Answers:
    """Measure from a process of its own, pinned to ``core``.

    Raises:
        Failed: the process ended badly; with what it said.
    """
    plan = {
        "port": target.port,
        "connections": target.connections,
        "seconds": seconds,
        "core": core,
        "rate": target.rate,
        "requests": [base64.b64encode(request).decode() for request in target.requests],
    }
    ran = subprocess.run(
        [PYTHON, "-m", "scripts.benchmarks.load"],
        input=json.dumps(plan),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise Failed(f"The load generator failed:\n{ran.stderr[-2000:]}")
    return Answers(**json.loads(ran.stdout))


def _main() -> None:
    plan = json.load(sys.stdin)
    if plan["core"] is not None:
        os.sched_setaffinity(0, {plan["core"]})
    requests = [base64.b64decode(request) for request in plan["requests"]]
    client = _Client(Target(plan["port"], requests, plan["connections"], plan["rate"]))
    gc.freeze()
    gc.disable()
    json.dump(asdict(client.run(plan["seconds"])), sys.stdout)


if __name__ == "__main__":
    _main()
