"""What can go wrong with schedules."""

from __future__ import annotations

from app.core.problems import Conflict, NotFound


class ScheduleNotFound(NotFound):
    code = "schedule-not-found"
    title = "There is no such schedule."


class ScheduleNameTaken(Conflict):
    code = "schedule-name-taken"
    title = "Another schedule has this name: choose another one."
