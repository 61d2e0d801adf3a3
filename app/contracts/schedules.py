"""What schedules tell the others."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from app.contracts.events import Event


class SchedulePaused(Event):
    """A schedule was paused because its runs kept failing."""

    name: ClassVar[str] = "platform.schedule_paused"
    resource: ClassVar[str] = "schedule"
    topic: ClassVar[str | None] = "schedules"
    schedule_id: UUID
    schedule_name: str
    failures: int
