"""What can go wrong when asking for a letter."""

from __future__ import annotations

from app.core.problems import NotFound


class LetterNotFound(NotFound):
    code = "letter-not-found"
    title = "There is no such letter."
