"""The beat that confirms orders by itself where a store wants it so; any process may run it."""

from __future__ import annotations

import logging
import time
from uuid import UUID

from app.commerce.orders.service import OrderService
from app.kernel.work import Actor, Runtime, unit_of_work

log = logging.getLogger(__name__)

_EVERY_S = 5.0
_ACTOR = Actor("system", "orders")
_DUE = "orders.confirming_at"
# Of all tenants, for the owner's connection; by the orders that are pending, which are few.
_TENANTS = """
SELECT DISTINCT s.tenant_id FROM stores s JOIN orders o ON o.tenant_id = s.tenant_id
  AND o.store_id = s.id
WHERE s.auto_confirm_minutes IS NOT NULL AND o.status = 'pending'
  AND o.placed_at <= now() - s.auto_confirm_minutes * interval '1 minute'
  AND o.placed_at > now() - interval '1 day' AND s.tenant_id > $1
ORDER BY s.tenant_id LIMIT $2
"""
_AT_ONCE = 200


async def confirm_now_and_then(runtime: Runtime) -> int:
    """Look for orders to confirm every five seconds in each process; how many were."""
    if time.monotonic() < runtime.caches.get(_DUE, 0.0):
        return 0
    runtime.caches[_DUE] = time.monotonic() + _EVERY_S
    return await confirm_due(runtime)


async def confirm_due(runtime: Runtime, at_once: int = _AT_ONCE) -> int:
    """Confirm every order whose time has come; how many were. Reads ``at_once`` tenants a time."""
    confirmed, last = 0, UUID(int=0)
    while True:
        async with runtime.database.system_driver() as driver:
            tenants = [row["tenant_id"] for row in await driver.fetch(_TENANTS, last, at_once)]
        for tenant_id in tenants:
            try:
                confirmed += await _confirm_tenant(runtime, tenant_id)
            except Exception:
                # One tenant's trouble is not the others'.
                log.exception("orders.confirming_failed", extra={"tenant_id": str(tenant_id)})
        # On by id: tenants whose orders wait for money come first each time, and stay.
        if len(tenants) < at_once:
            return confirmed
        last = tenants[-1]


async def _confirm_tenant(runtime: Runtime, tenant_id: UUID) -> int:
    tenant = await runtime.tenants.by_id(tenant_id)
    async with unit_of_work(runtime, tenant, _ACTOR) as work:
        due = await OrderService(work).to_confirm()
    confirmed = 0
    for order_id in due:
        # A Work each: the lock of one order is not held while others are confirmed.
        async with unit_of_work(runtime, tenant, _ACTOR) as work:
            confirmed += await OrderService(work).confirm(order_id)
    return confirmed
