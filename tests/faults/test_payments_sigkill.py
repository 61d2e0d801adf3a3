"""Killed at named points between us and Stripe: one intent, one refund, and we know of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commerce.payments.cashier import Cashier
from tests.commerce.payments.conftest import app, cashier
from tests.conftest import ROOT
from tests.kernel.queue_probe import system
from tests.sandbox.server import http, sandbox, sandbox_url, until

__all__ = ["app", "cashier", "http", "sandbox", "sandbox_url"]
START_S = 90
"""A process of ours starts in five seconds, on a machine that has nothing else to do."""


@pytest.fixture
def vendor(environment: dict[str, str], sandbox_url: str) -> dict[str, str]:
    return environment | {"STRIPE_API_BASE_URL": f"{sandbox_url}/stripe"}


def start(environment: dict[str, str], *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own program, no shell
        [sys.executable, "-m", "tests.faults.money_runner", *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


async def made(cashier: Cashier, what: str, key: str, value: str) -> list[dict[str, Any]]:
    """Distinct objects that Stripe made for one of ours, whatever was asked how often."""
    found = await cashier.sandbox.requests(vendor="stripe", limit="500")
    answers = [
        r["answer"]
        for r in found
        if r["path"].endswith(f"/{what}") and r["body"].get(f"metadata[{key}]") == value
    ]
    return list({answer["id"]: answer for answer in answers if "id" in answer}.values())


async def killed(process: subprocess.Popen[bytes]) -> bool:
    """Whether it killed itself; it is gone in any case."""
    try:
        return await asyncio.to_thread(process.wait, START_S) == -9
    finally:
        process.kill()
        await asyncio.to_thread(process.wait, 10)


@pytest.mark.parametrize("point", ["answered", "written"])
async def test_an_intent_is_made_once(
    cashier: Cashier, vendor: dict[str, str], tmp_path: Path, point: str
) -> None:
    order = await cashier.order("stripe")
    slug, token = cashier.world.tenant.slug, order["tracking_token"]
    payment_id = (await cashier.payment(order))["id"]
    words = ("intent", point, str(tmp_path / "died"), payment_id, slug, order["id"], token)
    assert await killed(start(vendor, *words))
    known = (await cashier.payment(order))["provider_ref"]
    assert (known is not None) == (point == "written")
    answer = await cashier.intent(order)
    [intent] = await made(cashier, "payment_intents", "payment_id", answer["payment_id"])
    assert answer["client_secret"] == intent["client_secret"]
    assert (await cashier.payment(order))["provider_ref"] == intent["id"]


@pytest.mark.parametrize("point", ["answered", "written"])
async def test_a_refund_happens_once(
    cashier: Cashier, vendor: dict[str, str], tmp_path: Path, point: str
) -> None:
    order = await cashier.order("stripe")
    intent = await cashier.intent_id(order)
    await cashier.deliver(*await cashier.live(intent, "succeed"))
    assert (await cashier.refund(order, 1990)).status_code == 200
    refund_id = (await cashier.money(order))["refunds"][0]["id"]
    marker = tmp_path / "died"
    assert await killed(start(vendor, "worker", point, str(marker), refund_id))
    expected = "done" if point == "written" else "pending"
    assert await cashier.refunds(order) == [(1990, expected)]
    second = start(vendor, "worker", point, str(marker), refund_id)
    try:

        async def done() -> bool:
            told = await cashier.told("commerce.refund_done")
            return told == 1 and await cashier.refunds(order) == [(1990, "done")]

        await until(done, START_S)

        async def forgotten() -> bool:
            left = await system(
                cashier.app.runtime,
                "SELECT id FROM pgqueuer WHERE convert_from(payload, 'UTF8') LIKE $1",
                f"%{refund_id}%",
            )
            return not left

        await until(forgotten, START_S)  # delivered again, and ended this time
    finally:
        second.kill()
        await asyncio.to_thread(second.wait, 10)
    assert len(await made(cashier, "refunds", "refund_id", refund_id)) == 1
    assert await cashier.told("commerce.refund_done") == 1
    left = (await cashier.refund(order, 3001)).json()
    assert left["refundable_cents"] == 3000
