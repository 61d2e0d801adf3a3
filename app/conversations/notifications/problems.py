"""What can go wrong with notifications."""

from __future__ import annotations

from app.core.problems import NotFound


class NotificationNotFound(NotFound):
    code = "notification-not-found"
    title = "There is no such notification."
