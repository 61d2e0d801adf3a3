"""What running the SaaS answers others (ports): the plan that lifts a limit, what is in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The plan that makes room, as a refusal names it."""

    code: str
    name: str
    price_cents: int
    currency: str
    interval: str
    allowed: int | None
    """How much of the refused thing it allows; None: without limit."""


class UpgradeAdvice(Protocol):
    """Answered by the plans."""

    async def upgrade_for(self, limit: str, needed: int) -> Upgrade | None:
        """The cheapest plan on offer that allows ``needed`` of ``limit``; None when none does."""
        ...


class InUse(Protocol):
    """Answered by the slice that owns a thing a plan limits, bound under the limit's name."""

    async def in_use(self) -> int:
        """How many of them count against the plan now."""
        ...
