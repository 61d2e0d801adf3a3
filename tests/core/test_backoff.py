"""How long a vendor is waited for."""

from __future__ import annotations

from app.core.backoff import BACKOFF_S, retry_wait


def test_waits_grow_follow_the_vendor_and_end() -> None:
    waits = [retry_wait(attempt, None) for attempt in range(1, len(BACKOFF_S) + 2)]
    assert waits == [*BACKOFF_S, None]
    assert retry_wait(1, 34) == 34
    assert retry_wait(4, 34) == BACKOFF_S[3]
    assert retry_wait(1, 86_400) is None
