"""What a plan allows of each thing, and the one refusal when all of it is in use."""

from __future__ import annotations

from collections.abc import Mapping

from app.core.problems import Conflict


class LimitReached(Conflict):
    code = "limit-reached"
    title = "The plan's limit is reached: free one that is in use, or move to a bigger plan."


def ensure_room(limits: Mapping[str, int], name: str, used: int) -> None:
    """Refuse one more ``name`` (``stores``, ``users``, …) when ``used`` fills the plan's limit.

    A name without a limit is unlimited. Exact under concurrency only while the caller holds the
    lock under which ``used`` was counted. Raises LimitReached.
    """
    allowed = limits.get(name)
    if allowed is None or used < allowed:
        return
    raise LimitReached(
        f"The plan allows {allowed} {name} and {used} are in use.",
        limit=name,
        allowed=allowed,
        used=used,
    )
