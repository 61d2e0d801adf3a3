"""What can go wrong with attendance hours."""

from __future__ import annotations

from app.core.problems import NotFound


class InboxHoursNotFound(NotFound):
    code = "inbox-hours-not-found"
    title = "There are no such attendance hours: see GET /inbox-hours."
