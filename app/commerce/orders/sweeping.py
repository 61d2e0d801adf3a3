"""What beats do to orders whose time has come, tenant by tenant; one's trouble is nobody else's."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from app.kernel.tenancy import TenantContext
from app.kernel.work import Actor, Runtime, Work, unit_of_work

log = logging.getLogger(__name__)

AT_ONCE = 200
"""Tenants of one reading."""
FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One kind of orders that are moved when their time has come."""

    actor: Actor
    tenants: str
    """SQL for the owner's connection: tenants beyond $1 that may have such orders, $2 at most."""
    due: Callable[[Work, UUID], Awaitable[list[UUID]]]
    """A tenant's orders beyond an id, oldest first, some at a time."""
    move: Callable[[Work, UUID], Awaitable[bool]]
    """Look at one again under its lock and move it; False when there was nothing to do any more."""


async def sweep(runtime: Runtime, kind: Sweep, at_once: int = AT_ONCE) -> int:
    """Move every order whose time has come; how many were. Reads ``at_once`` tenants a time."""
    moved, last = 0, FIRST
    while True:
        async with runtime.database.system_driver() as driver:
            rows = await driver.fetch(kind.tenants, last, at_once)
        for row in rows:
            last = row["tenant_id"]
            try:
                moved += await _sweep_tenant(runtime, kind, await runtime.tenants.by_id(last))
            except Exception:
                log.exception("orders.sweep_failed", extra={"tenant_id": str(last)})
        # On by id: tenants whose orders cannot be moved come first each time, and stay.
        if len(rows) < at_once:
            return moved


async def _sweep_tenant(runtime: Runtime, kind: Sweep, tenant: TenantContext) -> int:
    moved, last = 0, FIRST
    while True:
        async with unit_of_work(runtime, tenant, kind.actor) as work:
            due = await kind.due(work, last)
        for last in due:
            try:
                # A Work each: the lock of one order is not held while others are moved.
                async with unit_of_work(runtime, tenant, kind.actor) as work:
                    moved += await kind.move(work, last)
            except Exception:
                log.exception("orders.sweep_failed", extra={"order_id": str(last)})
        if not due:
            return moved
