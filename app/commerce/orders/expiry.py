"""The beat that cancels orders whose money did not come in time; any process may run it."""

from __future__ import annotations

import time

from app.commerce.orders.service import OrderService
from app.commerce.orders.sweeping import Sweep, sweep
from app.commerce.payments.service import PaymentService
from app.kernel.work import Actor, Runtime

_EVERY_S = 10.0
_DUE = "payments.expiry_at"
# Of all tenants, for the owner's connection. By the orders that are pending, which are few: an
# index of what is awaited would be written by every order.
# Of all tenants, for the owner's connection. By the orders that are pending, which are few: an
# index of what is awaited would be written by every order.
_TENANTS = """
SELECT s.tenant_id FROM payment_settings s WHERE s.unpaid_minutes IS NOT NULL AND EXISTS (
  SELECT FROM orders o JOIN payments p ON p.tenant_id = o.tenant_id AND p.order_id = o.id
  WHERE o.tenant_id = s.tenant_id AND o.status = 'pending'
    AND p.status IN ('pending', 'failed') AND p.method IN ('pix', 'stripe')
    AND p.created_at < now() - s.unpaid_minutes * interval '1 minute'
    AND p.received_cents = 0 AND p.amount_cents > 0)
  AND s.tenant_id > $1
ORDER BY s.tenant_id LIMIT $2
"""
_UNPAID = Sweep(
    Actor("system", "payments"),
    _TENANTS,
    due=lambda work, after: PaymentService(work).overdue(after),
    move=lambda work, order_id: OrderService(work).expire(order_id),
)


async def expire_now_and_then(runtime: Runtime) -> int:
    """Look for unpaid orders every ten seconds in each process; how many were cancelled."""
    if time.monotonic() < runtime.caches.get(_DUE, 0.0):
        return 0
    runtime.caches[_DUE] = time.monotonic() + _EVERY_S
    return await expire_unpaid(runtime)


async def expire_unpaid(runtime: Runtime) -> int:
    """Cancel every pending order whose time to be paid is over; how many were."""
    return await sweep(runtime, _UNPAID)
