"""The beat that writes down that an impersonation's time was over, since nobody ends it then."""

from __future__ import annotations

import logging
import time

from app.kernel.impersonations.service import ImpersonationService, untold
from app.kernel.work import Actor, Runtime, unit_of_work

log = logging.getLogger(__name__)

EVERY_S = 15.0
_AT_ONCE = 100
_ACTOR = Actor("system", "impersonations")


async def tell_expired(runtime: Runtime) -> None:
    """For the worker's beat: an audit line for each that ended by itself, however many tell it."""
    at = time.monotonic()
    if at < runtime.caches.get("impersonations.next", 0.0):
        return
    runtime.caches["impersonations.next"] = at + EVERY_S
    for tenant_id, impersonation_id in await untold(runtime, _AT_ONCE):
        try:
            tenant = await runtime.tenants.by_id(tenant_id)
            async with unit_of_work(runtime, tenant, _ACTOR) as work:
                await ImpersonationService(work).expire(impersonation_id)
        except Exception:
            # One tenant's trouble is not the others'.
            log.exception("impersonations.untold", extra={"tenant_id": str(tenant_id)})
