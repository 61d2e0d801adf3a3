"""What a plan allows of each thing, and the one refusal when all of it is in use."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from app.contracts.saas import UpgradeAdvice
from app.core.problems import Conflict
from app.kernel.work import UnitOfWork

Kind = Literal["counted", "month", "total", "rate"]

LIMITS: dict[str, Kind] = {
    "users": "counted",
    "stores": "counted",
    "documents": "month",
    "workflows": "total",
    "whatsapp_numbers": "total",
    "storage_bytes": "total",
    "api_requests_per_minute": "rate",
    "api_key_requests_per_minute": "rate",
}
"""Everything a plan may limit. ``counted`` is read off the rows themselves; ``month`` is a counter
that starts anew with the tenant's calendar month, ``total`` one that only giving back lowers;
``rate`` is refused request by request (kernel/throttle) and leaves no use to show."""


class LimitReached(Conflict):
    code = "limit-reached"
    title = "The plan's limit is reached: free one that is in use, or move to a bigger plan."


async def ensure_room(work: UnitOfWork, name: str, used: int) -> None:
    """Refuse one more ``name`` (``stores``, ``users``, …) when ``used`` fills the plan's limit.

    A name without a limit is unlimited. Exact under concurrency only while the caller holds the
    lock under which ``used`` was counted. Raises LimitReached.
    """
    allowed = work.tenant.limits.get(name)
    if allowed is not None and used >= allowed:
        raise await limit_reached(work, name, allowed, used)


async def limit_reached(
    work: UnitOfWork, name: str, allowed: int, used: int, wanted: int = 1
) -> LimitReached:
    """The refusal of ``wanted`` more: limit, use, and as ``upgrade`` the cheapest plan that lifts
    it, when there is one.
    """
    upgrade = await work.port(UpgradeAdvice).upgrade_for(name, max(used + wanted, allowed + 1))
    detail = f"The plan allows {allowed} {name} and {used} are in use."
    if upgrade is not None:
        room = "any number" if upgrade.allowed is None else str(upgrade.allowed)
        detail += f" The plan {upgrade.name} allows {room}."
    return LimitReached(
        detail,
        limit=name,
        allowed=allowed,
        used=used,
        upgrade=None if upgrade is None else asdict(upgrade),
    )
