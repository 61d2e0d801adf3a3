"""Ingest under load, asked for with ``WEBHOOK_LOAD_S=60``: latencies, loss, CPU per request."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import httpx
import pytest

from app.conversations.inbound.intake import signed
from tests.conversations.inbound.line import URL, Line, deliveries, envelope
from tests.faults.server import ServerProcess

SECONDS = float(os.environ.get("WEBHOOK_LOAD_S", "0"))
PER_SECOND = 320
P99_S = 0.25

pytestmark = pytest.mark.skipif(not SECONDS, reason="WEBHOOK_LOAD_S says for how many seconds")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_three_hundred_and_twenty_a_second(
    line: Line, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Three statuses for every message, as a number at its limit sends them; open loop: a slow
    answer holds nobody up, and counts from when it was due."""
    server = ServerProcess(environment)
    await server.start()
    count = int(SECONDS * PER_SECOND)
    took: list[float] = []
    asked = []
    for i in range(count):
        item = line.message() if i % 4 == 0 else line.status(f"wamid.{i}", "delivered")
        kind = "messages" if i % 4 == 0 else "statuses"
        value = line.value() | {kind: [item]}
        body = envelope(line.entry({"field": "messages", "value": value}))
        asked.append((body, {"X-Hub-Signature-256": signed(line.secret, body)}))
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    try:
        async with httpx.AsyncClient(limits=limits, timeout=30) as client:

            async def send(i: int, due: float) -> None:
                body, headers = asked[i]
                answer = await client.post(f"{server.url}{URL}", content=body, headers=headers)
                assert answer.status_code == 200
                took.append(time.perf_counter() - due)

            await send(0, time.perf_counter())
            took.clear()
            assert server._process is not None
            before, began = cpu_s(server._process.pid), time.perf_counter()
            async with asyncio.TaskGroup() as tasks:
                for i in range(1, count):
                    due = began + i / PER_SECOND
                    await asyncio.sleep(max(0, due - time.perf_counter()))
                    tasks.create_task(send(i, due))
            used = cpu_s(server._process.pid) - before
    finally:
        server.kill()
    took.sort()
    p50, p99, most = (took[int(len(took) * q)] * 1000 for q in (0.5, 0.99, 1 - 1 / len(took)))
    with capsys.disabled():
        print(
            f"\n{len(took)} signed deliveries at {PER_SECOND}/s: p50 {p50:.1f} ms, "
            f"p99 {p99:.1f} ms, max {most:.0f} ms, {used / len(took) * 1e6:.0f} us of the "
            "server's CPU each"
        )
    assert len(await deliveries(line.world)) == count
    assert p99 <= P99_S * 1000
