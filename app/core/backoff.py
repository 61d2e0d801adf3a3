"""How long to wait before a vendor is asked again to carry news that grows old."""

from __future__ import annotations

BACKOFF_S = (1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)
LONGEST_WAIT_S = 3600.0
"""News is worth nothing later; a vendor that asks for more is a refusal."""


def retry_wait(attempts: int, asked_s: float | None) -> float | None:
    """Seconds before attempt ``attempts + 1``; None when it is not worth waiting for."""
    if attempts > len(BACKOFF_S):
        return None
    wait = max(BACKOFF_S[attempts - 1], asked_s or 0.0)
    return wait if wait <= LONGEST_WAIT_S else None
