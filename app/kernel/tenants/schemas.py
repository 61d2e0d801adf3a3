"""What may be asked of the list of tenants."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TenantFilter:
    """What a list of tenants may be narrowed to; None: not narrowed."""

    status: str | None = None
    subscription_status: str | None = None
    plan: str | None = None
    query: str | None = None
    """Part of the name or slug."""
