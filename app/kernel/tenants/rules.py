"""What a tenant has: its plan's share, and what the platform agreed with it beside the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def effective_modules(plan: Iterable[str], overrides: Mapping[str, bool]) -> list[str]:
    """The plan's modules with those switched on beside it and without those switched off."""
    kept = {name for name in plan if overrides.get(name, True)}
    return sorted(kept | {name for name, is_on in overrides.items() if is_on})


def effective_limits(
    plan: Mapping[str, int], overrides: Mapping[str, int | None]
) -> dict[str, int]:
    """The plan's limits with the tenant's own in their place; None lifts one altogether."""
    merged = {**plan, **overrides}
    return {name: allowed for name, allowed in merged.items() if allowed is not None}
