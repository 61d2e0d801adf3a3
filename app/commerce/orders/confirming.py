"""The beat that confirms orders by itself where a store wants it so; any process may run it."""

from __future__ import annotations

import time

from app.commerce.orders.service import OrderService
from app.commerce.orders.sweeping import AT_ONCE, Sweep, sweep
from app.kernel.work import Actor, Runtime

_EVERY_S = 5.0
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
_WAITED = Sweep(
    Actor("system", "orders"),
    _TENANTS,
    due=lambda work, after: OrderService(work).to_confirm(after),
    move=lambda work, order_id: OrderService(work).confirm(order_id),
)


async def confirm_now_and_then(runtime: Runtime) -> int:
    """Look for orders to confirm every five seconds in each process; how many were."""
    if time.monotonic() < runtime.caches.get(_DUE, 0.0):
        return 0
    runtime.caches[_DUE] = time.monotonic() + _EVERY_S
    return await confirm_due(runtime)


async def confirm_due(runtime: Runtime, at_once: int = AT_ONCE) -> int:
    """Confirm every order whose time has come; how many were. Reads ``at_once`` tenants a time."""
    return await sweep(runtime, _WAITED, at_once)
