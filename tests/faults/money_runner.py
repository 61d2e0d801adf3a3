"""A process that talks to Stripe about money and SIGKILLs itself at a named point, once.

``python -m tests.faults.money_runner worker POINT MARKER ID`` runs the jobs of payments;
``... intent POINT MARKER ID TENANT ORDER TOKEN`` asks for an intent as a customer does. ID is the
refund or payment at which it dies. POINT is
``answered`` (Stripe did it, we wrote nothing) or ``written`` (we
wrote it, the job is not done yet). MARKER is the file by which the next one knows.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from app import vendors
from app.commerce.payments import jobs
from app.commerce.payments.stripe import open_intent
from app.contracts.gateways.payments import PaymentGateway, RemoteIntent, RemoteRefund
from app.core.settings import settings
from app.integrations.stripe.payments import StripePayments
from app.kernel.jobs.service import JobContext, Worker
from app.kernel.ports import Ports
from app.kernel.work import Actor, Runtime, UnitOfWork, unit_of_work
from app.worker import build_runtime, close_runtime

HEARTBEAT_TIMEOUT_S = 0.8


async def die(point: str, at: object) -> None:
    wanted, marker, id_ = sys.argv[2], Path(sys.argv[3]), sys.argv[4]
    if point == wanted and str(at) == id_ and not await asyncio.to_thread(marker.exists):
        await asyncio.to_thread(marker.touch)
        os.kill(os.getpid(), signal.SIGKILL)


class Mortal(StripePayments):
    """The real client, which may not live to tell."""

    async def create_intent(self, *args: Any, **kwargs: Any) -> RemoteIntent:
        made = await super().create_intent(*args, **kwargs)
        await die("answered", kwargs["payment_id"])
        return made

    async def refund(self, *args: Any, **kwargs: Any) -> RemoteRefund:
        made = await super().refund(*args, **kwargs)
        await die("answered", kwargs["refund_id"])
        return made


def _mortal(work: UnitOfWork) -> PaymentGateway:
    real = vendors.stripe_payments(work)
    return Mortal(real._http, real._base)


async def refund(job: JobContext) -> None:
    """The product's handler, and a death before anybody hears that it ended."""
    await jobs.refund(job)
    await die("written", job.payload["refund_id"])


async def main() -> None:
    """Do what the command line says."""
    plain = build_runtime(settings())
    ports = Ports(plain.ports).bind(PaymentGateway, _mortal, name="stripe")
    runtime = replace(plain, ports=ports)
    if sys.argv[1] == "worker":
        worker = Worker(runtime, {jobs.REFUND: refund}, heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S)
        await worker.start()
        await worker.wait()
    else:
        await _intent(runtime, *sys.argv[5:8])
    await close_runtime(runtime)


async def _intent(runtime: Runtime, slug: str, order_id: str, token: str) -> None:
    tenant = await runtime.tenants.find("slug", slug)
    assert tenant is not None
    actor = Actor("public", "storefront")
    await open_intent(lambda: unit_of_work(runtime, tenant, actor), UUID(order_id), token)
    await die("written", sys.argv[4])


if __name__ == "__main__":
    asyncio.run(main())
