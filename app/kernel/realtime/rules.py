"""Who may hear what: every topic of the live stream and the grant that opens it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from app.kernel.access import ALWAYS_ON, effective_grants

TOPICS: dict[str, str | None] = {
    "orders": "commerce.orders:read",
    "catalog": "commerce.catalog:read",
    "inventory": "commerce.inventory:read",
    "imports": "commerce.imports:read",
    "contacts": "conversations.contacts:read",
    "numbers": "conversations.numbers:read",
    "templates": "conversations.templates:read",
    "conversations": "conversations.messages:read",
    "schedules": "platform.schedules:read",
    "billing": "platform.billing:read",
    "team": None,
    "notices": None,
}
"""None: any member may. A topic that is not listed is heard by nobody: the stream must not tell
more than the routes."""

RETENTION = timedelta(days=3)
"""How long a tenant's events can be resumed; who was away longer reads everything anew."""


def audible(role: str, group_grants: frozenset[str], modules: frozenset[str]) -> frozenset[str]:
    """The topics that a member may hear: the module is on and the grant is held."""
    held = effective_grants(role, group_grants)
    return frozenset(
        topic
        for topic, grant in TOPICS.items()
        if grant is None or (grant in held and _on(grant, modules))
    )


def hears(topic: str, user_id: UUID, topics: frozenset[str]) -> bool:
    """Whether a member who listens to ``topics`` is told of a row on ``topic``.

    ``notices:<user id>`` is the topic ``notices`` of that member, and of nobody else.
    """
    name, private, member = topic.partition(":")
    return name in topics and (not private or member == str(user_id))


def _on(grant: str, modules: frozenset[str]) -> bool:
    module = grant.partition(".")[0]
    return module in ALWAYS_ON or module in modules


def unknown(topics: Iterable[str]) -> list[str]:
    """Those that do not exist, sorted."""
    return sorted(set(topics) - TOPICS.keys())


def is_lost(cursor: int, oldest: int, head: int, *, may_be_pruned: bool) -> bool:
    """Whether events after ``cursor`` may be gone, so that resuming would skip some.

    A cursor is the number of a row that the client saw, or 0 from before the first one. Rows are
    pruned from the oldest on and the newest always stays: a cursor before the oldest names a row
    that is gone, and one beyond the head was never given out here.
    """
    if cursor > head:
        return True
    return cursor < oldest and (cursor > 0 or may_be_pruned)
