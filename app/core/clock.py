"""The one place that reads the wall clock, so that a test or a port can stand in for it."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """This instant, aware, in UTC."""
    return datetime.now(UTC)
