"""Wire models of the queue, as its tenant sees it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.core.schema import Output

LARGEST = 2**63 - 1
"""Of a job's number."""
JobState = Literal["queued", "running", "held"]


class JobRead(Output):
    id: int
    entrypoint: str
    state: JobState = Field(description="held: failed too often, waits for a person.")
    deliveries: int = Field(description="How often it was tried.")
    last_error: str | None
    due_at: datetime
    created_at: datetime


class JobList(Output):
    items: list[JobRead]
    next_cursor: int | None
