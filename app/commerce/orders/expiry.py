"""The beat that cancels orders whose money did not come in time; any process may run it."""

from __future__ import annotations

import logging
import time
from uuid import UUID

from app.commerce.orders.service import OrderService
from app.commerce.payments.service import PaymentService, tenants_with_unpaid
from app.kernel.work import Actor, Runtime, unit_of_work

log = logging.getLogger(__name__)

_EVERY_S = 10.0
_ACTOR = Actor("system", "payments")
_DUE = "payments.expiry_at"


async def expire_now_and_then(runtime: Runtime) -> int:
    """Look for unpaid orders every ten seconds in each process; how many were cancelled."""
    if time.monotonic() < runtime.caches.get(_DUE, 0.0):
        return 0
    runtime.caches[_DUE] = time.monotonic() + _EVERY_S
    return await expire_unpaid(runtime)


async def expire_unpaid(runtime: Runtime) -> int:
    """Cancel every pending order whose time to be paid is over; how many were."""
    cancelled = 0
    for tenant_id in await tenants_with_unpaid(runtime):
        try:
            cancelled += await _expire_tenant(runtime, tenant_id)
        except Exception:
            # One tenant's trouble is not the others'.
            log.exception("payments.expiry_failed", extra={"tenant_id": str(tenant_id)})
    return cancelled


async def _expire_tenant(runtime: Runtime, tenant_id: UUID) -> int:
    tenant = await runtime.tenants.by_id(tenant_id)
    async with unit_of_work(runtime, tenant, _ACTOR) as work:
        due = await PaymentService(work).overdue()
    cancelled = 0
    for order_id in due:
        # A Work each: the lock of one order is not held while others are cancelled.
        async with unit_of_work(runtime, tenant, _ACTOR) as work:
            cancelled += await OrderService(work).expire(order_id)
    return cancelled
