"""What can go wrong with one's own account."""

from __future__ import annotations

from app.core.problems import TooLarge


class AvatarTooLarge(TooLarge):
    code = "avatar-too-large"
    title = "The picture is too large: send one of up to 5 MB."
