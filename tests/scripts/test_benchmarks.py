"""The measuring tools of scripts/benchmarks, checked against answers that are known beforehand."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scripts.benchmarks import load
from scripts.benchmarks.load import Answers, Target
from scripts.benchmarks.report import Gate, Round, Series, compare
from scripts.benchmarks.servers import Cost

REQUEST = b"POST /orders HTTP/1.1\r\nIdempotency-Key: " + load.KEY + b"\r\n\r\n"


def _serve(listener: socket.socket, pieces: tuple[bytes, ...], seen: list[bytes]) -> None:
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        while request := connection.recv(65536):
            seen.append(request)
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.01)


@contextmanager
def server(*pieces: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers every request with ``pieces``, one packet each."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, pieces, seen))
        thread.start()
        yield listener.getsockname()[1], seen
        thread.join()


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nhello",),
        (b"HTTP/1.1 201 Created\r\ncontent-", b"length: 5\r\n\r", b"\nhel", b"lo"),
        (b"HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\n", b"hello"),
        (b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\nx: y\r\n\r\n",),
    ],
    ids=["whole", "broken head", "body apart", "no body"],
)
def test_answers_are_counted_however_they_are_cut(pieces: tuple[bytes, ...]) -> None:
    with server(*pieces) as (port, seen):
        answers = load.run(Target(port, [REQUEST], 1), 0.5, None)
    assert answers.statuses == {"201": len(seen)}
    assert answers.sent == len(seen)
    assert 0 <= answers.sent - answers.completed <= 1
    assert (answers.refused, answers.lost) == (0, 0)
    assert 10 * (len(pieces) - 1) <= answers.p50_ms <= answers.p99_ms


def test_every_request_has_a_key_of_its_own() -> None:
    with server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as (port, seen):
        load.run(Target(port, [REQUEST], 1), 0.5, None)
    assert len(seen) > 10
    assert len(set(seen)) == len(seen)
    assert all(load.KEY not in request for request in seen)


def test_refusals_are_told_with_a_sample() -> None:
    refusal = b'HTTP/1.1 409 Conflict\r\ncontent-length: 16\r\n\r\n{"code":"closed"'
    with server(refusal) as (port, seen):
        answers = load.run(Target(port, [REQUEST], 1), 0.3, None)
    assert answers.refused == len(seen)
    assert answers.sample.endswith('{"code":"closed"')


def series(name: str, *rates: int, status: str = "200") -> Series:
    """One-second rounds with these rates."""
    cost = Cost(server=0.5, postgres=0.25, foreign=0.0)
    return Series(
        name,
        [Round(Answers(1.0, n, n, statuses={status: n}, p99_ms=1000 / n), cost) for n in rates],
    )


def per_second(measured: Round) -> float:
    return measured.answers.per_second


def test_the_ratio_is_that_of_neighbours_in_time() -> None:
    # The machine slowed down between the rounds: medians apart would say 0.5 or worse.
    gate = compare(
        "x", series("ours", 80, 40, 8), series("theirs", 100, 50, 10), per_second, bound=0.7
    )
    assert gate.ratio == pytest.approx(0.8)
    assert gate.passed


def test_a_refused_request_fails_the_gate_however_fast_it_was() -> None:
    fast = series("ours", 500, 500, status="429")
    gate = compare("x", fast, series("theirs", 100, 100), per_second, bound=0.7)
    assert gate.ratio == pytest.approx(5.0)
    assert not gate.passed


@pytest.mark.parametrize(
    ("value", "at_least", "passed"),
    [(0.70, True, True), (0.69, True, False), (180.0, False, True), (180.1, False, False)],
)
def test_a_bound_is_still_good(value: float, at_least: bool, passed: bool) -> None:
    bound = 0.70 if at_least else 180.0
    assert Gate("x", value, None, value, bound, at_least).passed is passed
