"""Who may manage whom, as pure functions."""

from __future__ import annotations

from app.kernel.users.models import ROLES


def outranks(role: str, other: str) -> bool:
    """Whether ``role`` stands above ``other``: the order of ``ROLES``, owners first."""
    return ROLES.index(role) < ROLES.index(other)


def may_manage(acting: str, *roles: str) -> bool:
    """Nobody touches or gives a role above their own; hence only owners make or change owners."""
    return not any(outranks(role, acting) for role in roles)
