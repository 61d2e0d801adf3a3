"""What can go wrong when asking for a new password."""

from __future__ import annotations

from app.core.problems import Gone, TooMany


class ResetNotValid(Gone):
    code = "password-reset-not-valid"
    title = "This link was used, replaced or has expired: ask for a new one."


class TooManyResets(TooMany):
    code = "too-many-resets"
    title = "Too many requests for a new password: wait for the seconds in Retry-After."
