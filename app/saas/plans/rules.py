"""Which plan to recommend; pure."""

from __future__ import annotations

from collections.abc import Iterable

from app.saas.plans.models import Plan

_MONTHS = {"month": 1, "year": 12}


def cheapest_that_allows(plans: Iterable[Plan], limit: str, needed: int) -> Plan | None:
    """The plan with the lowest price per month that allows ``needed`` of ``limit``.

    Of plans with one price the one shown first; None when no plan allows as much.
    """
    fitting = [p for p in plans if p.limits.get(limit) is None or p.limits[limit] >= needed]
    return min(
        fitting, key=lambda p: (p.price_cents / _MONTHS[p.interval], p.position), default=None
    )
