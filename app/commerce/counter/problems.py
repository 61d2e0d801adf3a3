"""What can go wrong at the counter."""

from __future__ import annotations

from app.core.problems import NotFound


class NoteNotFound(NotFound):
    code = "order-note-not-found"
    title = "The order has no such note: read the order for those it has."
